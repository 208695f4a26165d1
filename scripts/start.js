// @ts-check
/**
 * `npm start`: the main job on the built-in data. Trains a small ResNet to tell ten drawn shapes apart, then measures it.
 * scripts/setup.js has run before, so packages, build and an adapter are there.
 */
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeOutFolder } from "../dist/cli/commands/shared/paths.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const recipe = ["--data", "shapes", "--model", "resnet8", "--epochs", "3", "--batch-size", "32", "--lr", "0.1"];

/**
 * Runs a command of cli/ on our terminal. Signals that reach us alone are passed on; it saves and ends, and then so do we.
 * @param {string} name
 * @param {string[]} args
 * @returns {Promise<number>} its exit status
 */
function run(name, args) {
  const child = spawn(process.execPath, [join(root, "cli", `${name}.js`), ...args], { stdio: "inherit" });
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
  const handlers = signals.map((signal) => {
    const pass = () => void child.kill(signal === "SIGHUP" ? "SIGTERM" : signal);
    process.on(signal, pass);
    return () => process.off(signal, pass);
  });
  return new Promise((done, fail) => {
    child.on("error", fail);
    child.on("exit", (status, signal) => {
      for (const remove of handlers) remove();
      done(status ?? (signal === "SIGINT" || signal === "SIGTERM" ? 130 : 1));
    });
  });
}

async function main() {
  const out = await makeOutFolder(undefined, "start");
  console.log("Kiln: training ResNet-8 on the built-in shapes, 5,000 images of ten classes.\n");
  const trained = await run("train", [...recipe, "--out", out]);
  if (trained !== 0) return trained;
  console.log("\nThe best weights on all test images:\n");
  const evaluated = await run("evaluate", ["--checkpoint", join(out, "best.safetensors"), "--out", out]);
  if (evaluated !== 0) return evaluated;
  console.log(`
Your run is in ${out}. Open report.html there: curves, mistakes, and where the model looked.

Next:
  node cli/train.js --data cifar10 --model resnet20     the real CIFAR-10, downloaded once (170 MB)
  node cli/train.js --data cifar10 --model resnet18     a larger net, best on a real GPU
  node cli/train.js --data FOLDER                       your own: FOLDER/train/<class>/*.jpg, FOLDER/test/<class>/*.jpg
  node cli/explain.js --checkpoint ${join(out, "best.safetensors")} --image PICTURE
  node cli/train.js --help                              every flag
  node cli/bench.js                                     how fast this GPU trains`);
  return 0;
}

process.exitCode = await main();
