"""Whether a volume is dark where the training images were bright; the core does the numbers."""

from __future__ import annotations

import numpy as np

from napari_cem import _core

SHAPE = (4, 7)


def sampled(numbers: list[int]) -> list[int]:
    """Of the slices that a volume is measured on, those whose contrast is looked at."""
    return numbers[:: max(1, len(numbers) // _core.CONTRAST_SLICES)]


def mean(state: np.ndarray, offset: float = 0.0, scale: float = 1.0) -> np.ndarray:
    """The mean signature of the slices added to a core's state, as the network sees them."""
    found = np.empty(SHAPE)
    _core.contrast_mean(found, state, offset, scale)
    return found


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
        Columns: quantiles from 1 % to 99 %; to four decimals.
    """
    state = _core.contrast_new()
    _core.contrast_add(state, np.ascontiguousarray(page))
    return mean(state)


def looks_inverted(trained: np.ndarray, seen: np.ndarray) -> bool:
    """Whether `seen` is at least twice as near to `trained` once it is inverted.

    Both are mean signatures of volumes of zero mean; each row counts in units of its spread in
    `trained`.  Where structures are as often dark as bright the answer is no either way.
    """
    return _core.contrast_inverted(
        np.ascontiguousarray(trained, np.float64), np.ascontiguousarray(seen, np.float64)
    )
