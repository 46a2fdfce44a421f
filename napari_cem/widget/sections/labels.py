"""Labels: classes, brushes, and which slices are annotated."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QColorDialog,
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
)
from qtpy.QtWidgets import QTableWidgetItem as Item

from napari_cem.widget import layers
from napari_cem.widget.classes import BACKGROUND_BRUSH
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section, button, combo
from napari_cem.widget.sections.suggestions import Suggestions
from napari_cem.widget.viewport import go_to_slice

HINT = "Paint inside and near borders, background too. Not painted is not learned from."
COLOR, NAME, COUNT = range(3)


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
        self.annotation = project.annotation
        self.new = button("New labels", project.new_labels, "new-labels", "a layer to paint in")
        self.existing = combo("existing-labels")
        self.existing.activated.connect(self._take)
        self.row(self.new, self.existing)
        self.table = self._make_table()
        self.rows.addWidget(self.table)
        self.row(
            button("Add class", self._add, "add-class"),
            button("Remove class", self._remove, "remove-class", "the one that is selected"),
        )
        self.row(
            button("As predicted", self._from_prediction, "from-prediction",
                   "label this slice as predicted, where nothing is painted, to correct it"),
            button("Box complete", self._box, "box-complete",
                   "draw a box in which everything is painted; the rest becomes background"),
        )  # fmt: skip
        self.banner = button("", self._fix, "banner")
        self.rows.addWidget(self.banner)
        self.slices = QListWidget(objectName="slices")
        self.slices.setFixedHeight(58)
        self.slices.itemClicked.connect(self._jump)
        self.rows.addWidget(QLabel("annotated slices"))
        self.rows.addWidget(self.slices)
        search = project.suggesting.search
        self.rows.addWidget(button("Suggest", search, "suggest", "what to label next; N: the next"))
        self.rows.addWidget(Suggestions(project.suggesting))

    def _make_table(self) -> QTableWidget:
        table = QTableWidget(0, 3, objectName="classes")
        table.setHorizontalHeaderLabels(["", "class", "painted"])
        header = table.horizontalHeader()
        header.setSectionResizeMode(COLOR, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        table.setColumnWidth(COLOR, 26)
        table.verticalHeader().hide()
        table.setFixedHeight(112)
        table.cellClicked.connect(self._select)
        table.itemChanged.connect(self._rename)
        return table

    def why_not(self) -> str | None:
        """An image has to be there."""
        return "needs an image" if self.project.image is None else None

    def status(self) -> str:
        """How much is painted."""
        if self.annotation.painting is None:
            kept = self.annotation.is_kept
            return "this image has a session; go on with it" if kept else "no labels yet"
        found = self.annotation.slices
        if not found:
            return HINT
        on = f"{len(found)} slices" if len(found) > 1 else "1 slice"
        return f"{sum(found.values())} pixels on {on}"

    def refresh(self) -> None:
        """Layers, classes, counts, slices and what is missing."""
        self.new.setText("Go on with the session" if self.annotation.is_kept else "New labels")
        self._list_layers()
        self._list_classes()
        self.slices.clear()
        for z, count in self.annotation.slices.items():
            item = QListWidgetItem(f"slice {z}: {count} pixels")
            item.setData(Qt.ItemDataRole.UserRole, z)
            self.slices.addItem(item)
        self.project.suggesting.update()
        line = self._problem()
        self.banner.setVisible(bool(line))
        self.banner.setText(line)

    def _problem(self) -> str:
        """What keeps the labels from being trained on, with what a click does about it."""
        strangers, missing = self.annotation.strangers, self.annotation.missing
        if self.annotation.painting is None:
            return ""
        if strangers:
            return f"label {strangers[0]} is painted: make it a class"
        return f"nothing painted of {missing[0]['name']}: take its brush" if missing else ""

    def _list_layers(self) -> None:
        from napari.layers import Labels

        self.existing.clear()
        self.existing.addItem("use a layer...")
        for layer in self.project.viewer.layers:
            role = layers.role_of(layer)
            if isinstance(layer, Labels) and role not in (layers.PREDICTION, layers.OBJECTS):
                self.existing.addItem(layer.name, layer.unique_id)
        painting = self.annotation.painting
        if painting is not None:
            self.existing.setCurrentIndex(max(0, self.existing.findData(painting.layer.unique_id)))

    def _list_classes(self) -> None:
        counts = self.annotation.counts
        self.table.blockSignals(True)
        self.table.setRowCount(len(self.annotation.classes))
        for row, entry in enumerate(self.annotation.classes):
            color = Item(swatch(entry["color"] if row else BACKGROUND_BRUSH), "")
            count = Item(str(counts.get(entry["value"], 0)))
            for item in (color, count):
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            for column, item in ((COLOR, color), (NAME, Item(entry["name"])), (COUNT, count)):
                self.table.setItem(row, column, item)
        self.table.blockSignals(False)

    def _take(self, row: int) -> None:
        wanted = self.existing.itemData(row)
        for layer in self.project.viewer.layers:
            if wanted is not None and layer.unique_id == wanted:
                self._tell(self.project.use_labels(layer))
        self.update_all()

    def _tell(self, line: str | None) -> None:
        if line:
            self.project.told.emit(line)

    # ---- classes ----

    def _select(self, row: int, column: int) -> None:
        self.annotation.paint_with(self.annotation.classes[row]["value"])
        if column == COLOR and row > 0:
            color = QColorDialog.getColor(QColor(self.annotation.classes[row]["color"]), self)
            if color.isValid():
                self.set_color(row, color.name())

    def set_color(self, row: int, color: str) -> None:
        """Gives the class of a row another colour, "#rrggbb"."""
        self._set(row, color=color)

    def _set(self, row: int, **fields: str) -> None:
        entries = [dict(entry) for entry in self.annotation.classes]
        entries[row] |= fields
        self.annotation.set_classes(entries)

    def _rename(self, item: Any) -> None:
        name = item.text().strip()
        if name and name not in [entry["name"] for entry in self.annotation.classes]:
            self._set(item.row(), name=name)
        else:
            self.update_all()

    def _add(self) -> None:
        self._tell(self.annotation.add_class())

    def _remove(self) -> None:
        row = self.table.currentRow()
        if row < 0:
            self._tell("select the class first")
        else:
            self._tell(self.annotation.remove_class(self.annotation.classes[row]["value"]))

    def _fix(self) -> None:
        if self.annotation.strangers:
            self._tell(self.annotation.add_class(self.annotation.strangers[0]))
        elif self.annotation.missing:
            self.annotation.paint_with(self.annotation.missing[0]["value"])

    # ---- painting ----

    def _jump(self, item: Any) -> None:
        go_to_slice(self.project.viewer, self.project.image, item.data(Qt.ItemDataRole.UserRole))

    def _from_prediction(self) -> None:
        count = self.project.take_prediction()
        self._tell(f"{count} pixels labelled as predicted" if count else "no prediction")

    def _box(self) -> None:
        viewer, image = self.project.viewer, self.project.image
        if self.annotation.painting is None:
            self._tell("add labels first")
            return
        boxes = layers.ours(viewer, layers.BOX, image)
        if not boxes or not len(boxes[0].data):
            layer = boxes[0] if boxes else viewer.add_shapes(
                name="CEM box", ndim=image.ndim, metadata=layers.marked(layers.BOX, image),
                **layers.placed_like(image),
            )  # fmt: skip
            layer.mode = "add_rectangle"
            viewer.layers.selection.active = layer
            self._tell("draw a box, then press Box complete again")
            return
        count = self.annotation.complete_boxes(boxes[0])
        viewer.layers.remove(boxes[0])
        self._tell(f"{count} pixels made background")
