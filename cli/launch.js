// Runs a command of the build, or says how to make the build.
import { existsSync } from "node:fs";

/** @param {string} name a file of cli/commands */
export async function launch(name) {
  const built = new URL(`../dist/cli/commands/${name}.js`, import.meta.url);
  if (existsSync(built)) {
    const { main } = await import(built.href);
    await main(process.argv.slice(2));
    return;
  }
  process.stderr.write(`${name}: Kiln is not built yet; run \`npm run setup\`\n`);
  process.exitCode = 1;
}
