"""What a model finds on the slices one looks at, kept for as long as memory allows."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from napari_cem.tiles import Tiling

TILE, HALO = 512, 64
WINDOW = 2048  # of larger slices only so much around the view is predicted
GRID = 512


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
        p = self.probabilities
        known = p.any(axis=0)
        if threshold is None:
            best = p.argmax(axis=0)
        else:
            foreground = 255 - p[0].astype(np.int16) >= 255 * threshold
            best = (1 + p[1:].argmax(axis=0)) * foreground
        found: np.ndarray = np.asarray(values, np.uint16)[best] * known
        return found

    def foreground(self) -> np.ndarray:
        """1 - p(background), (height, width) float32, 0 where nothing was predicted yet."""
        p = self.probabilities[0]
        known = self.probabilities.any(axis=0)
        return np.where(known, (255 - p) / np.float32(255), np.float32(0)).astype(np.float32)


class Pages:
    """Pages under a cap of bytes, the least recently used dropped first."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._pages: OrderedDict[Window, Page] = OrderedDict()

    def find(self, window: Window) -> Page | None:
        """The page of `window`, or None."""
        page = self._pages.get(window)
        if page is not None:
            self._pages.move_to_end(window)
        return page

    def room(self, window: Window, classes: int) -> Page:
        """The page of `window`, made if need be."""
        page = self.find(window)
        if page is None:
            shape = (classes, window.height, window.width)
            page = self._pages[window] = Page(window, np.zeros(shape, np.uint8))
            while len(self._pages) > 1 and self.bytes > self.most_bytes:
                self._pages.popitem(last=False)
        return page

    @property
    def bytes(self) -> int:
        """Memory of all pages."""
        return sum(page.probabilities.nbytes for page in self._pages.values())
