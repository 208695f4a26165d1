#!/usr/bin/env node
// The same training step of ResNet-18 in Kiln, jax-js, TensorFlow.js (all three on one WebGPU adapter) and PyTorch's CPU kernels.
// npm ci --prefix bench/peers && node bench/peers/run.js --batch-size 32
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { loadavg } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Peer } from "./peer.js";
import { report } from "./report.js";
import { PARAMETERS } from "./resnet18.js";

const HELP = `Usage: node bench/peers/run.js [options]

  --batch-size <n>   images a step (default: 32)
  --rounds <n>       how often each peer has its turn (default: 3)
  --seconds <s>      how long a turn should be; at least one step (default: 3)
  --peers <names>    of kiln, jax-js, tensorflow.js, pytorch, with commas between them (default: all that are installed)
  --napping          give jax-js and TensorFlow.js Kiln's wait, which leaves the processor to the kernels
  --python <path>    a Python with PyTorch (default: the first of python3 and /usr/bin/python3 that has it)
  --json             print the figures as JSON`;

const flags = readFlags({
  "batch-size": { type: "string", default: "32" },
  rounds: { type: "string", default: "3" },
  seconds: { type: "string", default: "3" },
  peers: { type: "string" },
  napping: { type: "boolean", default: false },
  python: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
});
/** A peer in JavaScript, and the files without which it cannot run. */
const script = (file, needed, advice) => ({
  command: () => [process.execPath, at(file)],
  lacks: () => (needed.every((path) => existsSync(at(path))) ? null : advice),
});
const INSTALL = "its packages are missing; run `npm ci --prefix bench/peers`";
const BUILD = "it is not built yet; run `npm run setup`";

/** How each is started, and what it lacks. */
const PEERS = {
  kiln: script("kiln.js", ["../../dist/cli/commands/bench/steps.js"], BUILD),
  "jax-js": script("jax.js", ["node_modules/webgpu", "node_modules/@jax-js/jax"], INSTALL),
  "tensorflow.js": script("tensorflow.js", ["node_modules/webgpu", "node_modules/@tensorflow/tfjs-core"], INSTALL),
  pytorch: {
    command: () => [python(), at("torch_cpu.py")],
    lacks: () => (python() ? null : "no Python with PyTorch was found; name one with --python"),
  },
};

if (flags.help) console.log(HELP);
else process.exitCode = await main();

async function main() {
  const options = { batchSize: whole("batch-size"), napping: flags.napping };
  const [rounds, seconds] = [whole("rounds"), positive("seconds")];
  const asked = flags.peers?.split(",");
  const unknown = asked?.find((name) => !Object.hasOwn(PEERS, name));
  if (unknown !== undefined) return fail(`--peers: there is no "${unknown}"; see --help`, 2);
  const busy = loadavg()[0];
  const peers = [];
  try {
    const wanted = Object.keys(PEERS).filter((name) => asked?.includes(name) ?? true);
    const installed = wanted.filter((name) => isInstalled(name, asked === undefined && name !== "kiln"));
    for (const name of installed) peers.push(await start(name, [...PEERS[name].command(), JSON.stringify(options)]));
    const results = await interleave(peers, rounds, seconds);
    const wrong = report({ results, ...options, rounds, busy, json: flags.json });
    await Promise.all(peers.map((peer) => peer.close()));
    return wrong ? 1 : 0;
  } catch (error) {
    for (const peer of peers) peer.kill();
    return fail(error.message, 1);
  }
}

function readFlags(options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return process.exit(fail(error.message.split("\n")[0], 2));
  }
}

function fail(message, status) {
  process.stderr.write(`peers: ${message}\n`);
  return status;
}

function positive(name) {
  const value = Number(flags[name]);
  if (value > 0 && Number.isFinite(value)) return value;
  process.exit(fail(`--${name} must be a number above 0, not ${flags[name]}`, 2));
}

function whole(name) {
  const value = positive(name);
  if (Number.isInteger(value)) return value;
  process.exit(fail(`--${name} must be a whole number, not ${flags[name]}`, 2));
}

/** Else says what it lacks, which is an error unless it may be left out. */
function isInstalled(name, optional) {
  const lacks = PEERS[name].lacks();
  if (lacks === null) return true;
  if (!optional) throw new Error(`${name}: ${lacks}`);
  process.stderr.write(`peers: ${name} is left out: ${lacks}\n`);
  return false;
}

function at(file) {
  return fileURLToPath(new URL(file, import.meta.url));
}

function python() {
  return [flags.python, "python3", "/usr/bin/python3"].find(
    (path) => path !== undefined && spawnSync(path, ["-c", "import torch"], { stdio: "ignore" }).status === 0,
  );
}

async function start(name, command) {
  const peer = new Peer(name, command);
  await peer.ready();
  const { version, parameters, seconds } = peer.first;
  process.stderr.write(`${name} ${version}: first step ${seconds.toFixed(1)} s\n`);
  if (parameters === PARAMETERS) return peer;
  peer.kill();
  throw new Error(`${name} trains another net: it has ${parameters} parameters, not ${PARAMETERS}`);
}

/** Bursts of other work on the machine then hit all alike. */
async function interleave(peers, rounds, seconds) {
  const results = peers.map((peer) => ({ name: peer.name, ...peer.first, firstLoss: peer.first.loss, steps: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const [i, peer] of peers.entries()) {
      // The last turn says how many steps fit into this one; before the first there is only the step that compiled.
      const known = results[i].steps.at(-1)?.at(-1) ?? (await peer.run(1)).milliseconds[0];
      const { milliseconds, loss } = await peer.run(Math.max(1, Math.round((1000 * seconds) / known)));
      results[i].steps.push(milliseconds);
      results[i].loss = loss;
      await pause(300); // PyTorch's threads spin on for a while
    }
    process.stderr.write(`round ${round + 1} of ${rounds} done\n`);
  }
  return results;
}
