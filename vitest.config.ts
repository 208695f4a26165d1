import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { executablePath, skipsWithoutChromium, WEBGPU_FLAGS } from "./test/support/chromium.ts";

/** The part of the op suite that runs in Chromium too. The rest, conv2d-matrix above all, mostly waits for shaders to compile. */
const CORE =
  "{augment,batch-norm,binary,cast,conv2d,conv2d-grouped,conv2d-mixed,conv2d-sums,conv2d-winograd,conv2d-winograd-choice,cross-entropy,dropout,gather,matmul,optimizer-step,pool,reduce,resize,softmax,strided,unary,view}";

const minutes = 60_000;
/** Many times what anything takes: machines can be slow, and a test that hangs is seen anyhow. */
const common = {
  testTimeout: 5 * minutes,
  hookTimeout: 5 * minutes,
  expect: { poll: { timeout: 0.5 * minutes } },
  isolate: false,
};

/** Tests that open pages in Chromium by themselves, which keeps all cores busy. */
const PAGES = ["test/web/*.test.ts", "test/report-chromium.test.ts"];

/** Tests of kernels with barriers, mostly those for real GPUs, which do not ask how many lanes a subgroup has; the ladder's that do take either number. */
const GPU_TILES = ["test/ops/*-workgroup.test.ts", "test/ops/conv2d-matrix.test.ts", "test/ladder.test.ts"];

// lavapipe makes code for every lane of every load, and what it does about barriers takes the square of that: with 4 lanes instead of 8 these
// kernels compile in a third of the time, and in three quarters of that without LLVM's optimizations, which take longer than they save here. Its
// cache of compiled shaders does not tell these apart, so these tests have one of their own.
const fourLanes = {
  LP_NATIVE_VECTOR_WIDTH: "128",
  GALLIVM_PERF: "nopt",
  MESA_SHADER_CACHE_DIR: fileURLToPath(new URL("node_modules/.cache/mesa-4-lanes", import.meta.url)),
};
mkdirSync(fourLanes.MESA_SHADER_CACHE_DIR, { recursive: true });

// A worker has one device, which its tests share: another would compile every pipeline again (0.5 to 2 s each on a software GPU). Most of the time
// goes to compiling, which keeps one core busy, so two workers share the files; what one has compiled the other finds in the driver's cache.
// The `kiln-source` condition makes `#open-gpu` and `#files` resolve to the TypeScript sources, never to a stale build.
const inNode = (own: NonNullable<TestProjectInlineConfiguration["test"]>): TestProjectInlineConfiguration => ({
  resolve: { conditions: ["kiln-source", "node"] },
  ssr: { resolve: { conditions: ["kiln-source", "node"], externalConditions: ["node"] } },
  test: { ...common, pool: "forks", ...own },
});

const gpuTiles = inNode({ name: "gpu-tiles", include: GPU_TILES, env: fourLanes, maxWorkers: 2 });
const node = inNode({
  name: "node",
  include: ["test/**/*.test.ts"],
  exclude: ["test/browser/**", ...PAGES, ...GPU_TILES],
  maxWorkers: 2,
});
const pages = inNode({ name: "pages", include: PAGES, maxWorkers: 1, sequence: { groupOrder: 1 } });

function inChromium(program: string): TestProjectInlineConfiguration {
  return {
    resolve: { conditions: ["kiln-source"] },
    // A package that is found in mid-run is bundled then, and the page loaded again under its tests.
    optimizeDeps: { include: ["@observablehq/plot", "comlink", "linkedom/worker"] },
    test: {
      ...common,
      name: "chromium",
      include: [`test/ops/${CORE}.test.ts`, "test/browser/*.test.ts"],
      fileParallelism: false,
      sequence: { groupOrder: 2 },
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({ launchOptions: { executablePath: program, args: [...WEBGPU_FLAGS] } }),
        instances: [{ browser: "chromium" }],
      },
    },
  };
}

const projects = [gpuTiles, node, pages];
if (!skipsWithoutChromium("no tests were run in a browser")) projects.push(inChromium(executablePath!));

export default defineConfig({ test: { projects } });
