"""Train: what to start from, for how long, and how good it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QVBoxLayout,
)

from napari_cem import weights
from napari_cem.model import Model
from napari_cem.widget.project import BUDGETS, Project
from napari_cem.widget.sections.base import Section, button, combo
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
        self.budget = combo("budget")
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
        self.differs = QLabel(wordWrap=True, objectName="differs")
        self.rows.addWidget(self.differs)
        self.row(
            button("Open model...", self._open, "open-model"),
            button("Save model...", self._save, "save-model"),
            button("Card", self._card, "card"),
        )
        self.over = button("Start over...", self._over, "start-over", "forget the model")
        self.rows.addWidget(self.over)
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
            count = len(p.rounds)
            return f"{count} round{'s' * (count > 1)}, from {p.base}"
        if p.base is None:
            return "choose what to start from"
        return f"starts from {p.base}"

    def refresh(self) -> None:
        """Buttons that make sense, and the last round."""
        p = self.project
        choosing = p.base is None and not p.has_model
        for widget in (self.first, self.load, self.scratch):
            widget.setVisible(choosing)
        self.fetch.setVisible(choosing and not weights.cached("cem500k"))
        training = p.training.live is not None and p.training.live.training
        self.stop.setEnabled(training)
        can_revert = p.training.live is not None and p.training.live.can_revert
        self.back.setEnabled(can_revert and not training)
        self.over.setVisible(not choosing)
        chosen = next((name for name, value in BUDGETS.items() if value == p.budget), None)
        if chosen is not None and chosen != self.budget.currentText():
            self.budget.setCurrentText(chosen)
        self.report.setText(self._text() if p.rounds else "")
        self.report.setVisible(bool(p.rounds))
        if not p.training.started:
            self.curve.clear()
        self.differs.setText("\n".join(p.differences))
        self.differs.setVisible(bool(p.differences))
        if self.follow.isChecked() != p.follows:
            self.follow.setChecked(p.follows)

    def _text(self) -> str:
        last = self.project.rounds[-1]
        lines = [f"{last.steps} steps in {last.seconds:.0f} s"]
        before = self.project.rounds[-2].held_out_iou if len(self.project.rounds) > 1 else None
        for name, value in (last.held_out_iou or {}).items():
            change = f" ({value - before[name]:+.2f})" if before and name in before else ""
            lines.append(f"{name}: IoU {value:.2f}{change} ({last.held_out[name]} pixels)")
        if last.held_out_iou:
            lines.append("measured on strokes held out of training")
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

    def _over(self) -> None:
        asked = QMessageBox.question(
            self, "Start over", "Forget the model, and choose anew what to start from? Labels stay."
        )
        if asked == QMessageBox.StandardButton.Yes:
            self.project.start_over()

    # ---- what to start from ----

    def _scratch(self) -> None:
        self.project.start_anew("scratch")

    def _fetch(self) -> None:
        self.project.errands.send(
            "downloading CEM500K", lambda report: weights.fetch("cem500k", report),
            lambda path: self.project.start_anew("cem500k"),
        )  # fmt: skip

    def _import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Weights", "", "Weights (*.safetensors *.pth *.tar)"
        )
        if path:
            self.import_file(Path(path))

    def import_file(self, path: Path) -> None:
        """Starts from a file of weights or a PyTorch checkpoint, converted first."""
        self.project.errands.send(
            f"reading {path.name}", lambda report: base_of(path), self.project.start_anew
        )

    # ---- models in files ----

    def _open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Model", "", "Models (*.safetensors)")
        if path:
            self.open_model(Path(path))

    def open_model(self, path: Path) -> None:
        """Predicts with, and trains on from, a model in a file."""
        self.project.errands.send(
            f"reading {path.name}", lambda report: Model.load(path),
            lambda model: self.project.use_model(model, path),
        )  # fmt: skip

    def _save(self) -> None:
        if self.project.result is None:
            self.project.told.emit("there is no model yet; train first")
            return
        path, _ = QFileDialog.getSaveFileName(self, "Save model", "", "Models (*.safetensors)")
        if path:
            self.save_model(Path(path))

    def save_model(self, path: Path) -> None:
        """Writes the result of the last round, replacing `path`."""
        make = self.project.export()
        if make is not None:
            self.project.errands.send(
                f"saving {path.name}", lambda report: make().save(path, overwrite=True),
                lambda done: self.project.told.emit(f"saved {path}"),
            )  # fmt: skip

    def _card(self) -> None:
        if self.project.result is None:
            self.project.told.emit("there is no model yet")
            return
        dialog = QDialog(self, windowTitle="Model card")
        card = json.dumps(self.project.result.card, indent=1)
        QVBoxLayout(dialog).addWidget(QPlainTextEdit(card, readOnly=True))
        dialog.resize(480, 600)
        dialog.show()


def base_of(path: Path) -> str:
    """What to start from for a chosen file: itself, or what a checkpoint is converted to."""
    return str(path if path.suffix == ".safetensors" else weights.import_file(path))
