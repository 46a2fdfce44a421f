"""The labels layer as it is painted: which slices changed, and what is on them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cem.labels import merge
from napari_cem.widget.viewport import slice_of

QUIET_MS = 500  # from the end of a stroke
AT_ONCE = 0.015  # seconds of looking before the window gets its turn


class Painting(QObject):
    """Watches a labels layer.

    napari tells that something was painted, filled, undone or redone, but not what: slices are
    compared with what they were, the one on screen first.

    Signals
    -------
    changed : emitted with a slice and its labels, (y, x), after every stroke.
    settled : emitted half a second after the last stroke of several.
    """

    changed = Signal(int, object)
    settled = Signal()

    def __init__(self, viewer: Any, layer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer, self.layer = viewer, layer
        self._known: dict[int, np.ndarray] = {}
        self._counts: dict[int, dict[int, int]] = {}
        self._everywhere = self._unsettled = False
        self._suspects: list[int] = []
        self._timer = QTimer(self, singleShot=True, interval=QUIET_MS)
        self._timer.timeout.connect(self._begin)
        self._next = QTimer(self, singleShot=True, interval=0)
        self._next.timeout.connect(self._go_on)
        self._at_once = QTimer(self, singleShot=True, interval=0)
        self._at_once.timeout.connect(self._compare_shown)
        self._watched = [layer.events.paint, layer.events.set_data, layer.events.data]
        for event in self._watched:
            event.connect(self._later)

    def _later(self, event: Any = None) -> None:
        painted = getattr(event, "type", "") == "paint"
        if painted:
            self._everywhere = self._everywhere or self.layer.n_edit_dimensions > 2
            self._at_once.start()
        if painted or not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Stops watching."""
        for timer in (self._timer, self._next, self._at_once):
            timer.stop()
        for event in self._watched:
            event.disconnect(self._later)

    def page(self, z: int) -> np.ndarray:
        """Labels of slice `z`, (y, x)."""
        data = self.layer.data
        return np.asarray(data if data.ndim == 2 else data[z])

    def write(self, z: int, places: tuple[np.ndarray, ...], values: np.ndarray) -> None:
        """Sets labels at rows and columns of slice `z`, so that napari's undo knows of it."""
        if not len(values):
            return
        if self.layer.ndim == 3:
            places = (np.full(len(values), z), *places)
        self.layer.data_setitem(places, values.astype(self.layer.data.dtype))

    def start(self, slices: list[int]) -> None:
        """Takes what is on `slices` as it is."""
        for z in slices:
            self._look(z, np.array(self.page(z)))

    # ---- what changed ----

    def compare(self) -> None:
        """Tells now of every slice that is not what it was."""
        self._suspects = list(self._suspected())
        self._go_on(float("inf"))

    def _compare_shown(self) -> None:
        shown = slice_of(self.viewer, self.layer)
        if shown is not None:
            self._compare(shown)

    def _begin(self) -> None:
        self._suspects = list(self._suspected())
        self._go_on()

    def _go_on(self, seconds: float = AT_ONCE) -> None:
        end = time.monotonic() + seconds
        while self._suspects:
            self._compare(self._suspects.pop(0))
            if time.monotonic() > end:
                self._next.start()
                return
        if self._unsettled:
            self._unsettled = False
            self.settled.emit()

    def _suspected(self) -> Iterator[int]:
        shown = slice_of(self.viewer, self.layer)
        first = [] if shown is None else [shown]
        everywhere, self._everywhere = self._everywhere, False
        depth = 1 if self.layer.ndim == 2 else self.layer.data.shape[0]
        yield from first
        yield from (z for z in (range(depth) if everywhere else sorted(self._known)) if z != shown)

    def _compare(self, z: int) -> None:
        page, known = self.page(z), self._known.get(z)
        if not page.any() if known is None else np.array_equal(page, known):
            return
        self._look(z, np.array(page))
        self._unsettled = True
        self.changed.emit(z, self._known[z])

    def _look(self, z: int, page: np.ndarray) -> None:
        self._known[z] = page
        counts = np.bincount(page[page != 0])
        self._counts[z] = {int(value): int(counts[value]) for value in np.flatnonzero(counts)}

    # ---- what is there ----

    @property
    def pages(self) -> dict[int, np.ndarray]:
        """Slices that are or were annotated, and their labels."""
        return self._known

    @property
    def counts(self) -> dict[int, int]:
        """Painted pixels of each label value."""
        return merge(list(self._counts.values()))

    @property
    def slices(self) -> dict[int, int]:
        """Annotated slices and their painted pixels."""
        totals = {z: sum(counts.values()) for z, counts in sorted(self._counts.items())}
        return {z: total for z, total in totals.items() if total}
