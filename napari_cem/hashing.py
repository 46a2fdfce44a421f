"""Difference hashes of patches, and near-duplicates among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_cem import _core

DISTANCE = 12
BLOCK = 1 << 16


def dhash(patches: Any, threads: int = 0) -> np.ndarray:
    """The 64-bit difference hash of patches, that of ``imagehash.dhash`` after 224 x 224.

    Parameters
    ----------
    patches : array or sequence of arrays
        uint8: one patch (y, x), patches (n, y, x), or patches of different shapes.
    threads : int
        0 for all cores.

    Returns
    -------
    array of uint64
        (n); one number for one patch.

    Raises
    ------
    TypeError
        If the pixels are not uint8.
    ValueError
        If a patch is empty or has not two axes.
    """
    if isinstance(patches, Sequence):
        return np.array([dhash(np.asarray(patch), threads)[0] for patch in patches], np.uint64)
    array = np.ascontiguousarray(patches)
    stack = array[None] if array.ndim == 2 else array
    hashes = np.empty(len(stack), np.uint64)
    _core.dhash(hashes, stack, threads)
    return hashes


def features(patches: np.ndarray, threads: int = 0) -> np.ndarray:
    """(n, `_core.FEATURES`) figures of (n, y, x) uint8 patches; docs/curation.md names them."""
    out = np.empty((len(patches), _core.FEATURES), np.float32)
    _core.patch_features(out, np.ascontiguousarray(patches), threads)
    return out


def order(count: int, seed: int) -> np.ndarray:
    """A random order of 0 .. count - 1, the same for a seed on every machine."""
    numbers = np.empty(count, np.int64)
    _core.deduplicate_order(numbers, seed)
    return numbers


def exemplars(
    hashes: np.ndarray,
    distance: int = DISTANCE,
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The number of each hash's exemplar, its own where it is one.

    The hashes are gone through in a random order; each belongs to the first exemplar of which it
    differs in at most `distance` bits, or becomes one.
    """
    count = len(hashes)
    found = np.empty(count, np.int64)
    hashes, numbers = np.array(hashes, np.uint64), order(count, seed)
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        _core.deduplicate(found, hashes, numbers, distance, first, last, threads)
        if progress is not None:
            progress(last, count)
    return found
