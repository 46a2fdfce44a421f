"""The core's random numbers one at a time, and numbers written as C."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import formula
import numpy as np


def bits(seed: int, stream: int, index: int) -> int:
    """csrc/random.c's ``random_bits``."""
    return int(formula.random_bits(seed, stream, np.array([index], np.uint64))[0])


def uniform(seed: int, stream: int, index: int) -> float:
    """``random_uniform``: in [0, 1)."""
    return (bits(seed, stream, index) >> 11) * 2.0**-53


def below(seed: int, stream: int, index: int, n: int) -> int:
    """``random_below``: an integer in [0, n)."""
    return bits(seed, stream, index) * n >> 64


def normal(seed: int, stream: int, indices: np.ndarray) -> np.ndarray:
    """``random_normal`` at each of `indices` (uint64), float64."""
    total = np.zeros(len(indices))
    for i in range(3):
        draws = formula.random_bits(seed, stream, indices * np.uint64(3) + np.uint64(i))
        for lane in range(0, 64, 16):
            total += draws >> np.uint64(lane) & np.uint64(0xFFFF)
    return (total - 6 * 0xFFFF) * 2.0**-16


def array(numbers: Iterable[object]) -> str:
    """Numbers as the initialiser of a C array."""
    return "{" + textwrap.fill(", ".join(str(n) for n in numbers), 98) + "}"
