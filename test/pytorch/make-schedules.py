"""Writes schedules.json: what PyTorch's schedulers compute, for test/training/schedules-pytorch.test.ts.

    /usr/bin/python3 test/pytorch/make-schedules.py     (Debian: apt-get install python3-torch)
"""
import json
import math
import os
import warnings

import torch
from torch.optim import SGD, Adam
from torch.optim import lr_scheduler as S

warnings.filterwarnings("ignore")


def optimizer(lr, kind="sgd"):
    weight = torch.nn.Parameter(torch.zeros(1))
    return SGD([weight], lr=lr, momentum=0.9) if kind == "sgd" else Adam([weight], lr=lr)


def column(make, lr, steps, kind="sgd"):
    """The rate and momentum of each step: the constructor sets those of step 0, scheduler.step() the next ones."""
    opt = optimizer(lr, kind)
    scheduler = make(opt)
    rows = []
    for k in range(steps):
        if k > 0:
            opt.step()
            scheduler.step()
        group = opt.param_groups[0]
        rows.append([group["lr"], group["momentum"] if kind == "sgd" else group["betas"][0]])
    return rows


def entry(name, lr, steps, options, make, kind="sgd"):
    rows = column(make, lr, steps, kind)
    return {"name": name, "lr": lr, "options": options, "lrs": [r[0] for r in rows], "momenta": [r[1] for r in rows]}


def simple(name, scheduler, lr, steps, kind="sgd", **options):
    return entry(name, lr, steps, options, lambda opt: scheduler(opt, **options), kind)


def plateau(lr, metrics, **options):
    opt = optimizer(lr)
    scheduler = S.ReduceLROnPlateau(opt, **options)
    lrs = []
    for metric in metrics:
        scheduler.step(metric)
        lrs.append(opt.param_groups[0]["lr"])
    return {"lr": lr, "options": options, "metrics": metrics, "lrs": lrs}


def restarts(lr, points, **options):
    opt = optimizer(lr)
    scheduler = S.CosineAnnealingWarmRestarts(opt, **options)
    lrs = []
    for point in points:
        scheduler.step(point)
        lrs.append(opt.param_groups[0]["lr"])
    return {"lr": lr, "options": options, "points": points, "lrs": lrs}


warm = dict(start_factor=0.1, end_factor=1.0, total_iters=5)
cosine = dict(T_max=20, eta_min=0.001)
steps = dict(step_size=4, gamma=0.3)

wobble = [round(2 / (1 + 0.3 * i) + 0.2 * math.sin(3 * i), 6) for i in range(40)]
rise = [round(0.9 - 0.8 / (1 + i) + 0.02 * math.sin(5 * i), 6) for i in range(40)]
flat = [1.0] * 14

reference = {
    "torch": torch.__version__,
    "columns": [
        simple("constant", S.ConstantLR, 0.2, 12, factor=0.25, total_iters=4),
        simple("linear", S.LinearLR, 0.2, 14),
        simple("linear", S.LinearLR, 0.2, 14, start_factor=0.1, end_factor=0.7, total_iters=9),
        simple("polynomial", S.PolynomialLR, 0.2, 14, total_iters=10, power=2.5),
        simple("polynomial", S.PolynomialLR, 0.2, 9),
        entry("lambda", 0.2, 20, {}, lambda opt: S.LambdaLR(opt, lambda k: 0.95**k / (1 + k))),
        simple("warm-restarts", S.CosineAnnealingWarmRestarts, 0.2, 40, T_0=5, T_mult=2, eta_min=0.01),
        simple("warm-restarts", S.CosineAnnealingWarmRestarts, 0.2, 25, T_0=7),
        simple("cyclic", S.CyclicLR, 0.1, 40, base_lr=0.01, max_lr=0.3, step_size_up=4, step_size_down=7),
        simple("cyclic", S.CyclicLR, 0.1, 40, base_lr=0.01, max_lr=0.3, step_size_up=5, mode="triangular2",
               base_momentum=0.7, max_momentum=0.95),
        simple("cyclic", S.CyclicLR, 0.1, 40, base_lr=0.01, max_lr=0.3, step_size_up=6, mode="exp_range", gamma=0.97),
        simple("cyclic", S.CyclicLR, 0.1, 30, kind="adam", base_lr=0.01, max_lr=0.3, step_size_up=6,
               cycle_momentum=False),
        simple("onecycle", S.OneCycleLR, 0.1, 51, kind="adam", max_lr=0.003, total_steps=50, pct_start=0.25,
               anneal_strategy="linear", div_factor=100, final_div_factor=100),
        simple("onecycle", S.OneCycleLR, 0.1, 46, max_lr=0.3, total_steps=45, three_phase=True, base_momentum=0.8),
    ],
    "sequential": [
        {"lr": 0.2, "milestones": [5], "children": [["linear", warm], ["cosine", cosine]],
         "lrs": [r[0] for r in column(lambda opt: S.SequentialLR(
             opt, [S.LinearLR(opt, **warm), S.CosineAnnealingLR(opt, **cosine)], milestones=[5]), 0.2, 30)]},
        {"lr": 0.2, "milestones": [5, 17], "children": [["linear", warm], ["step", steps], ["polynomial", {"total_iters": 8}]],
         "lrs": [r[0] for r in column(lambda opt: S.SequentialLR(
             opt, [S.LinearLR(opt, **warm), S.StepLR(opt, **steps), S.PolynomialLR(opt, total_iters=8)],
             milestones=[5, 17]), 0.2, 30)]},
    ],
    "plateau": [
        plateau(0.009, flat, factor=0.9, patience=2),
        plateau(0.1, wobble, factor=0.5, patience=1),
        plateau(0.1, wobble, factor=0.5, patience=0, threshold=0.05, threshold_mode="abs", cooldown=3),
        plateau(0.1, rise, mode="max", factor=0.3, patience=1, threshold=0.01, min_lr=0.004),
        plateau(0.1, rise, mode="max", factor=0.3, patience=0, threshold=0.02, threshold_mode="abs", cooldown=1),
        plateau(0.1, [-v for v in wobble], factor=0.7, patience=1),
        plateau(1e-7, flat, factor=0.5, patience=0, eps=2e-8),
    ],
    "restarts": [restarts(0.2, [0, 0.5, 1.25, 3, 3.75, 5, 9.5, 10, 12.25], T_0=3, T_mult=2, eta_min=0.002)],
}

with open(os.path.join(os.path.dirname(__file__), "schedules.json"), "w") as file:
    json.dump(reference, file, separators=(",", ":"))
    file.write("\n")
