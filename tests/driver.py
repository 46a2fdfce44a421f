"""A napari with our widget, driven as a user would: real mouse events, waiting, screenshots."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHOTS = Path(os.environ.get("NAPARI_CEM_SHOTS", "build/shots"))


class Driver:
    """A viewer with the widget in its dock."""

    def __init__(self, viewer: Any) -> None:
        from qtpy.QtCore import QEventLoop

        from napari_cem.widget.dock import CemWidget

        self.viewer = viewer
        self.process = QEventLoop().processEvents
        viewer.window._qt_window.resize(1400, 950)
        self.widget = CemWidget(viewer)
        viewer.window.add_dock_widget(self.widget, name="CEM Segment", area="right")
        self.project = self.widget.project
        self.heard: list[str] = []  # every line of the footer that is no progress
        self.project.told.connect(self.heard.append)
        self.longest = 0.0  # between two looks at the events: how long the window was frozen
        self.wait(0.3)
        self.longest = 0.0

    @property
    def said(self) -> str:
        """What stands in the footer: what runs, else the last line."""
        footer = self.widget.footer
        return str((footer.doing if footer.running else footer.text).text())

    def hears(self, beginning: str, seconds: float = 60) -> bool:
        """Waits for a line; whether it came.  What came before does not count."""
        self.heard.clear()
        return self.until(lambda: any(line.startswith(beginning) for line in self.heard), seconds)

    def wait(self, seconds: float) -> None:
        """Lets the window live for a while."""
        self.until(lambda: False, seconds)

    def until(self, true: Callable[[], bool], seconds: float = 60) -> bool:
        """Lets the window live until something is true; whether it came to be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.monotonic()
            self.process()
            self.longest = max(self.longest, time.monotonic() - start)
            if true():
                return True
            time.sleep(0.002)
        return true()

    def idle(self, seconds: float = 120) -> bool:
        """Waits until nothing runs."""
        return self.until(
            lambda: not self.project.training.running and not self.widget.segment.job.running,
            seconds,
        )

    def place(self, layer: Any, point: tuple[float, ...]) -> Any:
        """Where a pixel of a layer is on the canvas."""
        from qtpy.QtCore import QPoint

        world = np.asarray(layer.data_to_world(point))[-2:]
        center = np.asarray(self.viewer.scene.camera.center)[-2:]
        height, width = self.viewer.window._qt_viewer.canvas.size
        y, x = (world - center) * self.viewer.scene.camera.zoom + np.array([height, width]) / 2
        return QPoint(round(float(x)), round(float(y)))

    def drag(self, layer: Any, points: list[tuple[float, ...]]) -> None:
        """Draws with the left button through points of a layer, in its pixels."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        native = self.viewer.window._qt_viewer.canvas.native
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton

        def send(kind: Any, place: Any, button: Any, buttons: Any) -> None:
            where = QPointF(place)
            event = QMouseEvent(
                kind, where, QPointF(native.mapToGlobal(place)), button, buttons,
                Qt.KeyboardModifier.NoModifier,
            )  # fmt: skip
            QApplication.sendEvent(native, event)
            self.process()

        places = [self.place(layer, point) for point in points]
        send(QEvent.Type.MouseMove, places[0], none, none)
        send(QEvent.Type.MouseButtonPress, places[0], left, left)
        for place in places[1:]:
            send(QEvent.Type.MouseMove, place, none, left)
        send(QEvent.Type.MouseButtonRelease, places[-1], left, none)

    def stroke(self, value: int, points: list[tuple[int, int]], size: int = 3) -> None:
        """Paints a polyline of rows and columns on the slice on screen."""
        self.project.annotation.paint_with(value)
        layer = self.project.annotation.painting.layer
        layer.brush_size = size
        z = self.project.slice
        where = [(z, *point) if layer.ndim == 3 else point for point in points]
        self.drag(layer, where)

    def show(self, section: Any) -> None:
        """Scrolls to a section."""
        from qtpy.QtWidgets import QScrollArea

        self.wait(0.2)
        self.widget.findChild(QScrollArea).ensureWidgetVisible(section, 0, 400)
        self.wait(0.3)

    def shot(self, name: str) -> Path:
        """Writes a picture of the window."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        return path

    def close(self) -> None:
        """Closes the widget as its dock would."""
        self.widget.close_project()
        self.until(lambda: not self.project.training.running, 20)
