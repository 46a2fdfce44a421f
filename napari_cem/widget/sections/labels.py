"""Labels: classes, brushes, and which slices are annotated."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QComboBox, QLabel, QListWidget, QListWidgetItem, QTableWidget
from qtpy.QtWidgets import QTableWidgetItem as Item

from napari_cem.widget import layers
from napari_cem.widget.project import BACKGROUND_BRUSH, Project
from napari_cem.widget.sections.base import Section, button
from napari_cem.widget.viewport import go_to_slice

HINT = "Paint inside and near borders, background too. Not painted is not learned from."


def swatch(color: str) -> QIcon:
    """A square of a colour."""
    pixels = QPixmap(14, 14)
    pixels.fill(QColor(color))
    return QIcon(pixels)


class LabelsSection(Section):
    """Makes or takes a labels layer, names classes, lists annotated slices."""

    title = "Labels"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.new = button("New labels", self._new, "new-labels", "a layer to paint in")
        self.existing = QComboBox(objectName="existing-labels")
        self.existing.activated.connect(self._take)
        self.row(self.new, self.existing)
        self.table = QTableWidget(0, 2, objectName="classes")
        self.table.setHorizontalHeaderLabels(["class", "painted"])
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.verticalHeader().hide()
        self.table.setFixedHeight(96)
        self.table.cellClicked.connect(self._select)
        self.table.itemChanged.connect(self._rename)
        self.rows.addWidget(self.table)
        self.row(
            button("Add class", project.add_class, "add-class"),
            button("As predicted", self._from_prediction, "from-prediction",
                   "label this slice as predicted, where nothing is painted, to correct it"),
            button("Box complete", self._box, "box-complete",
                   "draw a box in which everything is painted; the rest becomes background"),
        )  # fmt: skip
        self.banner = button("", self._fix, "banner")
        self.rows.addWidget(self.banner)
        self.slices = QListWidget(objectName="slices")
        self.slices.setFixedHeight(70)
        self.slices.itemClicked.connect(self._jump)
        self.rows.addWidget(QLabel("annotated slices"))
        self.rows.addWidget(self.slices)

    def why_not(self) -> str | None:
        """An image has to be there."""
        return "needs an image" if self.project.image is None else None

    def status(self) -> str:
        """How much is painted."""
        painting = self.project.painting
        if painting is None:
            return "no labels yet"
        found = painting.slices
        if not found:
            return HINT
        return f"{sum(found.values())} pixels on {len(found)} slices"

    def refresh(self) -> None:
        """Layers, classes, counts, slices and what is missing."""
        painting = self.project.painting
        self._list_layers()
        self._list_classes({} if painting is None else painting.counts)
        found = {} if painting is None else painting.slices
        self.slices.clear()
        for z, count in found.items():
            item = QListWidgetItem(f"slice {z}: {count} pixels")
            item.setData(Qt.ItemDataRole.UserRole, z)
            self.slices.addItem(item)
        missing = self.project.missing()
        self.banner.setVisible(painting is not None and bool(missing))
        if missing:
            self.banner.setText(f"nothing painted of {missing[0]['name']}: take its brush")

    def _list_layers(self) -> None:
        from napari.layers import Labels

        self.existing.clear()
        self.existing.addItem("use a layer...")
        for layer in self.project.viewer.layers:
            role = layers.role_of(layer)
            if isinstance(layer, Labels) and role not in (layers.PREDICTION, layers.OBJECTS):
                self.existing.addItem(layer.name, layer.unique_id)
        painting = self.project.painting
        if painting is not None:
            self.existing.setCurrentIndex(max(0, self.existing.findData(painting.layer.unique_id)))

    def _list_classes(self, counts: dict[int, int]) -> None:
        self.table.blockSignals(True)
        self.table.setRowCount(len(self.project.classes))
        for row, entry in enumerate(self.project.classes):
            name = Item(swatch(entry["color"] if row else BACKGROUND_BRUSH), entry["name"])
            count = Item(str(counts.get(entry["value"], 0)))
            count.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.table.setItem(row, 0, name)
            self.table.setItem(row, 1, count)
        self.table.blockSignals(False)

    def _new(self) -> None:
        self.project.new_labels()

    def _take(self, row: int) -> None:
        wanted = self.existing.itemData(row)
        for layer in self.project.viewer.layers:
            if wanted is not None and layer.unique_id == wanted:
                reason = self.project.use_labels(layer)
                if reason:
                    self.project.told.emit(reason)

    def _select(self, row: int, column: int) -> None:
        self.project.paint_with(self.project.classes[row]["value"])

    def _rename(self, item: Any) -> None:
        classes = [dict(entry) for entry in self.project.classes]
        name = item.text().strip()
        if name and name not in [entry["name"] for entry in classes]:
            classes[item.row()]["name"] = name
            self.project.set_classes(classes)
        else:
            self.update_all()

    def _fix(self) -> None:
        missing = self.project.missing()
        if missing:
            self.project.paint_with(missing[0]["value"])

    def _jump(self, item: Any) -> None:
        go_to_slice(self.project.viewer, self.project.image, item.data(Qt.ItemDataRole.UserRole))

    def _from_prediction(self) -> None:
        count = self.project.take_prediction()
        self.project.told.emit(
            f"{count} pixels labelled as predicted" if count else "no prediction"
        )

    def _box(self) -> None:
        viewer, image = self.project.viewer, self.project.image
        if self.project.painting is None:
            self.project.told.emit("add labels first")
            return
        boxes = layers.ours(viewer, layers.BOX)
        if not boxes or not len(boxes[0].data):
            layer = boxes[0] if boxes else viewer.add_shapes(
                name="CEM box", ndim=image.ndim, metadata=layers.marked(layers.BOX),
                **layers.placed_like(image),
            )  # fmt: skip
            layer.mode = "add_rectangle"
            viewer.layers.selection.active = layer
            self.project.told.emit("draw a box, then press Box complete again")
            return
        count = self.project.complete_boxes(boxes[0])
        viewer.layers.remove(boxes[0])
        self.project.told.emit(f"{count} pixels made background")
