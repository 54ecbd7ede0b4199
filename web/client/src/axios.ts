import type { AxiosInstance, InternalAxiosRequestConfig } from "axios";
import type { Identity } from "./identity";
import { isPublic } from "./routes";

type Config = InternalAxiosRequestConfig & { bearer?: string | null; isRepeated?: boolean };

/** Authorises what `axios` sends to the origin of its `baseURL`, or else the page's; and nothing to any other. */
export function attachTo(axios: AxiosInstance, identity: Identity): void {
  const base = new URL(axios.defaults.baseURL ?? "/", globalThis.location?.href ?? "http://localhost");

  axios.interceptors.request.use(async (config: Config) => {
    const url = new URL(axios.getUri(config), base);
    if (url.origin === base.origin && !isPublic(url.pathname)) {
      config.bearer = await identity.token();
      if (config.bearer) config.headers.set("Authorization", `Bearer ${config.bearer}`);
    }
    return config;
  });

  axios.interceptors.response.use(undefined, async (error) => {
    const config: Config | undefined = error.config;
    if (error.response?.status !== 401 || !config?.bearer || config.isRepeated) throw error;
    if (!(await identity.token(config.bearer))) throw error;
    return axios.request({ ...config, isRepeated: true } as Config);
  });
}
