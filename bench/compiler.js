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

Compiles the kernels of a training step for an AMD card that need not be there, and prints of each kernel:
  registers   vector registers
  spilled     registers of either kind that did not fit
  waves       of 32 invocations that fit on a SIMD; a wave of 64 counts twice
  LDS         bytes of workgroup memory
and of its longest loop:
  loop        instructions
  fma, wmma   multiply-adds and products of matrices among them
  ds, mem     loads from workgroup memory and from memory
  hide        the multiply-adds or products between a load from memory and the wait for it

Exits with status 1 where a kernel spills registers, or waits for its loads before it multiplies.

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

const INTERRUPTED = 130; // as of a shell
const folder = mkdtempSync(join(tmpdir(), "kiln-compiler-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
process.once("SIGINT", () => process.exit(INTERRUPTED));
try {
  show(compileAll());
} catch (error) {
  complain(/** @type {Error} */ (error).message);
}

/** The compiler's listing of all kernels, each behind a line with its name. */
function compileAll() {
  if (!existsSync(join(import.meta.dirname, "../dist"))) throw new Error("there is no dist/: `npm ci` builds it");
  const listing = join(folder, "listing");
  const { model, precision } = flags;
  const drivers = driver();
  const child = spawnSync(
    process.execPath,
    [join(import.meta.dirname, "compiler", "compile.js"), model, flags["batch-size"], precision],
    {
      env: {
        ...process.env,
        VK_DRIVER_FILES: drivers,
        VK_ICD_FILENAMES: drivers, // its name before loader 1.3.207
        VK_LAYER_PATH: layer(),
        VK_INSTANCE_LAYERS: "VK_LAYER_KILN_no_card",
        RADV_FORCE_FAMILY: flags.family,
        RADV_DEBUG: "nocache,shaders,shaderstats",
      },
      stdio: ["ignore", "ignore", openSync(listing, "w")],
    },
  );
  if (child.signal === "SIGINT") process.exit(INTERRUPTED);
  const text = readFileSync(listing, "utf8");
  if (flags.out) writeFileSync(flags.out, text);
  if (child.status === 0) return text;
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const said = lines.findLast((line) => line.startsWith(FAILURE_MARK))?.slice(FAILURE_MARK.length);
  const unknown = text.includes("Unknown family") ? `RADV knows no card named ${flags.family}` : undefined;
  throw new Error(said ?? unknown ?? `the driver crashed${lines.length > 0 ? `; its last line: ${lines.at(-1)}` : ""}`);
}

/** RADV's description for the Vulkan loader. */
function driver() {
  const drivers = "/usr/share/vulkan/icd.d";
  const names = existsSync(drivers) ? readdirSync(drivers).filter((file) => /^radeon_icd.*json$/.test(file)) : [];
  if (names.length === 0) throw new Error(`there is no RADV in ${drivers}: install mesa-vulkan-drivers`);
  return names.map((name) => join(drivers, name)).join(":"); // one for each architecture; the loader takes its own
}

/** Builds the layer; returns the folder of its description. */
function layer() {
  const [source, library] = [join(import.meta.dirname, "compiler", "layer.c"), join(folder, "layer.so")];
  const built = spawnSync("cc", ["-O1", "-shared", "-fPIC", source, "-o", library], { encoding: "utf8" });
  if (built.status !== 0) {
    throw new Error(`cc cannot compile layer.c: install gcc and libvulkan-dev\n${built.stderr ?? ""}`.trimEnd());
  }
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
  console.log("registers spilled waves   LDS   loop  fma wmma  ds mem hide  kernel");
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
  const unread = kernels.some(({ registers, spilled }) => Number.isNaN(registers + spilled));
  if (unread || !kernels.some(({ loop }) => loop)) complain("this driver's listing is not as expected: see --out");
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
