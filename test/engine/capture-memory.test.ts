// capture(): memory that a captured step shares with the program around it. Replays must give what the program without it gives.
import { beforeAll, describe, expect, it } from "vitest";
import {
  capture,
  currentDevice,
  dropout,
  everyRun,
  fill,
  keep,
  scope,
  tensor,
  type Tensor,
} from "../../engine/index.ts";
import { SGD } from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";

beforeAll(testDevice);

const numbers = (value: number, count = 64): Tensor => tensor(new Array<number>(count).fill(value));
const first = async (x: Tensor): Promise<number> => (await x.data())[0];

describe("a captured step", () => {
  it("may free a tensor of the outside after its last use: the memory is not used before that", async () => {
    const old = numbers(5);
    using step = capture((x: Tensor) => {
      const z = x.mul(2).mul(old);
      old.dispose();
      return z;
    });
    using x = numbers(1);
    expect(await first(step(x))).toBe(10);
    expect(() => step(x)).toThrow("was freed");
  });

  it("frees such a tensor also where it fails", () => {
    const device = currentDevice();
    using x = numbers(1);
    const before = device.memory();
    const old = numbers(5);
    using step = capture((y: Tensor) => {
      y.mul(old);
      old.dispose();
      throw new Error("on the way");
    });
    expect(() => step(x)).toThrow("on the way");
    expect(device.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it("that adds to the gradient of a plain leaf says that it cannot be replayed", async () => {
    using w = tensor([1, 1], { requiresGrad: true });
    using step = capture((x: Tensor) => {
      w.mul(x).sum().backward();
      return x.square();
    });
    using x = tensor([1, 2]);
    for (const wanted of [
      [1, 2],
      [2, 4],
    ]) {
      step(x);
      expect(await w.grad!.array()).toEqual(wanted);
    }
    expect(() => step(x)).toThrow(/does not do the same at each call: .* binds another tensor/);
    w.grad?.dispose();
  });

  it("gives its memory back in order: what is uploaded there next waits for the replays before", async () => {
    using x = tensor(Array.from({ length: 64 }, (_, i) => i));
    const step = capture((y: Tensor) => y.mul(y).add(1).square());
    for (let call = 0; call < 3; call++) step(x);
    await currentDevice().idle();
    using last = step(x);
    step.dispose();
    const after = [7, 8, 9].map((value) => numbers(value));
    expect(await Promise.all(after.map(first))).toEqual([7, 8, 9]);
    expect([...(await last.data())].slice(0, 3)).toEqual([1, 4, 25]);
    for (const each of after) each.dispose();
  });

  it("that uploads into memory which dispatches still read lets these run first", async () => {
    const before = [1, 1, 1, 1].map((value) => numbers(value));
    await currentDevice().idle();
    const eager = before.map((each) => each.mul(2)); // encoded, not submitted
    for (const each of before) each.dispose(); // their memory is free
    using step = capture((x: Tensor) => x.add(numbers(100)));
    using x = numbers(1);
    expect(await first(step(x))).toBe(101);
    expect(await Promise.all(eager.map(first))).toEqual([2, 2, 2, 2]);
    for (const each of eager) each.dispose();
  });

  it("that fails leaves what its effects wrote, as the host believes that they did", async () => {
    using table = tensor([1]);
    let fails = true;
    using step = capture((x: Tensor) => {
      everyRun(() => void table.write([5]));
      if (fails) throw new Error("on the way");
      return x.mul(table);
    });
    using x = tensor([3]);
    expect(() => step(x)).toThrow("on the way");
    expect(await table.item()).toBe(5);
    fails = false;
    expect(await step(x).item()).toBe(15);
  });

  it("that fails has done what it did until then, as without capture(: gradients, steps of an optimizer", async () => {
    const after = async (captures: boolean): Promise<unknown[]> => {
      using w = tensor([1, 2, 3], { requiresGrad: true });
      using moved = tensor([4, 5, 6], { requiresGrad: true });
      using optimizer = new SGD([moved], { lr: 0.5 });
      const work = (x: Tensor): Tensor => {
        const loss = w.mul(w).mul(x).sum().add(moved.mul(x).sum());
        loss.backward();
        optimizer.step();
        throw new Error("on the way");
      };
      using x = tensor([1, 10, 100]);
      using step = capture(work);
      expect(() => (captures ? step(x) : scope(() => work(x)))).toThrow("on the way");
      const seen = [await w.grad!.array(), await moved.array(), await moved.grad!.array(), optimizer.steps];
      w.grad!.dispose();
      return seen;
    };
    const eager = await after(false);
    expect(eager).toEqual([[2, 40, 600], expect.anything(), [1, 10, 100], 1]);
    expect(await after(true)).toEqual(eager);
  });

  it("that is only looked at leaves zeros where its first call would compute what lasts", async () => {
    using w = tensor([1, 2], { requiresGrad: true });
    using step = capture((x: Tensor) => {
      w.mul(x).sum().backward();
      return x.square();
    });
    using x = tensor([5, 7]);
    expect(() => step.bytes(x)).toThrow("bytes: the captured step computes lasting tensors at its first call");
    expect(await w.grad!.array()).toEqual([0, 0]);
    step(x).dispose();
    expect(await w.grad!.array()).toEqual([5, 7]);
    w.grad!.dispose();
  });

  it("that is refused frees what it would have returned", async () => {
    using x = numbers(1);
    let n = 0;
    using step = capture((y: Tensor) => y.mul(y).add(n++));
    const before = currentDevice().memory().tensors;
    const calls = async (): Promise<void> => {
      for (let call = 0; call < 4; call++) {
        step(x).dispose();
        await currentDevice().idle();
      }
    };
    await expect(calls()).rejects.toThrow("does not do the same at each call");
    expect(currentDevice().memory().tensors).toBe(before);
  });

  it("that cannot be replayed leaves lasting tensors usable", async () => {
    let lasting: Tensor | null = null;
    using step = capture((x: Tensor) => {
      lasting ??= keep(tensor([7]));
      return x.add(fill(tensor([1]), 2)); // writes into what it uploads
    });
    using x = tensor([3]);
    expect(() => step(x)).toThrow("writes into a tensor that the step uploads");
    expect(await lasting!.item()).toBe(7);
    (lasting as unknown as Tensor).dispose();
  });

  it("returns whatever has a property named location", () => {
    using x = tensor([3]);
    using step = capture((y: Tensor) => ({ y: y.square(), at: { location: "here" } }));
    for (let call = 0; call < 3; call++) {
      const { y, at } = step(x);
      expect(at).toEqual({ location: "here" });
      y.dispose();
    }
  });

  it("refuses every way of reading back at once", () => {
    using x = tensor([3]);
    for (const read of [(y: Tensor) => y.data(), (y: Tensor) => y.array(), (y: Tensor) => y.item()]) {
      using step = capture((y: Tensor) => {
        read(y.square()).catch(() => undefined);
        return y;
      });
      expect(() => step(x)).toThrow("a captured step cannot read results back");
    }
  });

  it("takes parts of one buffer that lie ever elsewhere, as long as they do not overlap", async () => {
    using all = tensor(Array.from({ length: 64 * 40 }, (_, i) => Math.floor(i / 64)));
    using step = capture((x: Tensor, y: Tensor) => x.sub(y));
    for (let i = 1; i < 40; i++) expect(await first(step(all.range(64 * i, [64]), all.range(0, [64])))).toBe(i);
  });

  it("returns views of the arguments of each call", async () => {
    using step = capture((x: Tensor) => ({
      flat: x.reshape([2]),
      same: dropout(x, 0.5, { training: false }),
      y: x.mul(2),
    }));
    for (let call = 1; call <= 7; call++) {
      using x = tensor([[call, -call]]);
      const { flat, same, y } = step(x);
      expect(await flat.array()).toEqual([call, -call]);
      expect(await same.array()).toEqual([[call, -call]]);
      expect(await y.array()).toEqual([[2 * call, -2 * call]]);
    }
  });

  it("does not return a part of an argument, whose place would be lost", () => {
    using flat = numbers(1, 128);
    using step = capture((x: Tensor) => x.range(64, [3]));
    expect(() => step(flat)).toThrow("the step returns Tensor f32[3], a part of argument 0; return a copy of it");
  });

  it("tells apart arguments that share memory and others that do not", async () => {
    using step = capture((x: Tensor, y: Tensor) => x.mul(y));
    using flat = tensor([...new Array<number>(64).fill(2), ...new Array<number>(64).fill(3)]);
    const [a, b] = [flat.range(0, [64]), flat.range(64, [64])];
    using other = numbers(10);
    const calls: [Tensor, Tensor, number][] = [
      [a, a.view([64]), 4],
      [a, a.view([64]), 4],
      [a, other, 20],
      [a, b, 6],
      [b, a, 6],
      [b, b.view([64]), 9],
      [a, other, 20],
    ];
    for (const [x, y, wanted] of calls) expect(await first(step(x, y))).toBe(wanted);
  });

  it("runs effects that write in their place among the dispatches, the first call's too", async () => {
    const run = async (captured: boolean): Promise<number[]> => {
      using table = keep(tensor([1]));
      let calls = 0;
      const eager = (x: Tensor): Tensor => {
        const y = x.mul(table);
        everyRun(() => void table.write([++calls * 10]));
        return y.add(table);
      };
      using replayed = capture(eager);
      using x = tensor([1]);
      const found: number[] = [];
      for (let call = 0; call < 5; call++) found.push(await first((captured ? replayed : eager)(x)));
      return found;
    };
    const eager = await run(false);
    expect(eager).toEqual([11, 30, 50, 70, 90]);
    expect(await run(true)).toEqual(eager);
  });

  it("does not launch kernels in an effect", () => {
    using step = capture((x: Tensor) => {
      everyRun(() => void x.square());
      return x.mul(2);
    });
    using x = numbers(1);
    expect(() => step(x)).toThrow("an effect of every run may not launch elementwise/unary");
  });
});
