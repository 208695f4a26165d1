import { defineConfig } from "vitest/config";

// One worker and one shared device: every worker would compile every pipeline again (0.5 to 2 s each on a software GPU).
// The `source` condition makes `#open-gpu` and `#files` resolve to the TypeScript sources, never to a stale build.
export default defineConfig({
  resolve: { conditions: ["source", "node"] },
  ssr: { resolve: { conditions: ["source", "node"], externalConditions: ["node"] } },
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 1,
    isolate: false,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
