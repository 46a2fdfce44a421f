"""Strokes as somebody might draw them who knows the truth: inside things, on a few slices.

A stroke is a walk that turns a little at each step and ends where it would leave its class, or
after 60 pixels; it is three pixels wide.  Half of the painted pixels are foreground, and half of
the background's strokes begin near the foreground, where a user corrects.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

SLICES, PIXELS = 2, 3000  # annotated slices, and painted pixels in all at most
LENGTH, STEP, NEAR = 60, 4, 30


def walk(allowed: np.ndarray, start: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Pixels of the line of a stroke, (n, 2)."""
    angle, points = random.uniform(0, 2 * np.pi), [start.astype(float)]
    for _ in range(LENGTH // STEP):
        angle += random.normal(0, 0.4)
        there = points[-1] + STEP * np.array([np.sin(angle), np.cos(angle)])
        y, x = np.rint(there).astype(int)
        if not (0 <= y < allowed.shape[0] and 0 <= x < allowed.shape[1] and allowed[y, x]):
            break
        points.append(there)
    ends = np.array(points)
    if len(ends) == 1:
        return np.rint(ends).astype(int)
    parts = [np.linspace(a, b, STEP + 1) for a, b in pairwise(ends)]
    return np.unique(np.rint(np.concatenate(parts)).astype(int), axis=0)


def strokes(
    labels: np.ndarray, inside: np.ndarray, starts: np.ndarray, value: int, pixels: int,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """Paints strokes of a class until `pixels` of it are painted."""
    places = np.argwhere(starts)
    while len(places) and (labels == value).sum() < pixels:
        line = walk(inside, places[random.integers(len(places))], random)
        mark = np.zeros(labels.shape, bool)
        mark[tuple(line.T)] = True
        mark = ndimage.binary_dilation(mark, np.ones((3, 3))) & inside & (labels == 0)
        left = pixels - (labels == value).sum()
        y, x = np.nonzero(mark)
        labels[y[:left], x[:left]] = value


def scribble(truth: np.ndarray, seed: int, pixels: int = PIXELS) -> np.ndarray:
    """Labels (z, y, x): 1 background, 2 foreground, on two slices; 0 elsewhere.

    Parameters
    ----------
    truth : (z, y, x) bool
    seed : int
        Decides which slices, of those with the usual amount of foreground, and all strokes.
    """
    random = np.random.default_rng(seed)
    share = truth.mean(axis=(1, 2))
    usual = np.flatnonzero(share >= np.median(share) / 2)
    labels = np.zeros(truth.shape, np.uint8)
    for z in random.choice(usual, SLICES, replace=False):
        page = truth[z]
        core = ndimage.binary_erosion(page, iterations=2)
        rest = ~ndimage.binary_dilation(page, iterations=2)
        near = rest & ndimage.binary_dilation(page, iterations=NEAR)
        half = pixels // SLICES // 2
        strokes(labels[z], page, core if core.any() else page, 2, half, random)
        strokes(labels[z], rest, near, 1, half // 2, random)
        strokes(labels[z], rest, rest, 1, half, random)
    return labels
