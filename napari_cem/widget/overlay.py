"""The layers that show what was predicted of the slice on screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_cem.preview import Page, Window
from napari_cem.widget import layers

REFRESH_MS = 60
SHOWN = ("labels", "probability", "off")


class Overlay(QObject):
    """Two layers of ours over the image: labels by the threshold, and the probability.

    Threshold and opacity act on what was predicted; nothing is computed anew by the network.
    """

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.image: Any = None
        self.classes: list[dict[str, Any]] = []
        self.threshold: float | None = None
        self.opacity = 0.6
        self.shown = "labels"
        self._page: Page | None = None
        self._layers: dict[str, Any] = {}
        self._timer = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._timer.timeout.connect(self.draw)

    def attach(self, image: Any, classes: list[dict[str, Any]]) -> None:
        """Belongs to `image` from now on."""
        self.remove()
        self.image, self.classes = image, classes

    def show(self, page: Page | None) -> None:
        """Shows `page`, soon; None shows nothing."""
        self._page = page
        if not self._timer.isActive():
            self._timer.start()

    def set_threshold(self, threshold: float | None) -> None:
        """From which 1 - p(background) a pixel is foreground."""
        self.threshold = threshold
        self.draw()

    def set_opacity(self, opacity: float) -> None:
        """0 transparent, 1 opaque."""
        self.opacity = opacity
        for layer in self._present():
            layer.opacity = opacity

    def set_shown(self, shown: str) -> None:
        """What of it is visible, one of `SHOWN`."""
        self.shown = shown
        self.draw()

    def draw(self) -> None:
        """Brings the layers up to date."""
        page = self._page
        for name in ("labels", "probability"):
            layer = self._layers.get(name)
            if layer is not None and layer not in self.viewer.layers:
                del self._layers[name]
        if page is None or self.image not in self.viewer.layers or self.shown == "off":
            for layer in self._present():
                layer.visible = False
            return
        for name in ("labels", "probability"):
            if name == self.shown:
                self._put(name, page)
            elif name in self._layers:
                self._layers[name].visible = False

    def _put(self, name: str, page: Page) -> None:
        if name == "labels":
            values = [entry["value"] for entry in self.classes]
            pixels: np.ndarray = page.labels(values, self.threshold)
        else:
            pixels = page.foreground()
        if self.image.ndim == 3:
            pixels = pixels[None]
        place = self._place(page.window)
        layer = self._layers.get(name)
        if layer is None:
            layer = self._layers[name] = self._make(name, pixels, place)
        elif layer.data.shape == pixels.shape:
            layer.data[...] = pixels
            layer.translate = place["translate"]
            layer.refresh()
        else:
            layer.data = pixels
            layer.translate = place["translate"]
        layer.visible = True

    def _place(self, window: Window) -> dict[str, Any]:
        offset = (window.y, window.x)
        return layers.placed_like(
            self.image, (window.z, *offset) if self.image.ndim == 3 else offset
        )

    def _make(self, name: str, pixels: np.ndarray, place: dict[str, Any]) -> Any:
        selection = set(self.viewer.layers.selection)
        if name == "labels":
            layer = self.viewer.add_labels(
                pixels, name="CEM prediction", opacity=self.opacity, blending="translucent",
                colormap=layers.class_colors(self.classes, None),
                metadata=layers.marked(layers.PREDICTION), **place,
            )  # fmt: skip
            layer.editable = False
        else:
            layer = self.viewer.add_image(
                pixels, name="CEM probability", opacity=self.opacity, blending="additive",
                colormap="magma", contrast_limits=(0, 1),
                metadata=layers.marked(layers.PROBABILITY), **place,
            )  # fmt: skip
        self.viewer.layers.move(len(self.viewer.layers) - 1, self._above_image())
        self.viewer.layers.selection = selection
        return layer

    def _above_image(self) -> int:
        place: int = self.viewer.layers.index(self.image) + 1
        return place

    def _present(self) -> list[Any]:
        return [layer for layer in self._layers.values() if layer in self.viewer.layers]

    def remove(self) -> None:
        """Takes the layers out of the viewer."""
        self._timer.stop()
        for layer in self._present():
            self.viewer.layers.remove(layer)
        self._layers = {}
        self._page = None
