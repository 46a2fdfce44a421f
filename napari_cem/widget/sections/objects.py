"""Objects: connected components of a segmentation, their table, and corrections by a click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLabel,
    QSpinBox,
    QTableView,
)

from napari_cem.object_edits import ObjectEdits
from napari_cem.widget import layers
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section, button


class Frame(QAbstractTableModel):
    """A pandas table for Qt."""

    def __init__(self, frame: Any) -> None:
        super().__init__()
        self.frame = frame

    def rowCount(self, parent: Any = None) -> int:
        """Rows."""
        return len(self.frame)

    def columnCount(self, parent: Any = None) -> int:
        """Columns."""
        return len(self.frame.columns)

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """A cell as text."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        value = self.frame.iat[index.row(), index.column()]
        return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)

    def headerData(self, section: int, way: Any, role: int = 0) -> Any:
        """A column's name."""
        if role == Qt.ItemDataRole.DisplayRole and way == Qt.Orientation.Horizontal:
            return str(self.frame.columns[section])
        return None


def find_and_measure(
    data: Any, image: Any, spacing: Any, names: dict[int, str], options: Any
) -> Any:
    """Objects, their classes and their table."""
    from napari_cem.measurements import measure_objects
    from napari_cem.objects import find_objects

    objects, class_of = find_objects(np.asarray(data), **options)
    table = measure_objects(
        objects, spacing, image=np.asarray(image), class_of=class_of, class_names=names
    )
    return objects, class_of, table


class ObjectsSection(Section):
    """Finds objects, lists them, and lets the user delete, merge and split them."""

    title = "Objects"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.source = QComboBox(objectName="segmentation")
        self.least = QSpinBox(objectName="least", maximum=10**9, value=0, suffix=" voxels at least")
        self.fill = QCheckBox("fill holes", objectName="fill")
        self.row(self.source)
        self.row(self.least, self.fill, button("Find", self.search, "find"))
        self.table = QTableView(objectName="objects")
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setMinimumHeight(140)
        self.rows.addWidget(self.table)
        self.row(
            button("Delete", self.delete, "delete"), button("Merge", self.merge, "merge"),
            button("Split", self.split, "split", "then click two points in the object"),
        )  # fmt: skip
        self.row(
            button("Undo", self.undo, "undo"), button("Redo", self.redo, "redo"),
            button("Save table...", self._save, "save-table"),
        )  # fmt: skip
        self.told = QLabel(wordWrap=True)
        self.rows.addWidget(self.told)
        self.layer: Any = None
        self.edits: ObjectEdits | None = None
        self.frame: Any = None
        self._names: dict[int, str] = {}
        self._points: list[tuple[int, ...]] | None = None

    def results(self) -> list[Any]:
        """Segmentations that objects can be found in."""
        return layers.ours(self.project.viewer, layers.RESULT)

    def why_not(self) -> str | None:
        """A segmentation has to be there."""
        return None if self.results() else "needs a segmentation"

    def status(self) -> str:
        """How many there are."""
        return "" if self.frame is None else f"{len(self.frame)} objects"

    def refresh(self) -> None:
        """The segmentations there are."""
        chosen = self.source.currentData()
        self.source.clear()
        for layer in self.results():
            self.source.addItem(layer.name, layer.unique_id)
        self.source.setCurrentIndex(max(0, self.source.findData(chosen)))

    # ---- finding ----

    def search(self) -> None:
        """Finds and measures, in a worker."""
        from napari.qt.threading import create_worker

        wanted = self.source.currentData()
        source = next((each for each in self.results() if each.unique_id == wanted), None)
        image = self.project.image
        if source is None or image is None:
            return
        pixels = layers.full_data(image)
        same = tuple(pixels.shape) == tuple(source.data.shape)
        self._names = {entry["value"]: entry["name"] for entry in self.project.classes}
        options = {"min_voxels": self.least.value(), "fill": self.fill.isChecked()}
        self.project.worked.emit("finding objects", None, None)
        worker = create_worker(
            find_and_measure, source.data, pixels if same else source.data,
            layers.spacing_nm(image), self._names, options, _start_thread=False,
        )  # fmt: skip
        worker.returned.connect(lambda found: self._found(found, source))
        worker.errored.connect(lambda error: self.project.told.emit(str(error)))
        worker.start()

    def _found(self, found: Any, source: Any) -> None:
        objects, class_of, table = found
        viewer = self.project.viewer
        for layer in layers.ours(viewer, layers.OBJECTS):
            viewer.layers.remove(layer)
        self.layer = viewer.add_labels(
            objects, name="CEM objects", metadata=layers.marked(layers.OBJECTS),
            **layers.placed_like(source),
        )  # fmt: skip
        self.layer.events.selected_label.connect(self._picked)
        spacing = layers.spacing_nm(self.project.image)
        self.edits = ObjectEdits(objects, spacing, class_of)
        self._show(table)
        self.project.told.emit(f"{len(table)} objects")

    def _show(self, table: Any) -> None:
        self.frame = table
        self.table.setModel(Frame(table))
        self.table.selectionModel().selectionChanged.connect(self._chosen)
        self.line.setText(self.status())

    # ---- the selection, both ways ----

    def selected(self) -> list[int]:
        """Numbers of the selected objects."""
        model = self.table.selectionModel()
        rows = [] if model is None else sorted(index.row() for index in model.selectedRows())
        return [int(self.frame["object"].iat[row]) for row in rows]

    def _chosen(self, *unused: Any) -> None:
        numbers = self.selected()
        if not numbers or self.layer is None:
            return
        if self.layer.selected_label != numbers[0]:
            self.layer.selected_label = numbers[0]
        viewer, row = self.project.viewer, self.frame[self.frame["object"] == numbers[0]]
        if self.layer.ndim == 3 and len(row):
            middle = (int(row["z_start"].iat[0]) + int(row["z_stop"].iat[0]) - 1) // 2
            world = self.layer.data_to_world([middle, 0, 0])
            viewer.dims.set_point(viewer.dims.ndim - 3, float(world[-3]))

    def _picked(self, event: Any = None) -> None:
        if self.frame is None or self.layer is None:
            return
        places = np.flatnonzero(self.frame["object"].to_numpy() == self.layer.selected_label)
        if len(places) and self.layer.selected_label not in self.selected():
            self.table.selectRow(int(places[0]))

    # ---- edits ----

    def delete(self) -> None:
        """Deletes the selected objects."""
        for number in self.selected():
            self._edit(lambda edits, n=number: edits.delete(n))

    def merge(self) -> None:
        """Makes one of the selected objects."""
        numbers = self.selected()
        if len(numbers) < 2:
            self.told.setText("select two objects or more")
            return
        for other in numbers[1:]:
            self._edit(lambda edits, o=other: edits.merge(numbers[0], o))

    def split(self) -> None:
        """Waits for two clicks inside the selected object."""
        if len(self.selected()) != 1 or self.layer is None:
            self.told.setText("select one object")
            return
        self._points = []
        self.layer.mode = "pan_zoom"
        self.project.viewer.layers.selection.active = self.layer
        if self._click not in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.append(self._click)
        self.told.setText("click two points inside the object")

    def _click(self, layer: Any, event: Any) -> None:
        if self._points is None:
            return
        position = layer.world_to_data(event.position)
        self.split_at(tuple(round(float(value)) for value in position))

    def split_at(self, point: tuple[int, ...]) -> None:
        """Takes a point; splits at the second one."""
        if self._points is None:
            return
        self._points.append(point)
        if len(self._points) == 2:
            points, self._points = self._points, None
            number = self.selected()[0]
            self._edit(lambda edits: edits.split(number, points))
            self.told.setText("")

    def undo(self) -> None:
        """Takes the last edit back."""
        self._edit(lambda edits: edits.undo())

    def redo(self) -> None:
        """Does again what was taken back."""
        self._edit(lambda edits: edits.redo())

    def _edit(self, call: Any) -> None:
        from napari_cem.measurements import measure_objects

        if self.edits is None or self.layer is None:
            return
        try:
            change = call(self.edits)
        except ValueError as error:
            self.told.setText(str(error))
            return
        if change is None:
            return
        self.layer.refresh()
        image = layers.full_data(self.project.image)
        same = tuple(image.shape) == tuple(self.layer.data.shape)
        table = measure_objects(
            self.layer.data, layers.spacing_nm(self.project.image),
            image=np.asarray(image) if same else None, class_of=self.edits.class_of,
            class_names=self._names,
        )  # fmt: skip
        self._show(table)

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Table", "", "CSV (*.csv)")
        if path and self.frame is not None:
            self.save_table(Path(path))

    def save_table(self, path: Path) -> None:
        """Writes the table as CSV, by atomic rename."""
        made = path.with_name(path.name + ".tmp")
        self.frame.to_csv(made, index=False)
        made.replace(path)
        self.project.told.emit(f"saved {path}")
