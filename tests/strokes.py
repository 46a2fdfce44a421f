"""Strokes of a brush: polylines in JSON, painted into label volumes."""

from itertools import pairwise
from typing import Any

import numpy as np


def disk(size: int) -> np.ndarray:
    """Offsets, (n, 2), of the pixels that a round brush of `size` pixels covers."""
    center = (size - 1) / 2
    rows, columns = np.mgrid[:size, :size] - center
    return np.argwhere(rows**2 + columns**2 <= size**2 / 4) - size // 2


def paint(drawing: dict[str, Any]) -> np.ndarray:
    """Labels, (z, y, x) uint8, from strokes.

    Parameters
    ----------
    drawing : dict
        ``shape`` (z, y, x), ``brush`` (diameter in pixels by label value) and ``strokes``, each
        with ``slice``, ``value`` and ``points``, pairs of row and column.
    """
    labels = np.zeros(drawing["shape"], np.uint8)
    height, width = labels.shape[1:]
    brushes = {int(value): disk(size) for value, size in drawing["brush"].items()}
    for stroke in drawing["strokes"]:
        points = np.asarray(stroke["points"], float)
        for start, end in pairwise(points):
            steps = int(np.ceil(np.abs(end - start).max() * 2)) + 1
            along = np.rint(start + (end - start) * np.linspace(0, 1, steps)[:, None]).astype(int)
            brushed = (along[:, None] + brushes[stroke["value"]][None]).reshape(-1, 2)
            y, x = brushed[((brushed >= 0) & (brushed < (height, width))).all(axis=1)].T
            labels[stroke["slice"], y, x] = stroke["value"]
    return labels
