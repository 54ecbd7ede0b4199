import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = {
  port: 3000,
  strictPort: true, // mailed links lead to this port
  proxy: {
    "/api": { target: process.env["IDENTITY_API"] ?? "http://127.0.0.1:8000" },
  },
};

export default defineConfig({
  plugins: [react()],
  // The policy under which the app is served allows no inline script and no data: address.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server,
  preview: server,
});
