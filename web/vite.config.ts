import { defineConfig } from "vite";

/** `VITE_API` is the address of a running service, for `npm run dev` only. */
const api = process.env.VITE_API ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "/",
  build: { outDir: "dist", target: "es2022", sourcemap: false, chunkSizeWarningLimit: 1200 },
  server: {
    proxy: Object.fromEntries(
      ["/service", "/session", "/collections", "/tiles", "/search", "/nearest", "/rasters", "/changes", "/events", "/imports"].map((path) => [path, api]),
    ),
  },
});
