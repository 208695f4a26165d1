#!/usr/bin/env node
// @ts-check
// What a real GPU's compiler makes of every kernel of a training step, without the GPU: Mesa's driver for AMD cards compiles for any of
// them (RADV_FORCE_FAMILY), and prints registers and machine code. A layer (compiler/layer.c) makes it go on where it would need the card.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFlags, refuse, wholeNumber } from "./flags.js";
import { FAILURE_MARK, readListing } from "./compiler/listing.js";

const HELP = `Usage: node bench/compiler.js [options]

Compiles the kernels of a training step for an AMD card that need not be there, and prints of each: vector registers, those spilled, waves
that fit on a SIMD, bytes of workgroup memory (LDS), and of its longest loop the instructions: how many there are, multiply-adds, products of
matrices, loads from workgroup memory and from memory, and the multiply-adds or products between a load from memory and the wait for
it. Exits with status 1 where a kernel spills registers, or waits for its loads before it multiplies.

For Linux: needs a C compiler, Vulkan's headers and Mesa's RADV (Debian: gcc libvulkan-dev mesa-vulkan-drivers).

  --model <name>        as of bench.js (default: resnet18)
  --batch-size <n>      images a step (default: 512)
  --precision <name>    f32 or mixed (default: f32)
  --family <name>       the card, as RADV names it (default: navi31)
  --out <file>          also the compiler's whole listing
  --help`;

const flags = readFlags(HELP, {
  model: { type: "string", default: "resnet18" },
  "batch-size": { type: "string", default: "512" },
  precision: { type: "string", default: "f32" },
  family: { type: "string", default: "navi31" },
  out: { type: "string" },
});
wholeNumber("batch-size", flags["batch-size"]);
if (!["f32", "mixed"].includes(flags.precision)) refuse(`--precision ${flags.precision}: must be f32 or mixed`);

const folder = mkdtempSync(join(tmpdir(), "kiln-compiler-"));
try {
  show(compileAll());
} finally {
  rmSync(folder, { recursive: true });
}

/** The compiler's listing of all kernels, each behind a line with its name. */
function compileAll() {
  const listing = join(folder, "listing");
  const { model, precision } = flags;
  const child = spawnSync(
    process.execPath,
    [join(import.meta.dirname, "compiler", "compile.js"), model, flags["batch-size"], precision],
    {
      env: {
        ...process.env,
        VK_DRIVER_FILES: driver(),
        VK_ICD_FILENAMES: driver(), // its name before loader 1.3.207
        VK_LAYER_PATH: layer(),
        VK_INSTANCE_LAYERS: "VK_LAYER_KILN_no_card",
        RADV_FORCE_FAMILY: flags.family,
        RADV_DEBUG: "nocache,shaders,shaderstats",
      },
      stdio: ["ignore", "pipe", openSync(listing, "w")],
      encoding: "utf8",
    },
  );
  const text = readFileSync(listing, "utf8");
  if (flags.out) writeFileSync(flags.out, text);
  if (child.status === 0) return text;
  const said = text.split("\n").findLast((line) => line.startsWith(FAILURE_MARK));
  return refuse(said?.slice(FAILURE_MARK.length) ?? `RADV has no card named ${flags.family}, or crashed`);
}

/** RADV's description for the Vulkan loader. */
function driver() {
  const drivers = "/usr/share/vulkan/icd.d";
  const name = existsSync(drivers) && readdirSync(drivers).find((file) => /^radeon_icd.*json$/.test(file));
  return name ? join(drivers, name) : refuse(`there is no RADV in ${drivers}: install mesa-vulkan-drivers`);
}

/** Builds the layer; returns the folder of its description. */
function layer() {
  const [source, library] = [join(import.meta.dirname, "compiler", "layer.c"), join(folder, "layer.so")];
  const built = spawnSync("cc", ["-O1", "-shared", "-fPIC", source, "-o", library], { encoding: "utf8" });
  if (built.status !== 0)
    refuse(`cc cannot compile layer.c: install gcc and libvulkan-dev\n${built.stderr ?? ""}`.trimEnd());
  const description = {
    file_format_version: "1.2.0",
    layer: {
      name: "VK_LAYER_KILN_no_card",
      type: "GLOBAL",
      library_path: library,
      api_version: "1.3.0",
      implementation_version: "1",
      description: "Lets a driver compile without a card",
    },
  };
  mkdirSync(join(folder, "layers"));
  writeFileSync(join(folder, "layers", "layer.json"), JSON.stringify(description));
  return join(folder, "layers");
}

/** @param {string} listing */
function show(listing) {
  const kernels = readListing(listing);
  console.log("registers spilled waves   LDS   loop  fma wmma LDS mem hide  kernel");
  for (const { name, registers, spilled, waves, lds, loop } of kernels) {
    const ofLoop = loop
      ? [loop.instructions, loop.multiplyAdds, loop.matrixProducts, loop.ldsLoads, loop.memoryLoads, loop.hiding]
      : [];
    const widths = [9, 7, 5, 5, 6, 4, 4, 3, 3, 4];
    const columns = widths.map((width, i) =>
      String([registers, spilled, waves, lds, ...ofLoop][i] ?? "").padStart(width),
    );
    console.log([...columns, ` ${name}`].join(" "));
  }
  for (const { name, spilled } of kernels) if (spilled > 0) complain(`${name} spills ${spilled} registers`);
  for (const { name, loop } of kernels) if (waits(loop)) complain(`${name} waits for its loads before it multiplies`);
}

/** Whether a loop that multiplies tiles has nothing to do while its loads are under way. @param {import("./compiler/listing.js").Loop | null} loop */
function waits(loop) {
  const multiplies = loop !== null && (loop.multiplyAdds >= 256 || loop.matrixProducts >= 4);
  return multiplies && loop.memoryLoads > 0 && loop.hiding === 0;
}

/** @param {string} problem */
function complain(problem) {
  console.error(`compiler: ${problem}`);
  process.exitCode = 1;
}
