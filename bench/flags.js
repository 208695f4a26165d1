// @ts-check
// Flags as the commands of cli/ read them: what is wrong ends the program with a line and exit status 2, what fails with status 1.
import { basename } from "node:path";
import { parseArgs } from "node:util";

/**
 * The values of a program's flags. `--help` prints `help` and ends the program.
 *
 * @template {NonNullable<import("node:util").ParseArgsConfig["options"]>} T
 * @param {string} help
 * @param {T} options
 */
export function readFlags(help, options) {
  const values = parse(options);
  if (!("help" in values)) return values;
  console.log(help);
  process.exit(0);
}

/** @template {NonNullable<import("node:util").ParseArgsConfig["options"]>} T @param {T} options */
function parse(options) {
  const help = /** @type {const} */ ({ type: "boolean", short: "h" });
  try {
    return parseArgs({ options: { ...options, help } }).values;
  } catch (error) {
    // What follows the first sentence is about arguments that begin with a dash.
    return refuse(/** @type {Error} */ (error).message.split(/\. |\n/)[0]);
  }
}

/** @param {string} message @returns {never} */
export const refuse = (message) => end(message, 2);

/** @param {string} message @returns {never} */
export const fail = (message) => end(message, 1);

/** @param {string} message @param {number} status @returns {never} */
function end(message, status) {
  console.error(`${basename(process.argv[1], ".js")}: ${message}`);
  process.exit(status);
}

/** @param {string} flag without its dashes @param {string} value */
export function wholeNumber(flag, value) {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1) return number;
  return refuse(`--${flag} ${value}: must be a whole number from 1 on`);
}

/** @param {string} flag without its dashes @param {string} value */
export function positiveNumber(flag, value) {
  const number = Number(value);
  if (Number.isFinite(number) && number > 0) return number;
  return refuse(`--${flag} ${value}: must be a number above 0`);
}
