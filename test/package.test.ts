// The package as others use it: by its name and exports, from the build, in Node and through a bundler.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { readSources } from "./support/imports.ts";

const root = join(import.meta.dirname, "..");

/** DESIGN 4's program, small. Run from the checkout, the package finds itself by name. */
const program = `
import { openDevice, tensor } from "kiln/engine";
import { resnet8 } from "kiln/nn";
import { Trainer, Adam, crossEntropy, oneCycle, loadDataset } from "kiln/training";
const device = await openDevice();
const x = tensor([[1, 2], [3, 4]], { requiresGrad: true });
x.mul(x).sum().backward();
console.log(JSON.stringify(await x.grad.array()));
const { train, test } = await loadDataset("shapes", { limit: 8, limitTest: 4 });
const model = resnet8({ classes: 10 });
const optimizer = new Adam(model.parameters(), { lr: 1e-3, weightDecay: 5e-4 });
const trainer = new Trainer({ model, optimizer, loss: crossEntropy({ labelSmoothing: 0.1 }), batchSize: 4 });
const schedule = oneCycle({ maxLr: 0.01, totalSteps: trainer.steps(train, { epochs: 2 }) });
for await (const report of trainer.fit(train, { epochs: 2, schedule, validation: test }))
  if (report.type === "epoch") break; // = stop
console.log(JSON.stringify(test.images([0, 1]).shape));
device.dispose();
`;

describe("the package", () => {
  it("runs the design's program from its built exports, and the process ends by itself", async () => {
    const args = ["--input-type=module", "--eval", program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 });
    expect(stdout).toBe("[[2,4],[6,8]]\n[2,32,32,3]\n");
  });

  it("keeps bundlers from dropping modules that are imported for their effects", () => {
    const sources = readSources(root, ["engine", "nn", "training"]);
    // Who imports them counts too: of an index that only re-exports, a bundler takes the modules behind it alone.
    const found = [...sources].flatMap(([path, text]) =>
      [...text.matchAll(/^import "(\..+)";$/gm)].flatMap(([, to]) => [path, posix.join(posix.dirname(path), to)]),
    );
    const effects = [...new Set(found)];
    expect(effects).toContain("engine/methods.ts");
    const built = effects.map((path) => `dist/${path.replace(/ts$/, "js")}`);
    const { sideEffects } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { sideEffects: string[] };
    expect(sideEffects.sort()).toEqual([...effects, ...built].map((path) => `./${path}`).sort());
  });
});
