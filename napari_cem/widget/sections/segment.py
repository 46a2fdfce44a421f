"""Segment: the whole image, or what is on screen of every slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QLineEdit

from napari_cem.crop import Crop
from napari_cem.estimate import estimate
from napari_cem.images import ArrayVolume, open_volume
from napari_cem.segmentation import Segmentation
from napari_cem.session import LABELS
from napari_cem.widget import layers, preferences, recipe
from napari_cem.widget.classes import values_of
from napari_cem.widget.keeping import source_of
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section, button, combo
from napari_cem.widget.segmenting import MOST_SHOWN, Segmenting, growing_layer
from napari_cem.writers import label_type

PLANES = ("xy", "xz", "yz", "ortho")
REGIONS = ("everything", "the region on screen")


class SegmentSection(Section):
    """Runs, pauses, cancels and resumes the segmentation of the stack."""

    title = "Segment"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.job = Segmenting(self)
        self.planes = combo("planes")
        self.planes.addItems(PLANES)
        self.region = combo("region")
        self.region.addItems(REGIONS)
        self.row(QLabel("planes"), self.planes, self.region)
        self.out = QLineEdit(objectName="out", placeholderText="a layer; or a .tif or .zarr file")
        self.row(self.out, button("...", self._browse, "browse"))
        self.costs = QLabel(wordWrap=True, objectName="costs")
        self.rows.addWidget(self.costs)
        self.run = button("Run", self.start, "run")
        self.hold = button("Pause", self._pause, "pause")
        self.end = button("Cancel", self.job.cancel, "cancel-segment")
        self.again = button("Resume", lambda: self.start(resume=True), "resume",
                            "go on with a run that was cancelled or killed")  # fmt: skip
        self.row(self.run, self.hold, self.end, self.again)
        self.rows.addWidget(button("Copy as Python", self._copy, "copy-python"))
        for box in (self.planes, self.region):
            box.currentTextChanged.connect(self.update_all)
        self.out.textChanged.connect(self.update_all)
        self.job.progressed.connect(self._progress)
        self.job.done.connect(self._done)
        self.job.failed.connect(self._failed)
        project.training.rounded.connect(self._round_ended)
        project.training.stopped.connect(self._round_ended)
        self._after_round: bool | None = None  # whether to resume what begins then
        self._layer: Any = None
        self._made: dict[str, Any] = {}
        self._told = "segmented"

    def why_not(self) -> str | None:
        """A model has to be there."""
        return "needs a model: train first" if self.project.result is None else None

    def status(self) -> str:
        """What is going on."""
        if self.job.running:
            return "paused" if self.job.paused else "running"
        return "ready"

    def refresh(self) -> None:
        """Buttons that make sense, and the estimate."""
        running = self.job.running
        self.run.setEnabled(not running)
        self.hold.setEnabled(running)
        self.end.setEnabled(running)
        self.hold.setText("Go on" if self.job.paused else "Pause")
        partial = Path(f"{self.out.text()}.partial")
        self.again.setEnabled(not running and bool(self.out.text()) and partial.exists())
        if self.project.image is not None and self.project.result is not None:
            self.costs.setText(self._costs())

    def _costs(self) -> str:
        volume, _ = self._source()
        maps = self.planes.currentText() == "ortho"
        live = self.project.training.live
        rate = live.seconds_per_pixel if live is not None else None
        found = estimate(
            volume.shape,
            self.planes.currentText(),
            len(self.project.annotation.classes),
            maps,
            rate,
        )
        return str(found)

    def _source(self) -> tuple[Any, tuple[int, ...]]:
        """What is segmented, and where it begins in the image."""
        image = self.project.image
        volume: Any = self.project.volume()
        offset: tuple[int, ...] = (0,) * image.ndim
        view = self.project.viewport.view(image)
        if self.region.currentText() == REGIONS[1] and view is not None:
            volume = Crop(volume, view.rows, view.columns)
            offset = (*offset[:-2], view.rows[0], view.columns[0])
        return volume, offset

    def start(self, resume: bool = False) -> None:
        """Begins, in a layer or into a file."""
        export = self.project.export()
        image = self.project.image
        if export is None or image is None or self.job.running:
            return
        live = self.project.training.live
        if live is not None and live.training:
            self._after_round = resume
            self.project.training.stop()
            self.project.told.emit("the segmentation begins when the round has ended")
            return
        volume, offset = self._source()
        out = self.out.text().strip() or None
        planes, threads = self.planes.currentText(), preferences.load().threads
        entries = self.project.annotation.classes
        self._made = {
            "name": f"{image.name} segmented", "opacity": 0.6,
            "colormap": layers.class_colors(entries, None),
            "metadata": layers.marked(layers.RESULT, image), **layers.placed_like(image, offset),
        }  # fmt: skip
        whole = self.region.currentText() == REGIONS[0]
        self._layer = None
        if planes == "xy" and whole and image.ndim == 3 and not resume:
            shape, dtype = layers.full_data(image).shape, label_type(values_of(entries))
            self._layer = growing_layer(self.project.viewer, shape, dtype, self._made)
        self.job.start(
            lambda: Segmentation(volume, export(), out, planes, threads=threads, resume=resume),
            shown, self._layer,
        )  # fmt: skip
        self._told = f"segmented into {out}" if out else "segmented"
        self.project.worked.emit("segmenting", None, None)
        self.update_all()

    def _round_ended(self, event: Any) -> None:
        resume, self._after_round = self._after_round, None
        if resume is not None:
            self.start(resume)

    def _progress(self, done: int, total: int, left: float) -> None:
        self.project.worked.emit(f"segmenting, {done} of {total} slices", done / total, left)

    @property
    def _grown(self) -> Any:
        """The layer in which slices appeared, if it is still there."""
        return self._layer if self._layer in self.project.viewer.layers else None

    def _done(self, data: Any) -> None:
        if data is None:
            self._told += "; larger than memory should hold, so not shown: write .zarr to see it"
        elif self._grown is None:
            self._layer = self.project.viewer.add_labels(data, **self._made)
        else:
            self._grown.data = data
        self.project.told.emit(self._told)
        self.project.changed.emit()

    def _failed(self, line: str) -> None:
        if self._grown is not None:
            self.project.viewer.layers.remove(self._grown)
        self.project.told.emit(line)
        self.update_all()

    def _pause(self) -> None:
        self.job.pause()
        self.project.worked.emit("paused" if self.job.paused else "segmenting", None, None)
        self.update_all()

    def _browse(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Segmentation", "", "TIFF (*.tif);;OME-Zarr (*.zarr)"
        )
        if path:
            self.out.setText(path)

    def _copy(self) -> None:
        QApplication.clipboard().setText(self.python())
        self.project.told.emit("copied")

    def python(self) -> str:
        """What was done, as lines of Python."""
        p = self.project
        source = None if p.image is None else source_of(p.image)
        keeper = p.annotation.keeper
        labels = None if keeper is None else str(keeper.session.folder / LABELS)
        base = str(p.model_file or p.base or "scratch")
        return recipe.lines(
            None if source is None else str(source), labels, base, p.annotation.classes, p.budget,
            self.planes.currentText(), p.own_threshold,
        )  # fmt: skip


def shown(result: Any) -> Any:
    """What a layer shows of a result: arrays and zarr as they are, other files in memory; None if
    they are too large for that."""
    if not isinstance(result, Path):
        return result
    volume = open_volume(result)
    if result.suffix == ".zarr" and isinstance(volume, ArrayVolume):
        return volume.array
    if int(np.prod(volume.shape)) * volume.dtype.itemsize > MOST_SHOWN:
        return None
    pages = np.stack([volume.slice(z) for z in range(volume.shape[0])])
    return pages if volume.ndim == 3 else pages[0]
