"""The layers that show what was predicted of the slice on screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cem.preview import Page, Window
from napari_cem.widget import layers

REFRESH_MS = 60
MOVES = ("scale", "translate", "rotate", "shear", "affine")
SHOWN = ("labels", "probability", "uncertainty", "off")


class Overlay(QObject):
    """Layers of ours over the image: labels by the threshold, the probability, and where the
    network is least sure.

    Threshold and opacity act on what was predicted; nothing is computed anew by the network.

    Signals
    -------
    dismissed : the user deleted or hid one of the layers, or made it visible; nothing else is
        shown until asked for.
    """

    dismissed = Signal()

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.image: Any = None
        self.classes: list[dict[str, Any]] = []
        self.threshold: float | None = None
        self.opacity = 0.6
        self.shown = "labels"
        self._page: Page | None = None
        self._drawing = False
        self._layers: dict[str, Any] = {}
        self._watched: list[Any] = []
        self._timer = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._timer.timeout.connect(self.draw)
        viewer.layers.events.removed.connect(self._removed)

    def close(self) -> None:
        """Takes the layers out and stops watching."""
        self.viewer.layers.events.removed.disconnect(self._removed)
        self.remove()

    def _removed(self, event: Any) -> None:
        mine = [name for name, layer in self._layers.items() if layer == event.value]
        for name in mine:
            del self._layers[name]
        if mine and self.shown == mine[0]:
            self.shown = "off"
            self.dismissed.emit()

    def set_classes(self, classes: list[dict[str, Any]]) -> None:
        """Other names, values or colours."""
        if classes == self.classes:
            return
        self.classes = classes
        if "labels" in self._layers:
            self._layers["labels"].colormap = layers.class_colors(classes, None)
        self.show(self._page)

    def attach(self, image: Any, classes: list[dict[str, Any]]) -> None:
        """Belongs to `image` from now on."""
        self.remove()
        self.image, self.classes = image, classes
        self._watched = [getattr(image.events, name) for name in MOVES]
        for event in self._watched:
            event.connect(self._move)

    def _move(self, event: Any = None) -> None:
        """The image lies elsewhere now, and what is over it with it."""
        if self._page is None:
            return
        for layer in self._layers.values():
            for name, value in self._place(self._page.window).items():
                setattr(layer, name, value)

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
        for layer in self._layers.values():
            layer.opacity = opacity

    def set_shown(self, shown: str) -> None:
        """What of it is visible, one of `SHOWN`."""
        self.shown = shown
        self.draw()

    def draw(self) -> None:
        """Brings the layers up to date."""
        page = self._page
        if page is None or self.image not in self.viewer.layers or self.shown == "off":
            for layer in self._layers.values():
                self._set_visible(layer, False)
            return
        for name in SHOWN[:-1]:
            if name == self.shown:
                self._put(name, page)
            elif name in self._layers:
                self._set_visible(self._layers[name], False)

    def _set_visible(self, layer: Any, visible: bool) -> None:
        if layer.visible != visible:  # napari redraws whenever a property is set
            self._drawing = True
            layer.visible = visible
            self._drawing = False

    def _seen(self, event: Any) -> None:
        """The user closed or opened a layer's eye."""
        if self._drawing:
            return
        for name, layer in self._layers.items():
            if layer == event.source:
                self.shown = name if layer.visible else "off" if self.shown == name else self.shown
                self.draw()
                self.dismissed.emit()

    def _put(self, name: str, page: Page) -> None:
        if name == "labels":
            values = [entry["value"] for entry in self.classes]
            pixels: np.ndarray = page.labels(values, self.threshold)
        elif name == "probability":
            pixels = page.foreground()
        else:
            pixels = page.uncertainty()
        if self.image.ndim == 3:
            pixels = pixels[None]
        place = self._place(page.window)
        layer = self._layers.get(name)
        if layer is None:
            layer = self._layers[name] = self._make(name, pixels, place)
        else:
            if layer.data.shape == pixels.shape:
                layer.data[...] = pixels
                layer.refresh()
            else:
                layer.data = pixels
            if not np.array_equal(layer.translate, place["translate"]):
                layer.translate = place["translate"]
        self._set_visible(layer, True)

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
                metadata=layers.marked(layers.PREDICTION, self.image), **place,
            )  # fmt: skip
            layer.editable = False
        else:
            layer = self.viewer.add_image(
                pixels, name=f"CEM {name}", opacity=self.opacity, blending="additive",
                colormap="magma", contrast_limits=(0, 1),
                metadata=layers.marked(name, self.image), **place,
            )  # fmt: skip
        layer.events.visible.connect(self._seen)
        self.viewer.layers.move(len(self.viewer.layers) - 1, self._above_image())
        self.viewer.layers.selection = selection
        return layer

    def _above_image(self) -> int:
        place: int = self.viewer.layers.index(self.image) + 1
        return place

    def remove(self) -> None:
        """Takes the layers out of the viewer."""
        self._timer.stop()
        for event in self._watched:
            event.disconnect(self._move)
        self._watched = []
        present, self._layers, self._page = list(self._layers.values()), {}, None
        for layer in present:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
