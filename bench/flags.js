import { basename } from "node:path";

/**
 * A flag's value as a number. Anything but a whole number from 1 on ends the program with one line.
 *
 * @param {string} flag without its dashes
 * @param {string} value
 */
export function wholeNumber(flag, value) {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1) return number;
  console.error(`${basename(process.argv[1], ".js")}: --${flag} ${value}: must be a whole number from 1 on`);
  process.exit(1);
}
