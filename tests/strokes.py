"""Strokes of a brush: polylines in JSON, painted into label volumes."""

from itertools import pairwise
from typing import Any

import numpy as np


def paint(drawing: dict[str, Any]) -> np.ndarray:
    """Labels, (z, y, x) uint8, from strokes.

    Parameters
    ----------
    drawing : dict
        ``shape`` (z, y, x), ``brush`` (diameter in pixels) and ``strokes``, each with ``slice``,
        ``value`` and ``points``, pairs of row and column.
    """
    labels = np.zeros(drawing["shape"], np.uint8)
    height, width = labels.shape[1:]
    radius = drawing["brush"] / 2
    reach = int(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = np.argwhere(rows**2 + columns**2 <= radius**2) - reach
    for stroke in drawing["strokes"]:
        points = np.asarray(stroke["points"], float)
        for start, end in pairwise(points):
            steps = int(np.ceil(np.abs(end - start).max() * 2)) + 1
            along = np.rint(start + (end - start) * np.linspace(0, 1, steps)[:, None]).astype(int)
            brushed = (along[:, None] + disk[None]).reshape(-1, 2)
            y, x = brushed[((brushed >= 0) & (brushed < (height, width))).all(axis=1)].T
            labels[stroke["slice"], y, x] = stroke["value"]
    return labels
