"""Data: which image is worked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtWidgets import QLabel

from napari_cem.widget import layers
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section, button, combo


class DataSection(Section):
    """Chooses the image layer."""

    title = "Data"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.choice = combo("image")
        self.facts = QLabel(wordWrap=True)
        self.row(self.choice)
        self.rows.addWidget(self.facts)
        self.sample = button("Open the sample", self.open_sample, "sample", "a small FIB-SEM stack")
        self.rows.addWidget(self.sample)
        self._problem: str | None = None
        self._named: list[Any] = []
        self._events = project.viewer.layers.events
        for event in (self._events.inserted, self._events.removed, self._events.reordered):
            event.connect(self._list)
        self.choice.activated.connect(self._choose)
        self._list()

    def close_events(self) -> None:
        """Stops watching the viewer."""
        for event in (self._events.inserted, self._events.removed, self._events.reordered):
            event.disconnect(self._list)
        self._watch_names([])

    def open_sample(self) -> None:
        """Adds the bundled stack and its scribbles."""
        from napari.layers import Layer

        from napari_cem.widget.sample import fly_medulla

        for data in fly_medulla():
            self.project.viewer.add_layer(Layer.create(*data))

    def _watch_names(self, found: list[Any]) -> None:
        for layer in self._named:
            layer.events.name.disconnect(self._rename)
        for layer in found:
            layer.events.name.connect(self._rename)
        self._named = found

    def images(self) -> list[Any]:
        """The user's image layers."""
        from napari.layers import Image

        return [
            layer for layer in self.project.viewer.layers
            if isinstance(layer, Image) and layers.role_of(layer) in (None, "image")
        ]  # fmt: skip

    def _list(self, event: Any = None) -> None:
        found = self.images()
        self.choice.blockSignals(True)
        self.choice.clear()
        for layer in found:
            self.choice.addItem(layer.name, layer.unique_id)
        self._watch_names(found)
        self.choice.blockSignals(False)
        if self.project.image is None:
            self._use_first(found)
        self._point()

    def _use_first(self, found: list[Any]) -> None:
        self._problem = None
        for layer in found:
            problem = self.project.use_image(layer)
            if problem is None:
                self._problem = None
                break
            self._problem = self._problem or problem
        self.update_all()

    def _rename(self, event: Any = None) -> None:
        names = {layer.unique_id: layer.name for layer in self.images()}
        for row in range(self.choice.count()):
            self.choice.setItemText(row, names.get(self.choice.itemData(row), ""))

    def _point(self) -> None:
        if self.project.image is not None:
            row = self.choice.findData(self.project.image.unique_id)
            self.choice.setCurrentIndex(row)

    def _choose(self, row: int) -> None:
        wanted = self.choice.itemData(row)
        for layer in self.images():
            if layer.unique_id == wanted:
                self._problem = self.project.use_image(layer)
                self.update_all()
        self._point()

    def status(self) -> str:
        """The image, or what is wrong with it."""
        if self._problem:
            return self._problem
        return "open an image first" if self.project.image is None else ""

    def refresh(self) -> None:
        """Shape, type and pixel size."""
        image = self.project.image
        self.facts.setVisible(image is not None)
        self.choice.setVisible(bool(self.choice.count()))
        self.sample.setVisible(not self.choice.count())
        if image is None:
            return
        data = layers.full_data(image)
        spacing = layers.spacing_nm(image)
        size = " x ".join(str(length) for length in data.shape)
        unit = "pixel size unknown" if spacing is None else (
            " x ".join(f"{value:g}" for value in spacing) + " nm"
        )  # fmt: skip
        self.facts.setText(f"{size}, {np.dtype(data.dtype).name}, {unit}")
