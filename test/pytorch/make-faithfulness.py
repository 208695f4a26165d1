"""Makes faithfulness.json: colour tables, an overlay and ROAD's imputation as OpenCV and numpy compute them.

Needs numpy and opencv-python-headless. Run it from this folder: python3 make-faithfulness.py
"""

import json

import cv2
import numpy as np


def table(code):
    ramp = np.arange(256, dtype=np.uint8).reshape(256, 1)
    return cv2.applyColorMap(ramp, code)[:, 0, ::-1]


def overlay(rgb, heat, code, weight):
    image = np.float32(rgb) / 255
    colours = cv2.cvtColor(cv2.applyColorMap(np.uint8(255 * heat), code), cv2.COLOR_BGR2RGB)
    mixed = (1 - weight) * (np.float32(colours) / 255) + weight * image
    return np.uint8(255 * (mixed / np.max(mixed)))


def impute(image, kept):
    """Every removed pixel is the weighted mean of its neighbours in the image: a dense system, solved directly."""
    height, width, channels = image.shape
    a = np.eye(height * width)
    b = np.zeros((height * width, channels))
    for y in range(height):
        for x in range(width):
            row = y * width + x
            if kept[y, x]:
                b[row] = image[y, x]
                continue
            near = {
                (y + dy, x + dx): 1 / 12 if dx and dy else 1 / 6
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
                if (dx or dy) and 0 <= y + dy < height and 0 <= x + dx < width
            }
            for (v, u), weight in near.items():
                a[row, v * width + u] = -weight / sum(near.values())
    return np.linalg.solve(a, b).reshape(image.shape)


def numbers(array):
    return np.asarray(array).ravel().tolist()


random = np.random.default_rng(7)
rgb = random.integers(0, 256, (5, 6, 3), dtype=np.uint8)
heat = np.float32(random.random((5, 6)))
heat[0, 0], heat[4, 5] = 0, 1
image = np.float32(random.normal(size=(7, 9, 3)))
cases = []
for percent in (10, 35, 50, 90):
    cam = np.float32(random.random((7, 9)))
    kept = cam < np.percentile(cam, percent)
    cases.append(
        {
            "percent": percent,
            "cam": numbers(cam),
            "threshold": float(np.percentile(np.float64(cam), percent)),
            "kept": numbers(np.uint8(kept)),
            "filled": numbers(np.round(impute(np.float64(image), kept), 6)),
        }
    )
result = {
    "tables": {
        name: table(getattr(cv2, "COLORMAP_" + name.upper())).tobytes().hex()
        for name in ("jet", "viridis", "inferno", "turbo")
    },
    "overlay": {
        "rgb": numbers(rgb),
        "heat": numbers(heat),
        "pictures": [
            {"weight": weight, "picture": numbers(overlay(rgb, heat, cv2.COLORMAP_JET, weight))}
            for weight in (0.5, 0.6, 0.0, 0.85)
        ],
    },
    "impute": {"image": numbers(image), "cases": cases},
}
with open("faithfulness.json", "w", encoding="utf8") as file:
    json.dump(result, file, separators=(",", ":"))
    file.write("\n")
