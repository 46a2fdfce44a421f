"""What is on screen of an image, told when it has stood still for a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cem.preview import View

QUIET_MS = 80


class Viewport(QObject):
    """Watches slider and camera.

    Signals
    -------
    moved : emitted when the view has changed.
    """

    moved = Signal()

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self._timer = QTimer(self, singleShot=True, interval=QUIET_MS)
        self._timer.timeout.connect(self.moved)
        camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        self._events = [
            viewer.dims.events.point, viewer.dims.events.order, viewer.dims.events.ndisplay,
            camera.events.center, camera.events.zoom,
        ]  # fmt: skip
        for event in self._events:
            event.connect(self._later)

    def _later(self, event: Any = None) -> None:
        self._timer.start()

    def look_again(self) -> None:
        """Something else than slider and camera has changed."""
        self._timer.start()

    def close(self) -> None:
        """Stops watching."""
        self._timer.stop()
        for event in self._events:
            event.disconnect(self._later)

    def why_not(self) -> str | None:
        """Why nothing can be predicted for this view, None if it can."""
        dims = self.viewer.dims
        if dims.ndisplay != 2:
            return "the preview needs the 2D view"
        if tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
            return "the preview shows xy slices only; roll the axes back"
        return None

    def view(self, image: Any) -> View | None:
        """What is on screen of `image`, in its full-resolution pixels; None if nothing is."""
        if self.why_not() or image not in self.viewer.layers:
            return None
        z = slice_of(self.viewer, image)
        shape = image.data[0].shape if image.multiscale else image.data.shape
        if z is None:
            return None
        corners = np.asarray(image.corner_pixels, float)[:, -2:]
        if image.multiscale:
            corners = corners * np.asarray(image.downsample_factors)[image.data_level][-2:]
        (top, left), (bottom, right) = corners
        rows = (max(0, int(top)), min(shape[-2], int(bottom) + 1))
        columns = (max(0, int(left)), min(shape[-1], int(right) + 1))
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            return None
        return View(z, rows, columns)


def slice_of(viewer: Any, image: Any) -> int | None:
    """The slice of `image` at the slider, None beyond it; a single image has slice 0."""
    if image.ndim == 2:
        return 0
    shape = image.data[0].shape if image.multiscale else image.data.shape
    z = round(float(image.world_to_data(viewer.dims.point)[-3]))
    return z if 0 <= z < shape[0] else None


def go_to_slice(viewer: Any, image: Any, z: int) -> None:
    """Moves the slider to slice `z` of `image`."""
    if image.ndim == 2:
        return
    axis = viewer.dims.ndim - 3
    middle = (
        [z, *(size / 2 for size in image.data.shape[-2:])] if not image.multiscale else [z, 0, 0]
    )
    viewer.dims.set_point(axis, float(image.data_to_world(middle)[-3]))
