// The page: web/ -> web/dist, static files that work from any path.
import { defineConfig } from "vite";
import manifest from "./package.json" with { type: "json" };
import { kernelTour } from "./scripts/kernel-tour.js";
import { offline } from "./scripts/offline.js";

export default defineConfig({
  root: "web",
  base: "./",
  plugins: [kernelTour(), offline()],
  resolve: { conditions: ["kiln-source"] },
  build: { outDir: "dist", emptyOutDir: true, target: "es2022" },
  worker: { format: "es" },
  define: { __KILN_VERSION__: JSON.stringify(manifest.version) },
});
