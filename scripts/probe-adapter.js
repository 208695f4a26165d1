// @ts-check
/**
 * Asks Dawn for an adapter and prints one JSON line: { adapter: string | null } or { error: string }.
 * setup.js runs this in a child process, because Dawn writes to stderr natively and a broken driver can crash or hang.
 */

/** In a function of its own, so that nothing keeps Dawn's object (and with it the process) alive afterwards. */
async function probe() {
  const { create } = await import("webgpu");
  const adapter = await create([]).requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return { adapter: null };
  const { vendor, architecture, device, description } = adapter.info;
  return { adapter: description || device || [vendor, architecture].filter(Boolean).join(" ") || "unnamed adapter" };
}

try {
  console.log(JSON.stringify(await probe()));
} catch (error) {
  console.log(JSON.stringify({ error: String(error instanceof Error ? error.message : error).split("\n")[0] }));
}
