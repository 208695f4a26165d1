/**
 * The end of an "unknown name" message: the likely intended name, if any is close, and all that exist.
 *
 * @returns e.g. `; did you mean "cosine"? (known: constant, cosine, step)`
 */
export function suggestion(word: string, known: readonly string[]): string {
  const close = closest(word, known);
  return `${close === undefined ? "" : `; did you mean "${close}"?`} (known: ${known.join(", ")})`;
}

/**
 * Where types are not checked, an unknown word would choose some behaviour silently.
 *
 * @param words by the name of the option
 * @throws Error of one line naming the first that is not known
 */
export function checkWords(who: string, words: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  for (const [option, word] of Object.entries(words)) {
    if (known.includes(word as string)) continue;
    throw new Error(`${who}: unknown ${option} ${JSON.stringify(word)}${suggestion(String(word), known)}`);
  }
}

/** The nearest of `known` by edits, where few enough are needed that it was probably meant; else one that `word` begins. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_ ]/g, "");
  const meant = plain(word);
  const ranked = known
    .map((name) => ({ name, distance: editDistance(meant, plain(name)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best && best.distance <= Math.max(1, Math.floor(best.name.length / 3))) return best.name;
  return meant.length >= 3
    ? known.find((name) => plain(name).startsWith(meant) || meant.startsWith(plain(name)))
    : undefined;
}

/** Levenshtein's distance: insertions, deletions and replacements that turn one word into the other. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = previous[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[to.length];
}
