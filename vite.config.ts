// The page: web/ -> web/dist, static files that work from any path.
import { defineConfig } from "vite";
import manifest from "./package.json" with { type: "json" };

export default defineConfig({
  root: "web",
  base: "./",
  resolve: { conditions: ["source"] },
  build: { outDir: "dist", emptyOutDir: true, target: "es2022" },
  worker: { format: "es" },
  define: { __KILN_VERSION__: JSON.stringify(manifest.version) },
});
