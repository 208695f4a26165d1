import { beforeAll, describe, expect, it } from "vitest";
import { scope, type Device, type Tensor } from "../../engine/index.ts";
import { relu } from "../../engine/ops/unary.ts";
import {
  BatchNorm2d,
  Conv2d,
  Counter,
  GELU,
  Linear,
  Module,
  Parameter,
  probe,
  ReLU,
  Sequential,
  State,
} from "../../nn/index.ts";
import * as init from "../../nn/init.ts";
import { testDevice, toGpu } from "../support/gpu.ts";

/** Every kind of field that is found, and some that are not. */
class Zoo extends Module {
  readonly scale = new Parameter([4], init.constant(2));
  readonly trunk = new Sequential(new Conv2d(3, 4, { bias: false }), new BatchNorm2d(4), new ReLU());
  readonly heads = [new Linear(4, 2), new Linear(4, 3, { bias: false })];
  readonly movingAverage = new State([2, 2], 7);
  readonly stepsTaken = new Counter();
  readonly tokens = [new Parameter([2], init.constant(1)), new Parameter([3], init.constant(1))];
  readonly branches = [[new Linear(2, 2, { bias: false })], []];
  readonly byTask = { near: new Linear(3, 1, { bias: false }), rest: { far: new Linear(1, 1) }, self: {} };
  readonly nothing = null;
  readonly size = 4;
  readonly #hidden = new Linear(9, 9);

  constructor() {
    super();
    this.byTask.self = this.byTask;
  }

  override forward(x: Tensor): Tensor {
    return this.#hidden.forward(x);
  }
}

describe("discovery", () => {
  const zoo = new Zoo();

  it("names parameters as PyTorch does: own ones first, then the children's, arrays by index", () => {
    expect(zoo.namedParameters().map(([name]) => name)).toEqual([
      "scale",
      "tokens.0",
      "tokens.1",
      "trunk.0.weight",
      "trunk.1.weight",
      "trunk.1.bias",
      "heads.0.weight",
      "heads.0.bias",
      "heads.1.weight",
      "branches.0.0.weight",
      "by_task.near.weight",
      "by_task.rest.far.weight",
      "by_task.rest.far.bias",
    ]);
  });

  it("names states and counters in snake case", () => {
    expect(zoo.namedState().map(([name]) => name)).toEqual([
      "moving_average",
      "trunk.1.running_mean",
      "trunk.1.running_var",
    ]);
    expect(zoo.namedCounters().map(([name]) => name)).toEqual(["steps_taken", "trunk.1.num_batches_tracked"]);
  });

  it("lists all entries in the order of a state dict", () => {
    expect(zoo.trunk.namedEntries().map(([name]) => name)).toEqual([
      "0.weight",
      "1.weight",
      "1.bias",
      "1.running_mean",
      "1.running_var",
      "1.num_batches_tracked",
    ]);
  });

  it("lists modules, parents first, and finds them by name", () => {
    expect(zoo.namedModules().map(([name]) => name)).toEqual([
      "",
      "trunk",
      "trunk.0",
      "trunk.1",
      "trunk.2",
      "heads.0",
      "heads.1",
      "branches.0.0",
      "by_task.near",
      "by_task.rest.far",
    ]);
    expect(zoo.module("trunk.2")).toBe(zoo.trunk.layers[2]);
    expect(() => zoo.module("trunk.7")).toThrow('Zoo: no module "trunk.7"; there are trunk.0, trunk.1, trunk.2');
    expect(() => zoo.module("body")).toThrow(
      'Zoo: no module "body"; there are trunk, heads.0, heads.1, branches.0.0, by_task.near,',
    );
  });

  it("counts a shared module once and survives a reference to the parent", () => {
    const shared = new Linear(4, 4);
    const twice = new Sequential(shared, new GELU(), shared);
    expect(twice.namedParameters().map(([name]) => name)).toEqual(["0.weight", "0.bias"]);
    expect(twice.parameterCount()).toBe(20);
    (shared as unknown as { parent: Module }).parent = twice;
    expect(twice.modules()).toHaveLength(3);
  });
});

describe("switches", () => {
  it("train() and eval() reach every module", () => {
    const zoo = new Zoo();
    expect(
      zoo
        .eval()
        .modules()
        .map((module) => module.training),
    ).not.toContain(true);
    expect(
      zoo
        .train()
        .modules()
        .map((module) => module.training),
    ).not.toContain(false);
  });

  it("freeze() takes whole names, not beginnings of words, and unfreeze() undoes it", () => {
    const net = new (class extends Module {
      readonly layer1 = new Linear(2, 2);
      readonly layer10 = new Linear(2, 2);
      override forward(x: Tensor): Tensor {
        return x;
      }
    })();
    const trained = (): string[] => net.namedParameters().flatMap(([name, p]) => (p.requiresGrad ? [name] : []));
    expect(net.freeze("layer1")).toEqual(["layer1.weight", "layer1.bias"]);
    expect(trained()).toEqual(["layer10.weight", "layer10.bias"]);
    net.unfreeze("layer1.bias");
    expect(trained()).toEqual(["layer1.bias", "layer10.weight", "layer10.bias"]);
    net.freeze();
    expect(trained()).toEqual([]);
    expect(() => net.freeze("layer")).toThrow(
      'freeze: no parameter\'s name begins with "layer"; the parts are layer1, layer10',
    );
  });
});

describe("toString", () => {
  it("prints the tree", () => {
    const net = new Sequential(
      new Conv2d(3, 4, { kernel: [3, 1], stride: 2, bias: false }),
      new Sequential(new BatchNorm2d(4)),
    );
    expect(net.toString()).toBe(
      [
        "Sequential(",
        "  (0): Conv2d(3, 4, kernel=[3,1], stride=2, bias=false)",
        "  (1): Sequential(",
        "    (0): BatchNorm2d(4, eps=0.00001, momentum=0.1)",
        "  )",
        ")",
      ].join("\n"),
    );
  });
});

describe("on a device", () => {
  let device: Device;
  beforeAll(async () => {
    device = await testDevice();
  });

  it("parameters take memory at their first use, survive scopes, and are freed with the module", async () => {
    const before = device.memory().tensors;
    const layer = new Linear(3, 2).initialize(4);
    expect(device.memory().tensors).toBe(before);
    const host = layer.weight.initialValues();
    scope(() => void layer.weight.view([6]));
    expect(device.memory().tensors).toBe(before + 1);
    expect(layer.weight.hostValues()).toBeNull();
    expect(await layer.weight.data()).toEqual(host);
    layer[Symbol.dispose]();
    expect(device.memory().tensors).toBe(before);
    expect(() => layer.weight.location()).toThrow("was freed");
  });

  it("values written before and after the first use arrive", async () => {
    using layer = new Linear(2, 2);
    layer.weight.write([1, 2, 3, 4]);
    expect(layer.weight.hostValues()).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(await layer.weight.array()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    layer.weight.write([5, 6, 7, 8]);
    expect(await layer.weight.array()).toEqual([
      [5, 6],
      [7, 8],
    ]);
    expect(() => layer.weight.write([1])).toThrow("1 values for a tensor [2,2]");
    layer.initialize(9);
    expect(await layer.weight.data()).toEqual(layer.weight.initialValues());
  });

  it("probe() returns what modules inside computed, with their graph, and leaves no trace", async () => {
    class Net extends Module {
      readonly first = new ReLU();
      readonly second = new GELU();
      override forward(x: Tensor): Tensor {
        return this.second.forward(this.first.forward(x));
      }
    }
    const net = new Net();
    const x = toGpu({ shape: [3], data: [-1, 2, 3] }, { requiresGrad: true });
    const { result, taps } = scope(() => probe(net, ["first"], () => net.forward(x)));
    expect(await taps.first.array()).toEqual([0, 2, 3]);
    taps.first.requiresGrad = true;
    result.backward(toGpu({ shape: [3], data: [1, 0, 0] }));
    expect(await taps.first.grad!.array()).toEqual([0.5, 0, 0]);
    expect(Object.keys(net.first)).toEqual(Object.keys(new ReLU()));
    expect(() => probe(net, ["second"], () => relu(x))).toThrow("probe: second did not run");
    expect(() => probe(net, ["third"], () => relu(x))).toThrow('no module "third"');
  });

  it("probe() leaves the caller's input alone where a module only passes it on", async () => {
    const net = new Sequential(new Sequential(), new ReLU());
    const x = toGpu({ shape: [3], data: [-1, 2, 3] });
    await Promise.resolve();
    scope(() => {
      const { taps } = probe(net, ["0"], () => net.forward(x));
      expect(taps["0"]).toBe(x);
    });
    expect(await x.array()).toEqual([-1, 2, 3]);
    x.dispose();
  });

  it("probe() leaves nothing behind: not of a module that runs twice, nor where something throws", () => {
    const before = device.memory().tensors;
    const net = new ReLU();
    const outer = new Sequential(net);
    scope(() => {
      const x = toGpu({ shape: [3], data: [-1, 2, 3] });
      const { taps } = probe(outer, ["0"], () => outer.forward(outer.forward(x)));
      expect(taps["0"].shape).toEqual([3]);
      const fails = (): never => {
        outer.forward(x);
        throw new Error("on purpose");
      };
      expect(() => scope(() => probe(outer, ["0"], fails))).toThrow("on purpose");
    });
    expect(device.memory().tensors).toBe(before);
  });
});
