"""Whether a volume is dark where the training images were bright.

Grey values alone do not tell: what tells is the shape of their distribution together with that of
the fine structure, membranes above all, which are dark lines or bright ones.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
BOXES = (3, 7, 15)
SLICES = 8
SIDE = 512
LIMIT = 0.5


def box_mean(page: np.ndarray, size: int) -> np.ndarray:
    """Mean over the square of odd side `size` around each pixel, the image reflected beyond its
    edge."""
    for axis in (0, 1):
        length = page.shape[axis]
        places = np.arange(-(size // 2) - 1, length + size // 2) % (2 * length)
        places = np.minimum(places, 2 * length - 1 - places)
        total = np.cumsum(page.take(places, axis), axis=axis)
        ends = np.arange(size, total.shape[axis])
        page = (total.take(ends, axis) - total.take(ends - size, axis)) / size
    return page


def signature(page: np.ndarray) -> np.ndarray:
    """Quantiles of the grey values and of three bands of detail.

    Parameters
    ----------
    page : (y, x) array
        A slice; its middle 512 x 512 pixels are looked at.

    Returns
    -------
    (4, 7) array of float64
        Rows: the pixels, then the differences of successive means over 1, 3, 7 and 15 pixels.
        Columns: the `QUANTILES`.
    """
    y, x = (max(length - SIDE, 0) // 2 for length in page.shape)
    page = page[y : y + SIDE, x : x + SIDE].astype(np.float64)
    means = [page, *(box_mean(page, size) for size in BOXES)]
    bands = [page, *(fine - coarse for fine, coarse in pairwise(means))]
    return np.stack([np.quantile(band, QUANTILES) for band in bands])


def looks_inverted(trained: np.ndarray, seen: np.ndarray) -> bool:
    """Whether `seen` is at least twice as near to `trained` once it is inverted.

    Both are mean signatures of volumes of zero mean; each row counts in units of its spread in
    `trained`.  Where structures are as often dark as bright the answer is no either way.
    """
    spread = trained[:, -1:] - trained[:, :1]
    if not (spread > 0).all():
        return False
    apart = np.sqrt(np.mean(((seen - trained) / spread) ** 2))
    mirrored = np.sqrt(np.mean(((-seen[:, ::-1] - trained) / spread) ** 2))
    return bool(mirrored < LIMIT * apart)
