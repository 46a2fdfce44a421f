"""Small images with scribbles, made by a formula."""

import numpy as np

SIZE = 96


def cells(depth: int = 3, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """A (z, y, x) uint8 stack of grey noise with one dark disk that moves with z."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    stack = np.empty((depth, size, size), np.uint8)
    for z in range(depth):
        disk = (y - size * 0.4 - z) ** 2 + (x - size * 0.5) ** 2 < (size * 0.2) ** 2
        stack[z] = np.clip(np.where(disk, 60, 170) + random.normal(0, 12, y.shape), 0, 255)
    return stack


def scribbles(depth: int = 3, size: int = SIZE, annotated: int = 0) -> np.ndarray:
    """Strokes on slice `annotated` of `cells`: 1 around the disk, 2 in it."""
    labels = np.zeros((depth, size, size), np.uint8)
    s = size / 96
    for k, row in enumerate((8, 13, 64, 80)):
        row = int(row * s)
        labels[annotated, row : row + 2, int(10 * s) : int(80 * s)] = 1
        row = int((30 + 5 * k) * s)
        labels[annotated, row : row + 2, int(40 * s) : int(56 * s)] = 2
    return labels
