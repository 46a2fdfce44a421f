"""What a model finds on the slices one looks at, kept for as long as memory allows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from napari_cem.tiles import Tiling

TILE, HALO = 512, 64
WINDOW = 2048  # of larger slices only so much around the view is predicted
GRID = 512
UNCERTAINTY = 1 - np.arange(256, dtype=np.float32) / 255  # of 255 times a margin


@dataclass(frozen=True)
class View:
    """What is on screen: slice `z`, and its rows and columns [first, last) in pixels."""

    z: int
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class Window:
    """The part of a slice that is predicted for a view: all of it, unless the slice is large."""

    z: int
    y: int
    x: int
    height: int
    width: int

    @property
    def tiling(self) -> Tiling:
        """Its tiles."""
        return Tiling(self.height, self.width, TILE, HALO)

    def order(self, view: View) -> list[int]:
        """Tiles that show in `view`, from its middle outwards."""
        y, x = self.y, self.x
        rows = (view.rows[0] - y, view.rows[1] - y)
        return self.tiling.order(rows, (view.columns[0] - x, view.columns[1] - x))


def part(view: tuple[int, int], length: int) -> tuple[int, int]:
    """Start and length of the window along one side of `length` pixels."""
    if length <= WINDOW:
        return 0, length
    start = (sum(view) // 2 - WINDOW // 2) // GRID * GRID
    start = max(0, min(start, length - WINDOW))
    return start, WINDOW


def window_of(view: View, shape: tuple[int, int, int]) -> Window:
    """The window for `view` of a stack of `shape`."""
    y, height = part(view.rows, shape[1])
    x, width = part(view.columns, shape[2])
    return Window(view.z, y, x, height, width)


@dataclass
class Page:
    """Predictions of one window.

    Attributes
    ----------
    window : Window
    probabilities : (classes, height, width) uint8
        255 times the probability; 0 everywhere where nothing was predicted yet.
    versions : dict of int to int
        Version of the weights that each predicted tile comes from.
    """

    window: Window
    probabilities: np.ndarray
    versions: dict[int, int] = field(default_factory=dict)

    def labels(self, values: list[int], threshold: float | None) -> np.ndarray:
        """Label values, 0 where nothing was predicted yet.

        Parameters
        ----------
        values : list of int
            Label values of the classes, background first.
        threshold : float or None
            From which 1 - p(background) a pixel is foreground; None: the likeliest class wins.

        Returns
        -------
        (height, width) array of uint16
        """
        p, of_class = self.probabilities, np.asarray(values, np.uint16)
        if threshold is None:
            found = likeliest(p, of_class)
        else:
            foreground = 255 - np.arange(256) >= 255 * threshold  # by the background's probability
            table = np.where(foreground, of_class[1], of_class[0])
            found = table[p[0]]
            if len(p) > 2:
                found = np.where(foreground[p[0]], likeliest(p[1:], of_class[1:]), of_class[0])
        if len(self.versions) < self.window.tiling.count:
            found *= p.any(axis=0)
        return found

    def foreground(self) -> np.ndarray:
        """1 - p(background), (height, width) float32, 0 where nothing was predicted yet."""
        p = self.probabilities[0]
        known = self.probabilities.any(axis=0)
        return np.where(known, (255 - p) / np.float32(255), np.float32(0)).astype(np.float32)

    def uncertainty(self) -> np.ndarray:
        """1 - (p of the likeliest class - p of the next), (height, width) float32; 0 where nothing
        was predicted yet."""
        first, second = self.probabilities[0], np.zeros_like(self.probabilities[0])
        for p in self.probabilities[1:]:
            first, second = np.maximum(first, p), np.maximum(second, np.minimum(first, p))
        margin = np.where(first, first - second, 255).astype(np.uint8)
        return UNCERTAINTY[margin]


def likeliest(probabilities: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Value of the class with the largest probability, the first of equals, at each pixel."""
    best, found = probabilities[0], np.full(probabilities.shape[1:], values[0])
    for p, value in zip(probabilities[1:], values[1:], strict=True):
        np.copyto(found, value, where=p > best)
        best = np.maximum(best, p)
    return found


class Pages:
    """Pages under a cap of bytes, the least recently used dropped first; for any thread."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._pages: OrderedDict[Window, Page] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, window: Window) -> Page | None:
        """The page of `window`, or None."""
        with self._lock:
            page = self._pages.get(window)
            if page is not None:
                self._pages.move_to_end(window)
            return page

    def room(self, window: Window, classes: int) -> Page:
        """The page of `window`, made if need be."""
        page = self.find(window)
        if page is None:
            shape = (classes, window.height, window.width)
            page = Page(window, np.zeros(shape, np.uint8))
            with self._lock:
                self._pages[window] = page
                while len(self._pages) > 1 and self._count() > self.most_bytes:
                    self._pages.popitem(last=False)
        return page

    def clear(self) -> None:
        """Drops every page."""
        with self._lock:
            self._pages.clear()

    @property
    def bytes(self) -> int:
        """Memory of all pages."""
        with self._lock:
            return self._count()

    def _count(self) -> int:
        return sum(page.probabilities.nbytes for page in self._pages.values())
