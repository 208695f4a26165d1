#!/usr/bin/env node
// @ts-check
// Measures the kernel tour (docs/kernels) on this machine: every rung of every family, and the production kernels beside them.
import { readFlags, refuse, wholeNumber } from "./flags.js";
import { families } from "./ladder/families.js";
import { openKit } from "./ladder/kit.js";
import { measureFamily } from "./ladder/measure.js";
import { showTable } from "./ladder/table.js";

const USAGE = `npm run ladder -- [options]
  --family <name>    only this family, or several: ${families.map(({ name }) => name).join(", ")}
  --rounds <n>       runs of each rung, taken in turns; the median counts (9)
  --adapter <name>   part of the adapter's name
  --json             prints the measurements as JSON
  --help             prints this`;

const flags = readFlags(USAGE, {
  family: { type: "string", multiple: true },
  rounds: { type: "string", default: "9" },
  adapter: { type: "string" },
  json: { type: "boolean", default: false },
});
await main();

async function main() {
  const unknown = flags.family?.find((name) => families.every((family) => family.name !== name));
  const rounds = wholeNumber("rounds", flags.rounds);
  if (unknown !== undefined) refuse(`--family ${unknown}: there are ${families.map(({ name }) => name).join(", ")}`);
  const kit = await openKit(flags.adapter);
  const device = kit.engine.currentDevice();
  const { info } = device;
  if (!flags.json) console.log(`${info.description} (kernels: ${device.family}, subgroups of ${info.subgroupSize})`);
  const results = [];
  for (const family of families.filter(({ name }) => flags.family?.includes(name) ?? true)) {
    const result = await measureFamily(kit, family, rounds);
    results.push(result);
    if (!flags.json) console.log(`\n${showTable(result)}`);
  }
  if (flags.json) console.log(JSON.stringify({ adapter: info, rounds, families: results }, null, 2));
  device.dispose();
}
