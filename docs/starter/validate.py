"""The loss of a model on the pages that `gpu.py` keeps for validation, computed by the core.

python docs/starter/validate.py PAGES.npz MODEL.safetensors
"""

from __future__ import annotations

import sys

import numpy as np
from pages import CLASSES
from train import WEIGHTS

import napari_cem as cem

EVERY = 20  # as in gpu.py


def main(pages: str, path: str) -> None:
    """Prints the weighted cross-entropy over all labelled pixels of the pages."""
    model = cem.Model.load(path)
    weights = np.array(WEIGHTS)
    total = norm = 0.0
    with np.load(pages) as file:
        for number in range(EVERY - 1, len(file["group"]), EVERY):
            image, labels = file[f"image{number:04d}"], file[f"labels{number:04d}"]
            height, width = (side // 32 * 32 for side in image.shape)
            page = np.ascontiguousarray(image[:height, :width])
            found = model.predict(page, cem.Intensity(128.0, 1 / 40)).reshape(
                len(CLASSES), height, width
            )
            truth = labels[:height, :width]
            y, x = np.nonzero(truth)
            which = truth[y, x].astype(int) - 1
            total -= (weights[which] * np.log(np.maximum(found[which, y, x], 1e-30))).sum()
            norm += weights[which].sum()
    print(f"validation loss {total / norm:.5f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
