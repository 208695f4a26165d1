// The names that tensors have in files written by others.

/** Prefixes of wrappers, one or several: PyTorch's DataParallel and torch.compile. */
const WRAPPERS = /^(module\.|_orig_mod\.)+/;

/** The names that `name` may mean in a model, best first: itself, then torchvision's names for the common CIFAR ones. */
export function aliasesOf(name: string): string[] {
  const bare = name.replace(WRAPPERS, "");
  const torchvision = bare.replace(/\.shortcut\.(?=\d)/g, ".downsample.").replace(/^linear\./, "fc.");
  return [...new Set([name, bare, torchvision])];
}

/**
 * Finds the tensor of a file for each name of a model.
 *
 * @returns the file's names by the model's, and the file's names that mean nothing to the model
 * @throws Error where two names of the file mean the same
 */
export function matchNames(
  modelNames: ReadonlySet<string>,
  fileNames: Iterable<string>,
  origin: string,
): { matched: Map<string, string>; unexpected: string[] } {
  const matched = new Map<string, string>();
  const unexpected: string[] = [];
  for (const fileName of fileNames) {
    const name = aliasesOf(fileName).find((alias) => modelNames.has(alias));
    if (name === undefined) unexpected.push(fileName);
    else if (matched.has(name)) {
      throw new Error(`${origin}: "${matched.get(name)!}" and "${fileName}" are both the model's "${name}"`);
    } else matched.set(name, fileName);
  }
  return { matched, unexpected };
}

/** `"a", "b", "c" and 4 more` */
export function listNames(names: readonly string[], most = 3): string {
  const shown = names
    .slice(0, most)
    .map((name) => `"${name}"`)
    .join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
