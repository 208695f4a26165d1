"""Makes lr-finder.json: what the formulas of fastai and torch-lr-finder give for recorded and drawn range tests.

    /usr/bin/python3 test/pytorch/make-lr-finder.py           # needs numpy only
    npx prettier --write test/pytorch/lr-finder.json

Neither library is run: their rules are written out here a second time, in numpy and in other words than in training/lr-finder
(fastai/callback/schedule.py, torch_lr_finder/lr_finder.py v0.2.2). Losses are rounded to seven digits and rates computed from the
formulas, so that both sides start from the same numbers.
"""

import bisect
import json
import pathlib

import numpy as np

N = 100


def exponential(start, end, n):
    return start * (end / start) ** (np.arange(n) / (n - 1))


def debiased(losses, beta):
    """fastai: sum of beta^(k-i) (1-beta) loss_i, over 1 - beta^(k+1)."""
    k = np.arange(len(losses))
    weights = np.where(k[None] <= k[:, None], beta ** (k[:, None] - k[None]).clip(0), 0.0)
    return (weights * losses).sum(1) / weights.sum(1)


def torch_smoothed(losses, f):
    """torch-lr-finder: the first loss has all the weight that later ones leave."""
    out = [losses[0]]
    for loss in losses[1:]:
        out.append(f * loss + (1 - f) * out[-1])
    return np.array(out)


def valley(lrs, losses):
    """Longest strictly decreasing subsequence by patience sorting; first of those that end earliest."""
    tails, lengths = [], []
    for loss in losses:
        at = bisect.bisect_left(tails, -loss)
        tails[at:at + 1] = [-loss]
        lengths.append(at + 1)
    longest = max(lengths)
    start = lengths.index(longest) - longest
    return float(lrs[start + int(longest / 3) + int(longest / 3 / 2)])


def slide(lrs, losses):
    g = np.gradient(losses)
    agree = [i for i in range(len(g) - 16, -1, -1) if not abs(g[i + 15] - g[i]) > 0.005]
    stop = agree[0] if agree else -1
    return float(lrs[min(stop + 1, len(g) - 16)])


def minimum(lrs, losses):
    return float(lrs[np.argmin(losses)] / 10)


def steepest(lrs, losses):
    """torch-lr-finder's pick, of the points left of the lowest one."""
    return float(lrs[np.argmin(np.gradient(losses)[:np.argmin(losses)])])


def everywhere(lrs, losses):
    """The same of the whole curve, as torch-lr-finder does it."""
    return float(lrs[np.argmin(np.gradient(losses))])


# ---- curves: shapes of real range tests. Falls from `level` by `fall` around rate `at`, breaks at `breaks`.

def curve(rng, level, fall, at, breaks, noise, lrs):
    fallen = fall / (1 + (at / lrs) ** 1.2)
    risen = (lrs / breaks) ** 3
    return level - fallen + risen + noise * rng.standard_normal(len(lrs))


# Kiln's own range tests, 1e-7 to 10 in 100 iterations: ResNet-8 with Adam on CIFAR-10 in batches of 128, and ResNet-20 with SGD on
# 2,000 of the built-in images in batches of 64.
RECORDED_ADAM = """
    2.3649 2.3928 2.3470 2.3438 2.3580 2.3543 2.3281 2.3321 2.3633 2.3376 2.3465 2.3460 2.3416 2.2975 2.3414 2.4010
    2.3857 2.3046 2.3376 2.3873 2.3342 2.4095 2.3511 2.3247 2.3355 2.3262 2.3588 2.3457 2.3521 2.3754 2.3157 2.3532
    2.2893 2.2810 2.3438 2.3073 2.4009 2.2654 2.3519 2.2683 2.3153 2.2478 2.2473 2.2898 2.2234 2.2049 2.2225 2.0637
    2.1496 2.0949 2.0797 2.1694 2.0342 2.1574 2.1117 1.9597 1.9783 2.0290 1.9025 1.8947 1.9556 1.9491 1.9436 2.0734
    1.9194 1.8295 1.8494 1.9760 2.0058 2.2002 2.0990 1.8915 1.9960 1.9540 2.1746 2.0597 2.3728 2.1690 2.0835 2.1262
    2.1815 2.0838 2.0767 1.9452 1.9844 2.2612 2.1648 2.2530 2.2152 2.0852 3.7117 3.6296 2.6063 3.2199 3.0385 5.8212
    3.9590 4.5096 9.0643 9.3575
"""
RECORDED_SGD = """
    2.5351 2.4498 2.4630 2.5292 2.3529 2.3324 2.3758 2.4164 2.3959 2.4666 2.5053 2.4024 2.3351 2.3196 2.5106 2.3854
    2.4609 2.4354 2.5109 2.4755 2.3289 2.4249 2.4067 2.3427 2.4233 2.3945 2.4168 2.4288 2.4774 2.3330 2.4883 2.2819
    2.3955 2.4122 2.4165 2.4536 2.4446 2.4484 2.5030 2.4802 2.4631 2.3694 2.4417 2.3138 2.3839 2.3545 2.3376 2.3696
    2.3242 2.4459 2.3091 2.3808 2.3097 2.2740 2.3092 2.3278 2.2646 2.2542 2.2369 2.2028 2.2628 2.2849 2.2077 2.4475
    2.1042 2.1621 2.2267 2.1071 2.1008 2.1056 2.1484 2.1456 2.1259 2.0998 2.5747 2.3105 2.1293 2.3082 2.3494 2.4325
    2.6131 2.2064 2.3384 2.2733 2.2231 3.4292 2.6237 2.6443 2.4173 2.6411 2.1344 2.1374 2.2198 2.0879 1.9786 1.9777
    3.9222 2.6197 3.1789 2.6870
"""


def cases():
    rng = np.random.default_rng(7)
    lrs = exponential(1e-7, 10, N)
    quiet = curve(rng, 2.31, 0.9, 2e-3, 1.0, 0.0, lrs)
    noisy = curve(rng, 2.31, 0.9, 2e-3, 1.0, 0.06, lrs)
    spiked = noisy.copy()
    spiked[38] += 12  # one odd batch, long before anything is learnt
    # A net that blows up near rate 0.5 and dies down to the loss of guessing at absurd rates, as S0's did.
    late = curve(rng, 2.31, 0.3, 2e-3, 1e9, 0.02, lrs)
    late[82:93] = [2.5, 3.0, 3.6, 4.1, 4.6, 4.9, 5.1, 5.0, 4.6, 3.4, 2.4]
    late[93:] = 2.32 + 0.01 * rng.standard_normal(7)
    # The same where the plunge ends below everything before it.
    deep = late.copy()
    deep[92:] = 1.7 + 0.01 * rng.standard_normal(8)
    adam, sgd = ([float(loss) for loss in text.split()] for text in (RECORDED_ADAM, RECORDED_SGD))
    return {"recordedAdam": adam, "recordedSgd": sgd, "quiet": quiet, "noisy": noisy, "spiked": spiked, "latePlunge": late, "deepPlunge": deep}


def answers(lrs, losses):
    return {f.__name__: f(lrs, losses) for f in (valley, slide, minimum, steepest, everywhere)}


def main():
    result = {}
    for name, losses in cases().items():
        losses = np.array([float(f"{loss:.7g}") for loss in losses])
        lrs = exponential(1e-7, 10, len(losses))
        fastai, torch = debiased(losses, 0.98), torch_smoothed(losses, 0.05)
        stops = {
            "fastai": next((k for k in range(len(losses)) if fastai[k] > 4 * fastai[: k + 1].min()), None),
            "torch": next((k for k in range(len(losses)) if torch[k] > 5 * torch[: k + 1].min()), None),
        }
        window = slice(len(losses) // 10, -5)
        result[name] = {
            "losses": losses.tolist(),
            "fastai": {"smoothed": fastai[::9].tolist(), **answers(lrs[window], fastai[window])},
            "torch": {"smoothed": torch[::9].tolist(), **answers(lrs[window], torch[window])},
            "raw": answers(lrs[window], losses[window]),
            "stops": stops,
        }
    path = pathlib.Path(__file__).with_name("lr-finder.json")
    path.write_text(json.dumps(result) + "\n")
    for name, case in result.items():
        for kind in ("fastai", "torch", "raw"):
            print(name, kind, {k: f"{v:.2e}" for k, v in case[kind].items() if k != "smoothed"}, case["stops"])


main()
