import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const nodeGlobals = [
  "process",
  "console",
  "performance",
  "URL",
  "Buffer",
  "setTimeout",
  "clearTimeout",
  "fetch",
  "AbortSignal",
];

export default defineConfig(
  { ignores: ["dist/", "web/dist/", "node_modules/", "shaders/kernels.ts", "shaders/ladder.ts", "runs/"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      // TypeScript checks names itself, and knows the types that this rule takes for variables.
      "no-undef": "off",
    },
  },
  {
    files: ["**/*.js"],
    languageOptions: { globals: Object.fromEntries(nodeGlobals.map((name) => [name, "readonly"])) },
  },
);
