// capture(): what a replay could not repeat is an error that says so.
import { beforeAll, describe, expect, it } from "vitest";
import { capture, currentDevice, fromData, keep, scope, tensor, type Tensor } from "../../engine/index.ts";
import { testDevice } from "../support/gpu.ts";
import { numbers, results } from "./captured.ts";

beforeAll(testDevice);

describe("what a replay could not repeat", () => {
  it("a number that changes", async () => {
    let factor = 1;
    const step = capture((x: Tensor) => x.scale(factor++));
    await expect(results(step, 3)).rejects.toThrow(
      /capture: the captured step does not do the same at each call: the number \w+ of elementwise\/unary is 3 now and was 2 when recorded; pass a tensor/,
    );
  });

  it("a number that changes late", async () => {
    let calls = 0;
    let rate = 0.5;
    const step = capture((x: Tensor) => x.scale(rate));
    const later = (x: Tensor): Tensor => {
      if (++calls === 6) rate = 0.25;
      return step(x);
    };
    await expect(results(later, 8)).rejects.toThrow(/is 0.25 now and was 0.5 when recorded/);
  });

  it("numbers as arguments", () => {
    const step = capture((x: Tensor, rate: boolean) => x.scale(Number(rate)));
    using x = numbers(1);
    expect(() => step(x, 0.1 as unknown as boolean)).toThrow(
      /argument 1 of the captured step is 0.1: it would become a constant; pass a tensor/,
    );
  });

  it("reading back inside", () => {
    const step = capture((x: Tensor) => {
      void x.square().data();
      return x;
    });
    using x = numbers(1);
    expect(() => step(x)).toThrow(
      "a captured step cannot read results back; return the tensor and read it after the call",
    );
  });

  it("an await inside", () => {
    const step = capture((x: Tensor) => Promise.resolve(x));
    using x = numbers(1);
    expect(() => step(x)).toThrow("capture: the captured step returned a Promise; read results back after the call");
  });

  it("a tensor of the outside that was freed, its memory used for something else", async () => {
    let batch = numbers(5);
    const step = capture((x: Tensor) => x.add(batch));
    const later = (x: Tensor): Tensor => {
      const y = step(x);
      batch.dispose();
      batch = numbers(7);
      return y;
    };
    await expect(results(later, 3)).rejects.toThrow(
      /binary binds another tensor as \w+ than when recorded; pass what changes as an argument/,
    );
    batch.dispose();
  });

  it("a tensor of the outside that was freed after the check", async () => {
    const batch = numbers(5);
    const step = capture((x: Tensor) => x.add(batch));
    expect(await results(step, 2)).toEqual([6, 7]);
    batch.dispose();
    using other = numbers(9); // in its memory
    await expect(results(step, 1)).rejects.toThrow(
      /a tensor that elementwise\/binary uses was freed since the step was recorded/,
    );
    expect(await other.item()).toBe(9);
  });

  it("writing into a tensor of the outside", () => {
    using batch = numbers(5);
    const step = capture((x: Tensor) => x.add(batch.write([6])));
    using x = numbers(1);
    expect(() => step(x)).toThrow(/cannot write into a tensor that was there before.*pass the tensor as an argument/);
  });

  it("uploads that change", async () => {
    let value = 1;
    const step = capture((x: Tensor) => x.add(tensor([value++])));
    await expect(results(step, 3)).rejects.toThrow(
      /it uploads other values than when recorded; pass a tensor as an argument/,
    );
  });

  it("a result that is only uploaded", async () => {
    const step = capture(() => tensor([5]));
    await expect(results(step as (x: Tensor) => Tensor, 4)).rejects.toThrow(
      "it returns a tensor that it uploads; pass it as an argument",
    );
  });

  it("a tensor that the step keeps, once that is freed", async () => {
    let kept: Tensor | null = null;
    const step = capture((x: Tensor) => {
      kept = keep(x.square());
      return x.scale(2);
    });
    const later = (x: Tensor): Tensor => {
      const y = step(x);
      kept!.dispose();
      return y;
    };
    await expect(results(later, 3)).rejects.toThrow(
      /a tensor that elementwise\/unary uses was freed since the step was recorded, and its memory may hold something else/,
    );
  });

  it("values and tensors of the outside that it returns and that change", () => {
    let n = 0;
    const counts = capture((x: Tensor) => ({ y: x.square(), at: { n: n++ } }));
    const parts = [numbers(1), numbers(2), numbers(3)];
    const turns = capture((x: Tensor) => [x.square(), parts[n++ % 3]]);
    const more = capture((x: Tensor) => (n++ > 1 ? [x.square(), true] : [x.square()]));
    using x = numbers(2);
    const four = (step: (x: Tensor) => unknown) => (): void => {
      n = 0;
      for (let call = 0; call < 4; call++) scope(() => void step(x));
    };
    expect(four(counts)).toThrow("it returns another value as at.n than when recorded; return a tensor");
    expect(four(turns)).toThrow("it returns another tensor as 1 than when recorded; return a copy of it");
    expect(four(more)).toThrow("it returns another value than when recorded");
    for (const part of parts) part.dispose();
  });

  it("a tensor that it returns and keeps: whoever keeps it would have the first one for ever", () => {
    using w = tensor([1, 1], { requiresGrad: true });
    const gradients: Tensor[] = [];
    using step = capture((x: Tensor) => {
      w.grad = null;
      w.mul(x).sum().backward();
      gradients.push(w.grad!);
      return w.grad!;
    });
    using x = tensor([1, 2]);
    expect(() => {
      for (let call = 0; call < 4; call++) step(x);
    }).toThrow("it returns a tensor that it also keeps; return a copy");
    for (const gradient of gradients) gradient.dispose();
  });

  it("what goes wrong at a call that compares: the next one compares", async () => {
    using x = numbers(3);
    let [factor, fails] = [1, false];
    using step = capture((y: Tensor) => {
      if (fails) throw new Error("on the way");
      return y.scale(factor);
    });
    step(x).dispose();
    fails = true;
    expect(() => step(x)).toThrow("on the way");
    [factor, fails] = [5, false];
    expect(await step(x).item()).toBe(15);
    expect(await step(x).item()).toBe(15);
    factor = 6;
    expect(() => {
      for (let call = 0; call < 4; call++) step(x).dispose();
    }).toThrow("does not do the same at each call");
  });

  it("looking at a step within another one that is recorded", () => {
    using inner = capture((x: Tensor) => x.square());
    using outer = capture((x: Tensor) => {
      inner.bytes(x);
      return inner(x);
    });
    using x = numbers(3);
    expect(() => outer(x)).toThrow("bytes: the captured step is part of a step that is being recorded; do this before");
  });

  it("another branch", async () => {
    let calls = 0;
    const step = capture((x: Tensor) => (++calls === 3 ? x.exp() : x.square()));
    await expect(results(step, 8)).rejects.toThrow(
      /it runs elementwise\/unary \{.*\} now where it ran elementwise\/unary/,
    );
  });

  it("arguments that want gradients, and the graph of what is returned", () => {
    const step = capture((x: Tensor) => x.square().sum());
    using x = numbers(1);
    x.requiresGrad = true;
    expect(() => step(x)).toThrow(/argument 0 of the captured step requires a gradient: make that tensor inside/);
    using w = tensor([2], { requiresGrad: true });
    const loss = capture((y: Tensor) => w.mul(y).sum());
    using y = numbers(3);
    for (let i = 0; i < 3; i++) {
      using value = loss(y);
      expect(() => value.backward()).toThrow(
        "what a captured step returns has no graph; call backward() inside of the step",
      );
    }
  });

  it("ever new shapes", () => {
    const step = capture((x: Tensor) => x.square());
    const run = (n: number): void =>
      scope(() => void step(fromData(Float32Array.from({ length: n }, (_, i) => i), [n]))); // prettier-ignore
    for (let n = 1; n <= 32; n++) run(n);
    expect(() => run(33)).toThrow(/the captured step got more than 32 shapes of arguments/);
    // Programs of another choice of kernels make room.
    currentDevice().choices.load({});
    run(33);
    expect(step.toString().match(/^the captured step/gm)).toHaveLength(1);
    step.dispose();
  });
});
