import type { AxiosInstance, InternalAxiosRequestConfig } from "axios";
import type { Identity } from "./identity";

type Config = InternalAxiosRequestConfig & { refused?: string };

/** Authorises the requests of `axios` to its own `baseURL` and to the page's origin, and to no other. */
export function attachTo(axios: AxiosInstance, identity: Identity): void {
  const base = new URL(axios.defaults.baseURL ?? "/", globalThis.location?.href ?? "http://localhost");

  axios.interceptors.request.use(async (config: Config) => {
    if (new URL(axios.getUri(config), base).origin !== base.origin) return config;
    const token = await identity.token(config.refused);
    if (token) config.headers.set("Authorization", `Bearer ${token}`);
    return config;
  });

  axios.interceptors.response.use(undefined, async (error) => {
    const config: Config | undefined = error.config;
    const sent = config?.headers.get("Authorization");
    if (error.response?.status !== 401 || !config || config.refused || typeof sent !== "string") throw error;
    config.refused = sent.slice("Bearer ".length);
    return axios.request(config);
  });
}
