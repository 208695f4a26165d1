// The library for pages without a bundler: one ES module, dist/kiln.browser.js, and its types.
import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";
import manifest from "./package.json" with { type: "json" };

const ENTRY = "web/library.ts";

/** The names are those of the entry, their types lie in dist/ where tsc has put them. */
function types(): Plugin {
  return {
    name: "kiln-types",
    generateBundle() {
      const source = readFileSync(ENTRY, "utf8").replaceAll('"../', '"./').replaceAll('.ts"', '.js"');
      this.emitFile({ type: "asset", fileName: "kiln.browser.d.ts", source });
    },
  };
}

// A model's summary and its errors call layers by the names of their classes.
const keepNames = { class: true, function: false };

export default defineConfig({
  plugins: [types()],
  resolve: { conditions: ["kiln-source"] },
  build: {
    outDir: "dist",
    emptyOutDir: false, // tsc's output lies there too
    copyPublicDir: false,
    target: "es2022",
    lib: { entry: ENTRY, formats: ["es"], fileName: () => "kiln.browser.js" },
    rolldownOptions: {
      output: {
        codeSplitting: false,
        minify: { compress: { target: "es2022", keepNames }, mangle: { keepNames }, codegen: true },
        postBanner: `/*! Kiln ${manifest.version} | (c) The Kiln authors | MIT License */`,
      },
    },
  },
});
