// A peer's side of the conversation with run.js: JSON lines, orders on standard input and answers on standard output.
import { createInterface } from "node:readline";

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

/**
 * Makes a training step ready, then runs as many as it is asked for. Each step is waited for by reading its loss.
 *
 * @param {(options: { batchSize: number, napping: boolean }) => Promise<{
 *   version: string, adapter?: string, parameters: number, step: () => Promise<number> }>} open `step` does one step and
 *   returns its loss
 */
export async function serve(open) {
  const options = JSON.parse(process.argv[2]);
  const { step, ...about } = await open(options);
  const began = performance.now();
  const loss = await step();
  say({ ...about, loss, seconds: (performance.now() - began) / 1000 });
  for await (const line of createInterface({ input: process.stdin })) say(await round(step, JSON.parse(line).steps));
  // Dawn keeps a process alive.
  process.exit(0);
}

async function round(step, steps) {
  const milliseconds = [];
  let loss = NaN;
  for (let i = 0; i < steps; i++) {
    const began = performance.now();
    loss = await step();
    milliseconds.push(performance.now() - began);
  }
  return { milliseconds, loss };
}
