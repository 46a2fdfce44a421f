"""The labels layer as it is painted: which slices changed, and what is on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cem.labels import merge
from napari_cem.widget.viewport import slice_of

QUIET_MS = 500  # from the end of a stroke


class Painting(QObject):
    """Watches a labels layer.

    napari tells that something was painted, filled, undone or redone, but not what: slices are
    compared with what they were.

    Signals
    -------
    changed : emitted with a slice and its labels, (y, x), half a second after the last stroke.
    """

    changed = Signal(int, object)

    def __init__(self, viewer: Any, layer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer, self.layer = viewer, layer
        self._known: dict[int, np.ndarray] = {}
        self._counts: dict[int, dict[int, int]] = {}
        self._everywhere = False
        self._timer = QTimer(self, singleShot=True, interval=QUIET_MS)
        self._timer.timeout.connect(self.compare)
        self._watched = [layer.events.paint, layer.events.set_data, layer.events.data]
        for event in self._watched:
            event.connect(self._later)

    def _later(self, event: Any = None) -> None:
        painted = getattr(event, "type", "") == "paint"
        if painted and self.layer.n_edit_dimensions > 2:
            self._everywhere = True
        if painted or not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Stops watching."""
        self._timer.stop()
        for event in self._watched:
            event.disconnect(self._later)

    def page(self, z: int) -> np.ndarray:
        """Labels of slice `z`, (y, x)."""
        data = self.layer.data
        return np.asarray(data if data.ndim == 2 else data[z])

    def start(self, slices: list[int]) -> None:
        """Takes what is on `slices` as it is."""
        for z in slices:
            self._look(z)

    def compare(self) -> None:
        """Tells of every slice that is not what it was."""
        for z in self._suspects():
            page = self.page(z)
            if z in self._known and np.array_equal(page, self._known[z]):
                continue
            if z not in self._known and not page.any():
                continue
            self._look(z)
            self.changed.emit(z, self._known[z])

    def _suspects(self) -> Iterator[int]:
        if self._everywhere:
            self._everywhere = False
            yield from range(1 if self.layer.ndim == 2 else self.layer.data.shape[0])
            return
        shown = slice_of(self.viewer, self.layer)
        yield from sorted({*self._known, *([] if shown is None else [shown])})

    def _look(self, z: int) -> None:
        page = np.array(self.page(z))
        self._known[z] = page
        counts = np.bincount(page.ravel())
        counts[0] = 0
        self._counts[z] = {int(v): int(counts[v]) for v in np.flatnonzero(counts)}

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
