"""Makes reference.json: what PyTorch computes, for the parity tests.

    apt-get install --no-install-recommends python3-torch     # Debian 12: PyTorch 1.13
    /usr/bin/python3 test/pytorch/make-reference.py           # five minutes on two cores
    npx prettier --write test/pytorch/reference.json

Starting weights, images and labels come from a formula that formula.ts evaluates too, so only results are stored:

  hash(name, i)  32-bit FNV-1a of the name's UTF-8 bytes, plus i * 0x9e3779b9, through the "lowbias32" finaliser
                 (h ^= h >> 16; h *= 0x7feb352d; h ^= h >> 15; h *= 0x846ca68b; h ^= h >> 16), all mod 2^32
  unit(name, i)  (hash >> 8) / 2^23 - 1, in [-1, 1) and exact in float32
  value          offset + scale * unit(name, i) in float64, rounded once to float32; i counts in PyTorch's (NCHW, KCRS) order

Two kinds of starting weights. "plain": uniform with PyTorch's own bounds. It serves for logits, not for training steps: of
its millions of activations about one lies within float32's rounding error of ReLU's kink, falls on either side of it
by chance, and moves gradients by 1e-3 and three steps' weights by 1e-1, so that not even PyTorch agrees with itself. "calm":
batch-norm weights and biases that keep activations away from the kink (inside a block 2.5 deviations to either side, after an
addition 4 above), with images small enough that none comes near; then float32 and float64 agree to 1e-5 after three steps.

Models run in float32 and in float64 (from the same float32 values): the difference is PyTorch's own rounding error, the yardstick
for ours. Of training steps twelve such differences are taken ("draws"): after three steps of Adam they spread by a factor of 20.
Everything else runs in float64.
"""

import itertools
import json
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(2)
torch.manual_seed(0)

LOGITS_BATCH = ("input", (8, 3, 32, 32))
TRAINING_BATCH = ("small0", (4, 3, 16, 16))  # a series whose activations stay further from zero than most
STEPS = 3
TRACKED = [
    "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "layer1.0.conv1.weight",
    "layer2.0.conv1.weight", "layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_var", "layer3.1.bn2.weight",
    "layer4.1.conv2.weight", "layer4.1.bn2.running_mean", "layer4.1.bn2.running_var", "fc.weight", "fc.bias",
]


# ---- the formula

def hashes(name, count):
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    h = np.uint32(h) + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    return h ^ (h >> np.uint32(16))


def values(name, shape, scale=1.0, offset=0.0):
    unit = (hashes(name, int(np.prod(shape))) >> np.uint32(8)).astype(np.float64) / 2**23 - 1
    return torch.from_numpy((offset + scale * unit).astype(np.float32).reshape(shape))


def state_values(name, shape, calm=False):
    if len(shape) > 1:
        return values(name, shape, 1 / np.sqrt(np.prod(shape[1:])))
    if calm:
        if name.endswith("bn1.bias"):
            # +-2.5 by the sign of the unit value, half a unit around it
            unit = values(name, shape).double()
            return torch.where(unit < 0, 0.5 * unit - 2.5, 0.5 * unit + 2.5).float()
        if name.endswith("bn2.bias"):
            return values(name, shape, 0.05, 0.4)
        if name.endswith("downsample.1.bias"):
            return values(name, shape, 0.05)
        if name.endswith("bn2.weight") or name.endswith("downsample.1.weight"):
            return values(name, shape, 0.01, 0.1)
    near_one = name.endswith("running_var") or name.endswith("weight")
    return values(name, shape, 0.1, 1.0 if near_one else 0.0)


def images(batch, step, dtype):
    series, shape = batch
    return values(f"{series}.{step}", shape, 1.5).to(dtype)


def labels(batch, step):
    return torch.tensor([(3 * i + step) % 10 for i in range(batch[1][0])])


# ---- the models, with torchvision's names

class PadShortcut(nn.Module):
    """The CIFAR paper's option A: every second pixel, new channels zero."""

    def __init__(self, added):
        super().__init__()
        self.added = added

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = PadShortcut(outputs - inputs) if shortcut == "pad" else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet(nn.Module):
    """3x3 stem, stages of `widths`, each after the first halving the image; 10 classes."""

    def __init__(self, widths, blocks, shortcut="conv"):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for stage, width in enumerate(widths, 1):
            layers = [BasicBlock(inputs if b == 0 else width, width, 2 if b == 0 and stage > 1 else 1, shortcut)
                      for b in range(blocks)]
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
            inputs = width
        self.stages = len(widths)
        self.fc = nn.Linear(inputs, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def from_formula(model, dtype, calm=False):
    state = model.state_dict()
    for name, old in state.items():
        state[name] = torch.zeros_like(old) if old.dtype == torch.int64 else state_values(name, tuple(old.shape), calm)
    model.load_state_dict(state)
    return model.to(dtype)


# ---- how numbers are stored

def number(x):
    """float32 as its shortest decimal, float64 to 11 digits."""
    return float(str(x)) if isinstance(x, np.float32) else float("%.11g" % x)


def numbers(tensor):
    array = tensor.detach().numpy()
    if array.ndim == 0:
        return number(array[()])
    return [numbers(row) for row in tensor.detach()] if array.ndim > 1 else [number(x) for x in array]


def exact(tensor):
    return tensor.detach().double().tolist()


def digest(name, tensor):
    flat = tensor.detach().reshape(-1)
    wide = flat.double()
    samples = flat[torch.from_numpy((hashes(name + "#sample", 16) % flat.numel()).astype(np.int64))]
    return {"sum": number(float(wide.sum())), "sumAbs": number(float(wide.abs().sum())),
            "l2": number(float(wide.norm())), "samples": numbers(samples)}


def digests(tensors):
    return {name: digest(name, tensors[name]) for name in TRACKED if name in tensors}


# ---- (a) models

def losses(y, target):
    return F.cross_entropy(y, target), F.cross_entropy(y, target, label_smoothing=0.1)


def logits(make, dtype):
    """Plain start: the logits in both modes, and the training mode's losses."""
    model, x = from_formula(make(), dtype), images(LOGITS_BATCH, 0, dtype)
    with torch.no_grad():
        out = {"eval": numbers(model.eval()(x))}
        y = model.train()(x)
        plain, smoothed = losses(y, labels(LOGITS_BATCH, 0))
        return {**out, "train": numbers(y), "loss": numbers(plain), "smoothedLoss": numbers(smoothed)}


def jittered(x, jitter):
    """The same but for about one rounding to float32 of each number; 0: the same."""
    if jitter == 0:
        return x
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(jitter)) * 2 - 1
    return x * (1 + noise * 2.0 ** -23)


def train(make, optimizer, smoothing, dtype, layout=torch.contiguous_format, jitter=0):
    """Calm start: the first step's gradients; each step's losses before the update and state after it; eval logits at the end."""
    model = from_formula(make(), dtype, calm=True).to(memory_format=layout)
    optimizer = optimizer(model.parameters())
    steps, gradients = [], None
    for step in range(STEPS):
        x = jittered(images(TRAINING_BATCH, step, dtype), jitter).to(memory_format=layout)
        y = model.train()(x)
        plain, smoothed = losses(y, labels(TRAINING_BATCH, step))
        optimizer.zero_grad()
        (smoothed if smoothing else plain).backward()
        if step == 0:
            first = numbers(y)
            gradients = digests({name: p.grad for name, p in model.named_parameters()})
        optimizer.step()
        steps.append({"loss": numbers(plain), "smoothedLoss": numbers(smoothed), "state": digests(model.state_dict())})
    with torch.no_grad():
        after = numbers(model.eval()(images(TRAINING_BATCH, 0, dtype)))
    return {"firstLogits": first, "gradients": gradients, "steps": steps, "evalLogitsAfter": after}


def draws(make, optimizer, smoothing, exactly):
    """The largest relative error of float32 after each step, over several ways of rounding: other convolution kernels, other layouts,
    and inputs that differ by a rounding. Adam divides by the size of the gradient and ReLU has a kink, so that one draw says little."""
    start = digests(from_formula(make(), torch.float64, calm=True).state_dict())
    worst = [{kind: {"values": 0.0, "updates": 0.0} for kind in ("weights", "statistics")} for _ in range(STEPS)]
    for kernels, layout, jitter in itertools.product((True, False), (torch.contiguous_format, torch.channels_last), range(3)):
        with torch.backends.mkldnn.flags(enabled=kernels):
            run = train(make, optimizer, smoothing, torch.float32, layout, jitter)
        for step, (got, want) in enumerate(zip(run["steps"], exactly["steps"])):
            for name, digest_of in want["state"].items():
                entry = worst[step]["statistics" if ".running_" in name else "weights"]
                a, b, s = (np.array(d["samples"], dtype=np.float64) for d in (got["state"][name], digest_of, start[name]))
                entry["values"] = max(entry["values"], float(np.abs(a - b).max() / np.abs(b).max()))
                entry["updates"] = max(entry["updates"], float(np.abs(a - b).max() / np.abs(b - s).max()))
    return [{kind: {figure: number(value) for figure, value in of.items()} for kind, of in step.items()} for step in worst]


def resnet18():
    return ResNet([64, 128, 256, 512], 2)


def both(compute):
    return {"f32": compute(torch.float32), "f64": compute(torch.float64)}


def models():
    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def adam(parameters):
        return torch.optim.Adam(parameters, lr=1e-3, weight_decay=1e-4)

    def trained(make, optimizer, smoothing):
        runs = both(lambda t: train(make, optimizer, smoothing, t))
        return {**runs, "draws": draws(make, optimizer, smoothing, runs["f64"])}

    return {
        "resnet18": {
            "parameters": sum(p.numel() for p in resnet18().parameters()),
            "logits": both(lambda t: logits(resnet18, t)),
            "sgd": {"lr": 0.05, "momentum": 0.9, "weightDecay": 5e-4, "nesterov": True, "labelSmoothing": 0.1,
                    **trained(resnet18, sgd, True)},
            "adam": {"lr": 1e-3, "weightDecay": 1e-4, "labelSmoothing": 0,
                     **trained(resnet18, adam, False)},
        },
        "resnet20": {"logits": both(lambda t: logits(lambda: ResNet([16, 32, 64], 3), t))},
        "resnet20-pad-shortcut": {"logits": both(lambda t: logits(lambda: ResNet([16, 32, 64], 3, "pad"), t))},
    }


# ---- (b) schedules

def schedule_column(name, lr, arguments, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    rows = {}
    for step in range(max(steps) + 1):
        rows[step] = (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"])
        optimizer.step()
        if step < max(steps):
            scheduler.step()
    return {"scheduler": name, "lr": lr, "arguments": arguments, "steps": steps,
            "lrs": [rows[s][0] for s in steps], "momenta": [rows[s][1] for s in steps]}


def schedules():
    s1 = {"max_lr": 6.2802914418342525e-4, "total_steps": 1960, "pct_start": 0.25, "div_factor": 100, "final_div_factor": 100,
          "anneal_strategy": "linear"}
    return [schedule_column(name, lr, arguments, steps) for name, lr, arguments, steps in [
        ("StepLR", 0.1, {"step_size": 7}, list(range(40))),
        ("StepLR", 0.009, {"step_size": 3, "gamma": 0.9}, list(range(50))),
        ("MultiStepLR", 0.1, {"milestones": [30, 80], "gamma": 0.1}, [0, 1, 29, 30, 31, 79, 80, 81, 150]),
        ("MultiStepLR", 0.3, {"milestones": [4, 9, 9, 20], "gamma": 0.5}, list(range(25))),
        ("ExponentialLR", 0.1, {"gamma": 0.95}, list(range(60))),
        ("ExponentialLR", 1e-7, {"gamma": 1.2}, list(range(0, 101, 5))),
        ("CosineAnnealingLR", 0.1, {"T_max": 20}, list(range(50))),
        ("CosineAnnealingLR", 0.2, {"T_max": 15, "eta_min": 0.003}, list(range(47))),
        ("CosineAnnealingLR", 0.1, {"T_max": 200}, list(range(0, 201, 8)) + [199, 230]),
        ("OneCycleLR", 0.1, {"max_lr": 0.4, "total_steps": 50}, list(range(51))),
        ("OneCycleLR", 0.1, {"max_lr": 0.4, "total_steps": 50, "anneal_strategy": "linear"}, list(range(51))),
        ("OneCycleLR", 0.1, {"max_lr": 0.4, "total_steps": 50, "three_phase": True}, list(range(51))),
        ("OneCycleLR", 0.1, {"max_lr": 0.4, "total_steps": 50, "three_phase": True, "anneal_strategy": "linear",
                             "base_momentum": 0.7, "max_momentum": 0.99}, list(range(51))),
        ("OneCycleLR", 0.1, {"max_lr": 0.4, "total_steps": 37, "pct_start": 0.4, "three_phase": True}, list(range(38))),
        ("OneCycleLR", 0.1, {"max_lr": 1.0, "total_steps": 33, "cycle_momentum": False, "pct_start": 0.15}, list(range(34))),
        ("OneCycleLR", 0.1, {"max_lr": 0.01, "epochs": 3, "steps_per_epoch": 7}, list(range(22))),
        ("OneCycleLR", 0.1, {"max_lr": 0.1, "total_steps": 10, "pct_start": 0.0}, list(range(11))),
        ("OneCycleLR", 0.1, {"max_lr": 0.1, "total_steps": 1}, [0, 1]),
        ("OneCycleLR", 0.1, s1, list(range(0, 1960, 98)) + [489, 490, 1958, 1959, 1960]),
    ]]


# ---- (c) single operations, float64

def leaf(name, shape, scale=1.0):
    return values(name, shape, scale).double().requires_grad_()


def with_gradient(x, y, name):
    y.backward(values(name, tuple(y.shape)).double())
    return {"y": exact(y), "dx": exact(x.grad)}


def gelu():
    x = leaf("ops.gelu.x", (24,), 5)
    return with_gradient(x, F.gelu(x), "ops.gelu.dy")


def cross_entropy(smoothing):
    x = leaf("ops.crossEntropy.x", (4, 5), 3)
    loss = F.cross_entropy(x, torch.tensor([1, 4, 0, 2]), label_smoothing=smoothing)
    loss.backward()
    return {"labels": [1, 4, 0, 2], "labelSmoothing": smoothing, "loss": loss.item(), "dx": exact(x.grad)}


def batch_norm():
    bn = nn.BatchNorm2d(3).double()
    for update in range(2):
        x = leaf(f"ops.batchNorm.x{update}", (4, 3, 2, 3), 2)
        y = bn(x)
    return {**with_gradient(x, y, "ops.batchNorm.dy"), "dweight": exact(bn.weight.grad), "dbias": exact(bn.bias.grad),
            "runningMean": exact(bn.running_mean), "runningVar": exact(bn.running_var)}


def bilinear(size):
    x = leaf("ops.bilinear.x", (1, 2, 4, 5))
    y = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    return {"size": size, **with_gradient(x, y, "ops.bilinear.dy")}


def avg_pool(include):
    x = leaf("ops.avgPool.x", (1, 2, 5, 6))
    y = F.avg_pool2d(x, 3, 2, 1, count_include_pad=include)
    return {"countIncludePad": include, **with_gradient(x, y, "ops.avgPool.dy")}


def optimizer_steps(kind, options, count):
    """A vector of 5 and a formula gradient for each step."""
    w = leaf("ops.optimizer.w", (5,))
    optimizer = getattr(torch.optim, kind)([w], **options)
    after = []
    for step in range(count):
        w.grad = values(f"ops.optimizer.g{step}", (5,)).double()
        optimizer.step()
        after.append(exact(w))
    return {"optimizer": kind, "options": options, "after": after}


def ops():
    return {
        "gelu": gelu(),
        "crossEntropy": [cross_entropy(0.0), cross_entropy(0.1)],
        "batchNorm": batch_norm(),
        "bilinear": [bilinear([8, 7]), bilinear([2, 3]), bilinear([4, 5])],
        "avgPool": [avg_pool(True), avg_pool(False)],
        "optimizers": [
            optimizer_steps("SGD", {"lr": 0.1}, 2),
            optimizer_steps("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}, 4),
            optimizer_steps("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, 3),
            optimizer_steps("Adam", {"lr": 0.01, "weight_decay": 0.1}, 3),
            optimizer_steps("Adam", {"lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-3}, 3),
            optimizer_steps("AdamW", {"lr": 0.01}, 3),
            optimizer_steps("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": False}, 3),
        ],
    }


def formula_check():
    """So that a test can tell a wrong formula from a wrong kernel."""
    return {"hashes": [int(h) for h in hashes("conv1.weight", 4)], "values": numbers(values("input.0", (4,), 1.5)),
            "plain": numbers(state_values("fc.weight", (10, 512)).reshape(-1)[-4:]),
            "calm": numbers(state_values("layer1.0.bn1.bias", (64,), calm=True)[-4:]),
            "samples": [int(h % 1728) for h in hashes("conv1.weight#sample", 16)]}


def main():
    reference = {"torch": torch.__version__, "formula": formula_check(), "schedules": schedules(), "ops": ops(),
                 "models": models()}
    path = pathlib.Path(__file__).with_name("reference.json")
    lines = ",\n".join(f'"{key}": {json.dumps(value, separators=(",", ":"))}' for key, value in reference.items())
    path.write_text("{\n" + lines + "\n}\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
