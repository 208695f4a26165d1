"""Makes cam.json: class activation maps by their formulas, on PyTorch's autograd.

    /usr/bin/python3 test/pytorch/make-cam.py          # seconds; PyTorch as for make-reference.py
    npx prettier --write test/pytorch/cam.json

Model and images come from make-reference.py's formula. The formulas are those of the papers as pytorch-grad-cam runs them, written anew:
activations A and gradients G of the class's logit at a layer, [C, H, W]; of the resulting map the positive part, scaled to 0..1,
resized bilinearly, averaged over layers, scaled again. Stored of each map: its sum, norms and 16 samples, in both precisions.
"""

import importlib.util
import json
import pathlib

import torch
import torch.nn.functional as F

here = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("reference", here / "make-reference.py")
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)

BATCH = ("cam", (2, 3, 32, 32))
CLASSES = [[3, 5], [0, 7]]
METHODS = ["grad-cam", "grad-cam++", "hires-cam", "layer-cam", "xgrad-cam", "eigen-cam", "score-cam", "ablation-cam"]
LAYERS = [["layer3"], ["layer2"], ["layer1", "layer3"]]
# Before its batch norm: with negative values, so that Ablation-CAM takes its other way.
NEGATIVE = [["layer2.0.conv1"]]
MANY_FORWARDS = {"score-cam", "ablation-cam"}


def run(model, x, layer):
    """Logits, and the layer's output with its graph."""
    kept = {}
    handle = model.get_submodule(layer).register_forward_hook(lambda module, given, y: kept.update(y=y))
    logits = model(x)
    handle.remove()
    return logits, kept["y"]


def with_output(model, x, layer, output):
    handle = model.get_submodule(layer).register_forward_hook(lambda module, given, y: output)
    logits = model(x)
    handle.remove()
    return logits


def summed(weights, a):
    return (weights[:, None, None] * a).sum(0)


def principal(a):
    flat = a.reshape(a.shape[0], -1).T
    flat = flat - flat.mean(0)
    projected = flat @ torch.linalg.svd(flat, full_matrices=False).Vh[0]
    # An SVD leaves the sign open.
    if projected.max() < -projected.min():
        projected = -projected
    return projected.reshape(a.shape[1:])


def score_cam(model, x, a, label):
    large = F.interpolate(a[None], size=x.shape[-2:], mode="bilinear", align_corners=True)[0]
    low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
    masks = (large - low) / (high - low + 1e-8)
    with torch.no_grad():
        scores = model(x * masks[:, None])[:, label]
    return summed(torch.softmax(scores, 0), a)


def ablation_cam(model, x, a, layer, label):
    copies = a.repeat(len(a), 1, 1, 1)
    removed = 0.0 if a.min() == 0 else a.min() - 1e7
    for channel in range(len(a)):
        copies[channel, channel] = removed
    with torch.no_grad():
        score = model(x)[0, label]
        rest = with_output(model, x.repeat(len(a), 1, 1, 1), layer, copies)[:, label]
    return summed((score - rest) / score, a)


def raw_map(method, model, x, layer, label):
    logits, output = run(model, x, layer)
    g = torch.autograd.grad(logits[0, label], output)[0][0]
    a = output[0].detach()
    if method == "grad-cam":
        return summed(g.mean((1, 2)), a)
    if method == "hires-cam":
        return (g * a).sum(0)
    if method == "layer-cam":
        return (g.clamp(min=0) * a).sum(0)
    if method == "xgrad-cam":
        return summed((g * a).sum((1, 2)) / (a.sum((1, 2)) + 1e-7), a)
    if method == "grad-cam++":
        alpha = g**2 / (2 * g**2 + a.sum((1, 2))[:, None, None] * g**3 + 1e-6)
        return summed((g.clamp(min=0) * torch.where(g != 0, alpha, 0 * g)).sum((1, 2)), a)
    if method == "eigen-cam":
        return principal(a)
    if method == "score-cam":
        return score_cam(model, x, a, label)
    return ablation_cam(model, x, a, layer, label)


def scaled(m):
    m = m - m.min()
    return m / (1e-7 + m.max())


def final_map(method, model, x, layers, label):
    maps = [scaled(raw_map(method, model, x, layer, label).clamp(min=0)) for layer in layers]
    large = [F.interpolate(m[None, None], size=x.shape[-2:], mode="bilinear", align_corners=False)[0, 0] for m in maps]
    return scaled(torch.stack(large).mean(0))


def maps(method, layers, dtype):
    model = reference.from_formula(reference.ResNet([16, 32, 64], 1), dtype).eval()
    x = reference.images(BATCH, 0, dtype)
    return [[reference.digest("cam", final_map(method, model, x[i : i + 1], layers, label)) for label in CLASSES[i]]
            for i in range(len(x))]


def main():
    cases = [{"method": method, "layers": layers, **reference.both(lambda dtype: maps(method, layers, dtype))}
             for method in METHODS for layers in LAYERS + (NEGATIVE if method in MANY_FORWARDS else [])]
    path = here / "cam.json"
    path.write_text(json.dumps({"classes": CLASSES, "cases": cases}, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
