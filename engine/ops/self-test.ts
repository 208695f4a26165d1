// Known-answer checks of optional features, run when a device opens: drivers exist that list a feature and compute nonsense.
import { kernels } from "../../shaders/kernels.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { empty } from "../tensor.ts";

/** True if subgroups of `lanes` invocations behave as the subgroup kernels need. */
export async function subgroupsWork(lanes: number): Promise<boolean> {
  const ok = scope(() => {
    const ok = empty([lanes], "u32");
    launch(kernels.selfTest.subgroups, { bindings: { ok }, constants: { LANES: lanes }, workgroups: 1 });
    return ok;
  });
  try {
    return (await ok.data()).every((v) => v === 1);
  } catch {
    return false;
  } finally {
    ok.dispose();
  }
}
