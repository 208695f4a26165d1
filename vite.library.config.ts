// The library for pages without a bundler: one ES module, dist/kiln.browser.js.
import { defineConfig } from "vite";

export default defineConfig({
  resolve: { conditions: ["source"] },
  build: {
    outDir: "dist",
    emptyOutDir: false, // tsc's output lies there too
    copyPublicDir: false,
    target: "es2022",
    lib: { entry: "web/library.ts", formats: ["es"], fileName: () => "kiln.browser.js" },
    rolldownOptions: { output: { codeSplitting: false } },
  },
});
