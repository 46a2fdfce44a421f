"""Train: what to start from, for how long, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QLabel

from napari_cem import weights
from napari_cem.widget.project import BUDGETS, Project
from napari_cem.widget.sections.base import Section, button
from napari_cem.widget.sparkline import Sparkline


class TrainSection(Section):
    """Starts, follows and takes back rounds of training."""

    title = "Train"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.first = QLabel("Start from:", wordWrap=True)
        self.rows.addWidget(self.first)
        self.fetch = button("Download CEM500K (once)", self._fetch, "fetch", "about 300 MB")
        self.load = button("Import a file...", self._import, "import")
        self.scratch = button("Start from scratch", self._scratch, "scratch")
        self.rows.addWidget(self.fetch)
        self.row(self.load, self.scratch)
        self.budget = QComboBox(objectName="budget")
        self.budget.addItems(list(BUDGETS))
        self.budget.setCurrentIndex(1)
        self.budget.currentTextChanged.connect(self._budget)
        self.follow = QCheckBox("after each stroke", objectName="follow", checked=True)
        self.follow.toggled.connect(self._follow)
        self.row(self.budget, self.follow)
        self.start = button("Train", project.train, "train", "Shift-T")
        self.stop = button("Stop, keep", project.training.stop, "stop")
        self.back = button("Revert", self._revert, "revert", "to the model before the last round")
        self.row(self.start, self.stop, self.back)
        self.curve = Sparkline()
        self.rows.addWidget(self.curve)
        self.report = QLabel(wordWrap=True, objectName="report")
        self.rows.addWidget(self.report)
        self.row(
            button("Open model...", self._open, "open-model"),
            button("Save model...", self._save, "save-model"),
            button("Card", self._card, "card"),
        )
        project.reported.connect(self._step)

    def why_not(self) -> str | None:
        """An image has to be there."""
        return "needs an image" if self.project.image is None else None

    def status(self) -> str:
        """What it starts from, and the model there is."""
        p = self.project
        if p.training.live is not None and p.training.live.training:
            return "training"
        if p.model_file is not None:
            return f"model {p.model_file.name}"
        if p.rounds:
            return f"{len(p.rounds)} rounds, from {p.base}"
        if p.base is None:
            return "choose what to start from"
        return f"starts from {p.base}"

    def refresh(self) -> None:
        """Buttons that make sense, and the last round."""
        p = self.project
        choosing = p.base is None and not p.training.started
        for widget in (self.first, self.load, self.scratch):
            widget.setVisible(choosing)
        self.fetch.setVisible(choosing and not weights.cached("cem500k"))
        training = p.training.live is not None and p.training.live.training
        self.stop.setEnabled(training)
        self.back.setEnabled(bool(p.rounds) and not training)
        if p.rounds:
            self.report.setText(self._text())

    def _text(self) -> str:
        last = self.project.rounds[-1]
        lines = [f"{last.steps} steps in {last.seconds:.0f} s"]
        before = self.project.rounds[-2].held_out_iou if len(self.project.rounds) > 1 else None
        for name, value in (last.held_out_iou or {}).items():
            change = f" ({value - before[name]:+.2f})" if before and name in before else ""
            lines.append(f"{name}: IoU {value:.2f}{change}")
        if last.held_out_iou:
            lines.append(f"on {last.held_out} pixels of held-out strokes")
        else:
            lines.append("paint four strokes a class to see how good it is")
        return "\n".join(lines)

    def _step(self, report: Any) -> None:
        self.curve.add(report.loss)

    def _budget(self, name: str) -> None:
        self.project.budget = BUDGETS[name]

    def _follow(self, on: bool) -> None:
        self.project.follows = on

    def _revert(self) -> None:
        self.project.training.revert()
        if self.project.rounds:
            self.project.rounds.pop()
        self.project.changed.emit()

    def _scratch(self) -> None:
        self.project.start_anew("scratch")

    def _fetch(self) -> None:
        from napari.qt.threading import create_worker

        self.project.worked.emit("downloading CEM500K", None, None)
        worker = create_worker(weights.fetch, "cem500k", _start_thread=False)
        worker.returned.connect(lambda path: self.project.start_anew("cem500k"))
        worker.errored.connect(lambda error: self.project.told.emit(str(error)))
        worker.start()

    def _import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Weights", "", "Weights (*.safetensors *.pth *.tar)"
        )
        if path:
            self.import_file(Path(path))

    def import_file(self, path: Path) -> None:
        """Starts from a file of weights or a PyTorch checkpoint, converted first."""
        from napari.qt.threading import create_worker

        def convert() -> str:
            return str(path if path.suffix == ".safetensors" else weights.import_file(path))

        self.project.worked.emit(f"reading {path.name}", None, None)
        worker = create_worker(convert, _start_thread=False)
        worker.returned.connect(self.project.start_anew)
        worker.errored.connect(lambda error: self.project.told.emit(str(error)))
        worker.start()

    def _open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Model", "", "Models (*.safetensors)")
        if path:
            try:
                self.project.open_model(Path(path))
            except (OSError, ValueError) as error:
                self.project.told.emit(str(error))

    def _save(self) -> None:
        model = self.project.chosen_model()
        if model is None:
            self.project.told.emit("there is no model yet; train first")
            return
        path, _ = QFileDialog.getSaveFileName(self, "Save model", "", "Models (*.safetensors)")
        if path:
            try:
                model.save(path, overwrite=True)
            except OSError as error:
                self.project.told.emit(str(error))
            else:
                self.project.told.emit(f"saved {path}")

    def _card(self) -> None:
        import json

        from qtpy.QtWidgets import QDialog, QPlainTextEdit, QVBoxLayout

        model = self.project.chosen_model()
        if model is None:
            self.project.told.emit("there is no model yet")
            return
        dialog = QDialog(self, windowTitle="Model card")
        text = QPlainTextEdit(json.dumps(model.card, indent=1), readOnly=True)
        QVBoxLayout(dialog).addWidget(text)
        dialog.resize(480, 600)
        dialog.show()
