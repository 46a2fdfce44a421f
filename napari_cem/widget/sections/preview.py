"""Preview: how what was predicted is shown."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel
from superqt import QLabeledDoubleSlider

from napari_cem.widget.overlay import SHOWN
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section, combo


class PreviewSection(Section):
    """Overlay, threshold and opacity; nothing is predicted anew."""

    title = "Preview"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.shown = combo("shown")
        self.shown.addItems(SHOWN)
        self.shown.currentTextChanged.connect(project.overlay.set_shown)
        self.row(QLabel("show"), self.shown)
        self.threshold = self._slider("threshold", 0.5)
        self.threshold.valueChanged.connect(project.set_threshold)
        self.opacity = self._slider("opacity", 0.6)
        self.opacity.valueChanged.connect(project.overlay.set_opacity)
        project.viewport.moved.connect(self.update_all)

    def _slider(self, name: str, value: float) -> QLabeledDoubleSlider:
        slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal, objectName=name)
        slider.setRange(0.02, 1.0)
        slider.setSingleStep(0.02)
        slider.setValue(value)
        self.row(QLabel(name), slider)
        return slider

    def why_not(self) -> str | None:
        """A model has to be there, and a view of xy slices."""
        if self.project.training.live is None or not self.project.training.live.trained:
            return "needs a model: train first"
        return self.project.viewport.why_not()

    def status(self) -> str:
        """What the threshold is."""
        chosen = self.project.overlay.threshold
        if chosen is None:
            return "the likeliest class"
        by = "set by hand" if self.project.own_threshold is not None else "calibrated"
        return f"threshold {chosen:.2f}, {by}"

    def refresh(self) -> None:
        """The slider stands where the threshold is."""
        chosen = self.project.overlay.threshold
        if chosen is not None and self.project.own_threshold is None:
            self.threshold.blockSignals(True)
            self.threshold.setValue(chosen)
            self.threshold.blockSignals(False)
        if self.shown.currentText() != self.project.overlay.shown:
            self.shown.setCurrentText(self.project.overlay.shown)
