"""From a data set to its patches: bands of slices, sections, patches, their hashes and scores.

A volume is gone through in bands of slices that are read once.  Where sections across all three
axes are taken, a band is as high as the patches that reach across it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_cem import _core, hashing
from napari_cem.curation_sources import MARK, eight_bit
from napari_cem.images import Volume
from napari_cem.informative import Filter

CHUNK = 1024
BAND_BYTES = 1 << 26
MOST_IN_MEMORY = 1 << 30
AXES = ("xy", "xz", "yz")

PATCH = np.dtype(
    [("axis", "i1"), ("slice", "i4"), ("y", "i4"), ("x", "i4"), ("height", "i4"), ("width", "i4"),
     ("hash", "u8"), ("score", "f4")]
)  # fmt: skip


@dataclass(frozen=True)
class Band:
    """Slices [first, last) of a volume; `tile` if sections along z are cut there too."""

    number: int
    first: int
    last: int
    tile: bool


def spans(size: int, side: int) -> list[tuple[int, int]]:
    """Where patches begin and end along an axis."""
    count = _core.patches_along(size, side)
    return [(side * i, min(side * (i + 1), size)) for i in range(count)]


def bands_of(shape: tuple[int, int, int], axes: int, side: int) -> list[Band]:
    """How a volume is gone through."""
    depth, height, width = shape
    found: list[Band] = []
    done = 0
    if axes == 3:
        for first, last in spans(depth, side):
            found.append(Band(len(found), first, last, True))
            done = last
    step = max(1, BAND_BYTES // (height * width))
    for first in range(done, depth, step):
        found.append(Band(len(found), first, min(first + step, depth), False))
    return found


def taken(size: int) -> int:
    """Sections across an axis: all but the last, as in the paper's curation; one if it is alone."""
    return max(size - 1, 1)


def grid(rows: int, columns: int, side: int) -> np.ndarray:
    """(n, 4) of row, column, height and width of the patches of a section."""
    return np.array(
        [(y, x, b - y, d - x) for y, b in spans(rows, side) for x, d in spans(columns, side)],
        np.int64,
    )


def places(band: Band, shape: tuple[int, int, int], side: int) -> np.ndarray:
    """The patches of a band as `PATCH`, their hashes and scores not known yet.

    They are in the volume's own places: along z a patch of axis 1 or 2 begins at band.first.
    """
    depth, height, width = shape
    last = min(band.last, taken(depth))
    work = [(0, range(band.first, last), grid(height, width, side))]
    if band.tile:
        rows = band.last - band.first
        for axis, count, columns in ((1, height, width), (2, width, height)):
            cells = np.array(
                [(band.first, x, rows, end - x) for x, end in spans(columns, side)], np.int64
            )
            work.append((axis, range(taken(count)), cells))
    parts = []
    for axis, numbers, cells in work:
        part = np.zeros((len(numbers), len(cells)), PATCH)
        part["axis"], part["slice"] = axis, np.array(numbers)[:, None]
        for name, column in zip(("y", "x", "height", "width"), cells.T, strict=True):
            part[name] = column
        parts.append(part.ravel())
    return np.concatenate(parts)


class Pixels:
    """The 8-bit pixels of a band, in memory or, if there are too many, in a temporary file."""

    def __init__(self, volume: Volume, band: Band, scratch: Path | None) -> None:
        shape = (band.last - band.first, *volume.shape[1:])
        self.file = None
        if scratch is not None and np.prod(shape, dtype=np.int64) > MOST_IN_MEMORY:
            self.file = tempfile.NamedTemporaryFile(dir=scratch, suffix=".raw")
            self.array: np.ndarray = np.memmap(self.file, np.uint8, "w+", shape=shape)
        else:
            self.array = np.empty(shape, np.uint8)
        for z in range(*shape[:1]):
            self.array[z] = eight_bit(volume.slice(band.first + z), volume)
        self.first = band.first

    def cut(self, patches: np.ndarray, threads: int) -> np.ndarray:
        """(n, height, width) pixels of `PATCH`es that have one shape."""
        corners = np.empty((len(patches), 4), np.int64)
        corners[:, 0], corners[:, 1] = patches["axis"], patches["slice"]
        corners[:, 2], corners[:, 3] = patches["y"], patches["x"]
        flat = patches["axis"] == 0
        corners[flat, 1] -= self.first
        corners[~flat, 2] -= self.first
        shape = (len(patches), int(patches["height"][0]), int(patches["width"][0]))
        out = np.empty(shape, np.uint8)
        _core.patches_cut(out, self.array, corners, threads)
        return out

    def groups(self, patches: np.ndarray, threads: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of patches of one shape, and their pixels, a chunk at a time."""
        shapes = patches["height"].astype(np.int64) << 32 | patches["width"]
        for shape in np.unique(shapes):
            numbers = np.flatnonzero(shapes == shape)
            for first in range(0, len(numbers), CHUNK):
                part = numbers[first : first + CHUNK]
                yield part, self.cut(patches[part], threads)

    def close(self) -> None:
        """Removes the temporary file."""
        if self.file is not None:
            self.array = np.empty((0, 0, 0), np.uint8)
            self.file.close()


def examine(
    volume: Volume, band: Band, side: int, judge: Filter | None, threads: int, scratch: Path | None
) -> np.ndarray:
    """The patches of a band with hashes and scores (1 without a filter)."""
    patches = places(band, volume.shape, side)
    pixels = Pixels(volume, band, scratch)
    try:
        for numbers, cut in pixels.groups(patches, threads):
            patches["hash"][numbers] = hashing.dhash(cut, threads)
            scores = 1.0 if judge is None else judge.scores(hashing.features(cut, threads))
            patches["score"][numbers] = scores
    finally:
        pixels.close()
    return patches


def name_of(dataset: str, patch: np.void, shape: tuple[int, int, int], flat: bool) -> str:
    """A patch's name: data set, axis, section, and where it begins."""
    if flat:
        return f"{dataset}{MARK}2d_{patch['y']}_{patch['x']}"
    axis = int(patch["axis"])
    digits = len(str(shape[axis]))
    return f"{dataset}{MARK}{axis}_{patch['slice']:0{digits}}_{patch['y']}_{patch['x']}"
