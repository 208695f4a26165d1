// The small run that the page trains in tests.
import type { Visit } from "./visit.ts";

/** 8 steps of few images: a software GPU takes 60 ms for one. */
export const recipe = { model: "resnet8", epochs: 2, limit: 32, "limit-test": 16, "batch-size": 8, lr: 0.01, seed: 3 };
export const link = (more: Record<string, string | number> = {}): string =>
  new URLSearchParams(Object.entries({ ...recipe, ...more }).map(([name, value]) => [name, String(value)])).toString();

/** The losses of the steps of the run that the page has kept. */
export async function losses({ page }: Visit): Promise<number[]> {
  const text = await page.evaluate(async () => {
    interface Kiln {
      session: { runFile(name: string): Promise<{ bytes: Uint8Array }> };
    }
    const { session } = (globalThis as unknown as { kiln: Kiln }).kiln;
    return new TextDecoder().decode((await session.runFile("steps.jsonl")).bytes);
  });
  return text
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { loss: number }).loss);
}
