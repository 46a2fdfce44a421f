"""Data: which image is worked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QLabel

from napari_cem.widget import layers
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section


class DataSection(Section):
    """Chooses the image layer."""

    title = "Data"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.choice = QComboBox(objectName="image")
        self.facts = QLabel(wordWrap=True)
        self.row(self.choice)
        self.rows.addWidget(self.facts)
        self._problem: str | None = None
        self._events = project.viewer.layers.events
        for event in (self._events.inserted, self._events.removed, self._events.reordered):
            event.connect(self._list)
        self.choice.activated.connect(self._choose)
        self._list()

    def close_events(self) -> None:
        """Stops watching the viewer."""
        for event in (self._events.inserted, self._events.removed, self._events.reordered):
            event.disconnect(self._list)

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
            layer.events.name.connect(self._rename)
        self.choice.blockSignals(False)
        if self.project.image is None and found:
            self._use(found[0])
        self._point()

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
                self._use(layer)
        self._point()

    def _use(self, layer: Any) -> None:
        self._problem = self.project.use_image(layer)
        self.update_all()

    def status(self) -> str:
        """The image, or what is wrong with it."""
        if self._problem:
            return self._problem
        return "open an image first" if self.project.image is None else ""

    def refresh(self) -> None:
        """Shape, type and pixel size."""
        image = self.project.image
        self.facts.setVisible(image is not None)
        if image is None:
            return
        data = layers.full_data(image)
        spacing = layers.spacing_nm(image)
        size = " x ".join(str(length) for length in data.shape)
        unit = "pixel size unknown" if spacing is None else (
            " x ".join(f"{value:g}" for value in spacing) + " nm"
        )  # fmt: skip
        self.facts.setText(f"{size}, {np.dtype(data.dtype).name}, {unit}")
