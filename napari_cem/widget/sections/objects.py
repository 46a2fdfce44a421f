"""Objects: connected components of a segmentation, their table, and corrections by a click."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QSpinBox

from napari_cem.object_edits import Change, ObjectEdits
from napari_cem.widget import layers
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section, button, combo
from napari_cem.widget.sections.object_table import ObjectTable
from napari_cem.widget.viewport import slice_of

Edit = Callable[[ObjectEdits], Change | None]


class ObjectsSection(Section):
    """Finds objects, lists them, and lets the user delete, merge and split them."""

    title = "Objects"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.source = combo("segmentation")
        self.least = QSpinBox(objectName="least", maximum=10**9, value=0, suffix=" voxels at least")
        self.fill = QCheckBox("fill holes", objectName="fill")
        self.row(self.source)
        self.row(self.least, self.fill)
        self.rows.addWidget(button("Find and measure", self.search, "find"))
        self.table = ObjectTable()
        self.rows.addWidget(self.table)
        self.row(
            button("Delete", self.delete, "delete"),
            button("Merge", self.merge, "merge", "Shift-click selects more than one"),
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
        self._facts: dict[str, Any] = {}  # what the table was measured with
        self._points: list[tuple[int, ...]] | None = None
        project.viewer.layers.events.removed.connect(self._removed)

    def close_events(self) -> None:
        """Stops watching the viewer."""
        self.project.viewer.layers.events.removed.disconnect(self._removed)

    @property
    def frame(self) -> Any:
        """The table, None if there is none."""
        return self.table.frame if self.layer is not None else None

    def results(self) -> list[Any]:
        """Segmentations of the image that objects can be found in."""
        if self.project.image is None:
            return []
        return layers.ours(self.project.viewer, layers.RESULT, self.project.image)

    def why_not(self) -> str | None:
        """A segmentation has to be there."""
        return None if self.results() or self.layer is not None else "needs a segmentation"

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
        self.table.setVisible(self.layer is not None)

    def _removed(self, event: Any) -> None:
        if self.layer is not None and event.value == self.layer:
            self.layer = self.edits = self._points = None
            self.update_all()

    # ---- finding ----

    def search(self) -> None:
        """Finds and measures, in a worker."""
        self.refresh()  # a segmentation may have come this very moment
        wanted = self.source.currentData()
        source = next((each for each in self.results() if each.unique_id == wanted), None)
        image = self.project.image
        if source is None:
            self.project.told.emit("there is no segmentation of this image; press Run first")
            return
        pixels = layers.full_data(image)
        same = tuple(pixels.shape) == tuple(source.data.shape)
        entries = self.project.annotation.classes
        facts = {
            "spacing": layers.spacing_nm(image), "image": pixels if same else None,
            "class_names": {entry["value"]: entry["name"] for entry in entries},
        }  # fmt: skip
        least, fill, data = self.least.value(), self.fill.isChecked(), source.data
        self.project.errands.send(
            "finding objects",
            lambda report: find_and_measure(data, least, fill, facts, report),
            lambda found: self._found(found, source, image, facts),
        )

    def _found(self, found: Any, source: Any, image: Any, facts: dict[str, Any]) -> None:
        objects, class_of, table = found
        viewer = self.project.viewer
        for layer in layers.ours(viewer, layers.OBJECTS, image):
            viewer.layers.remove(layer)
        if source not in viewer.layers:
            self.project.told.emit(f"{source.name} was removed; its objects are dropped")
            return
        self.layer = viewer.add_labels(
            objects, name="CEM objects", metadata=layers.marked(layers.OBJECTS, image),
            **layers.placed_like(source),
        )  # fmt: skip
        self.layer.editable = False
        self.layer.events.selected_label.connect(self._picked)
        self.layer.mouse_drag_callbacks.append(self._click)
        self._facts = facts
        self.edits = ObjectEdits(objects, facts["spacing"], class_of)
        self._show(table)
        self.project.told.emit(f"{len(table)} objects")
        self.project.changed.emit()

    def _show(self, table: Any) -> None:
        self.table.show_frame(table)
        self.table.selectionModel().selectionChanged.connect(self._chosen)
        self.update_all()

    # ---- the selection, both ways ----

    def selected(self) -> list[int]:
        """Numbers of the selected objects."""
        return [] if self.layer is None else self.table.selected()

    def _chosen(self, *unused: Any) -> None:
        numbers = self.selected()
        if not numbers or self.layer is None or self.edits is None:
            return
        if self.layer.selected_label != numbers[0]:
            self.layer.selected_label = numbers[0]
        viewer, box = self.project.viewer, self.edits.boxes.get(numbers[0])
        if box is None or self.layer.ndim == 2:
            return
        shown = slice_of(viewer, self.layer)
        if shown is None or not box[0].start <= shown < box[0].stop:
            middle = (box[0].start + box[0].stop - 1) // 2
            world = self.layer.data_to_world([middle, 0, 0])
            viewer.dims.set_point(viewer.dims.ndim - 3, float(world[-3]))

    def _picked(self, event: Any = None) -> None:
        if self.layer is not None and self.layer.selected_label:
            self.table.select(int(self.layer.selected_label))

    def _click(self, layer: Any, event: Any) -> None:
        place = tuple(round(float(value)) for value in layer.world_to_data(event.position))
        inside = len(place) == layer.ndim and all(
            0 <= p < size for p, size in zip(place, layer.data.shape, strict=True)
        )
        if not inside:
            return
        if self._points is not None:
            self.split_at(place)
        elif layer.data[place] and "Shift" in event.modifiers:
            self.table.select(int(layer.data[place]), beside=True)
        elif layer.data[place]:
            layer.selected_label = int(layer.data[place])

    # ---- edits ----

    def delete(self) -> None:
        """Deletes the selected objects."""
        numbers = self.selected()
        self._edit([lambda edits, n=number: edits.delete(n) for number in numbers])

    def merge(self) -> None:
        """Makes one of the selected objects."""
        numbers = self.selected()
        if len(numbers) < 2:
            self.told.setText("select two objects or more: Shift-click them")
            return
        self._edit([lambda edits, o=other: edits.merge(numbers[0], o) for other in numbers[1:]])

    def split(self) -> None:
        """Waits for two clicks inside the selected object."""
        if len(self.selected()) != 1 or self.layer is None:
            self.told.setText("select one object")
            return
        self._points = []
        self.layer.mode = "pan_zoom"
        self.project.viewer.layers.selection.active = self.layer
        self.told.setText("click two points inside the object")

    def split_at(self, point: tuple[int, ...]) -> None:
        """Takes a point; splits at the second one."""
        if self._points is None:
            return
        self._points.append(point)
        if len(self._points) == 2 and self.selected():
            points, self._points = self._points, None
            number = self.selected()[0]
            self.told.setText("")
            self._edit([lambda edits: edits.split(number, points)])

    def undo(self) -> None:
        """Takes the last edit back."""
        self._edit([lambda edits: edits.undo()])

    def redo(self) -> None:
        """Does again what was taken back."""
        self._edit([lambda edits: edits.redo()])

    def _edit(self, calls: list[Edit]) -> None:
        if self.edits is None or self.layer is None or not calls:
            return
        edits, table, facts = self.edits, self.table.frame, self._facts
        self.project.errands.send(
            "editing objects", lambda report: edited(edits, calls, table, facts), self._edited,
            whole=True,
        )  # fmt: skip

    def _edited(self, outcome: tuple[Any, str]) -> None:
        table, line = outcome
        self.told.setText(line)
        if self.layer is not None:
            self.layer.refresh()
            self._show(table)
            self.project.told.emit(self.status())

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Table", "", "CSV (*.csv)")
        if path and self.frame is not None:
            self.save_table(Path(path))

    def save_table(self, path: Path) -> None:
        """Writes the table as CSV, by atomic rename."""
        made = path.with_name(path.name + ".tmp")
        try:
            self.frame.sort_values("object").to_csv(made, index=False)
            made.replace(path)
        except OSError as error:
            self.project.told.emit(str(error))
        else:
            self.project.told.emit(f"saved {path}")


def find_and_measure(
    data: Any, least: int, fill: bool, facts: dict[str, Any], report: Any
) -> tuple[np.ndarray, dict[int, int], Any]:
    """Objects of at least so many voxels, their classes and their table."""
    from napari_cem.measurements import measure_objects
    from napari_cem.objects import find_objects

    objects, class_of = find_objects(np.asarray(data), min_voxels=least, fill=fill)
    table = measure_objects(objects, class_of=class_of, progress=report, **facts)
    return objects, class_of, table


def edited(
    edits: ObjectEdits, calls: list[Edit], table: Any, facts: dict[str, Any]
) -> tuple[Any, str]:
    """The table after some edits, and what was wrong with one of them."""
    from napari_cem.measurements import remeasure_objects

    changed: set[int] = set()
    line = ""
    try:
        for call in calls:
            change = call(edits)
            changed |= set(change.numbers) if change is not None else set()
    except ValueError as error:
        line = str(error)
    made = remeasure_objects(
        table, edits.objects, edits.boxes, sorted(changed), class_of=edits.class_of, **facts
    )
    return made, line
