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

// A worker has one device, which its tests share: another would compile every pipeline again (0.5 to 2 s each on a software GPU). Most of the time
// goes to compiling, which keeps one core busy, so two workers share the files; what one has compiled the other finds in the driver's cache.
// The `source` condition makes `#open-gpu` and `#files` resolve to the TypeScript sources, never to a stale build.
const inNode = (name: string, files: { include: string[]; exclude: string[] }, workers: number, groupOrder: number) =>
  ({
    resolve: { conditions: ["source", "node"] },
    ssr: { resolve: { conditions: ["source", "node"], externalConditions: ["node"] } },
    test: { ...common, name, ...files, pool: "forks", maxWorkers: workers, sequence: { groupOrder } },
  }) satisfies TestProjectInlineConfiguration;

const node = inNode("node", { include: ["test/**/*.test.ts"], exclude: ["test/browser/**", ...PAGES] }, 2, 0);
const pages = inNode("pages", { include: PAGES, exclude: [] }, 1, 1);

function inChromium(program: string): TestProjectInlineConfiguration {
  return {
    resolve: { conditions: ["source"] },
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

const projects: TestProjectInlineConfiguration[] = [node, pages];
if (!skipsWithoutChromium("no tests were run in a browser")) projects.push(inChromium(executablePath!));

export default defineConfig({ test: { projects } });
