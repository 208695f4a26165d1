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
  fileParallelism: false,
};

// One worker and one shared device: every worker would compile every pipeline again (0.5 to 2 s each on a software GPU).
// The `source` condition makes `#open-gpu` and `#files` resolve to the TypeScript sources, never to a stale build.
const node: TestProjectInlineConfiguration = {
  resolve: { conditions: ["source", "node"] },
  ssr: { resolve: { conditions: ["source", "node"], externalConditions: ["node"] } },
  test: {
    ...common,
    name: "node",
    include: ["test/**/*.test.ts"],
    exclude: ["test/browser/**"],
    pool: "forks",
    maxWorkers: 1,
    sequence: { groupOrder: 0 },
  },
};

function inChromium(program: string): TestProjectInlineConfiguration {
  return {
    resolve: { conditions: ["source"] },
    // A package that is found in mid-run is bundled then, and the page loaded again under its tests.
    optimizeDeps: { include: ["@observablehq/plot", "comlink", "linkedom/worker"] },
    test: {
      ...common,
      name: "chromium",
      include: [`test/ops/${CORE}.test.ts`, "test/browser/*.test.ts"],
      sequence: { groupOrder: 1 },
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

const projects = [node];
if (!skipsWithoutChromium("no tests were run in a browser")) projects.push(inChromium(executablePath!));

export default defineConfig({ test: { projects } });
