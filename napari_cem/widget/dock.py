"""The dock widget: sections in a scroll area, and a footer that stays."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_cem.widget import keys
from napari_cem.widget.footer import Footer
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section
from napari_cem.widget.sections.data import DataSection
from napari_cem.widget.sections.labels import LabelsSection
from napari_cem.widget.sections.objects import ObjectsSection
from napari_cem.widget.sections.preview import PreviewSection
from napari_cem.widget.sections.segment import SegmentSection
from napari_cem.widget.sections.train import TrainSection

if TYPE_CHECKING:
    import napari.viewer

WIDTH = 380


def qt_problem() -> str | None:
    """What is wrong with this Qt, and the remedy; None if nothing is known."""
    from qtpy import API, QT_VERSION

    if API == "pyside6" and QT_VERSION.startswith("6.12.") and sys.version_info < (3, 12):
        return (
            f"PySide6 {QT_VERSION} crashes Python 3.11 after some thousand calls; save often, and "
            "type: pip install 'PySide6<6.12'"
        )
    return None


class CemWidget(QWidget):
    """ "CEM Segment": draw, and the prediction follows."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.project = Project(napari_viewer, self)
        self.footer = Footer()
        self.data = DataSection(self.project)
        self.labels = LabelsSection(self.project)
        self.train = TrainSection(self.project)
        self.preview = PreviewSection(self.project)
        self.segment = SegmentSection(self.project)
        self.objects = ObjectsSection(self.project)
        self.setFixedWidth(WIDTH - 20)
        self._arrange()
        self._refresh = QTimer(self, singleShot=True, interval=20)
        self._refresh.timeout.connect(self.update_all)
        self.project.changed.connect(self._refresh.start)
        self.project.worked.connect(self.footer.run)
        self.project.told.connect(self._tell)
        self.project.training.busy.connect(self._busy)
        self.footer.cancelled.connect(self.cancel)
        self._keys = keys.bind(napari_viewer, self.project)
        self._closed = False
        problem = qt_problem()
        if problem:
            self.footer.rest(problem)
        self.update_all()

    @property
    def sections(self) -> list[Section]:
        """In the order of the work."""
        return [
            self.data, self.labels, self.train, self.preview, self.segment, self.objects,
        ]  # fmt: skip

    def _arrange(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(2)
        for section in self.sections:
            column.addWidget(section)
        help_line = QLabel(keys.HELP, wordWrap=True)
        column.addWidget(help_line)
        column.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area, 1)
        layout.addWidget(self.footer)

    def update_all(self) -> None:
        """Every section shows what is now."""
        for section in self.sections:
            section.update_all()

    def _tell(self, line: str) -> None:
        if not self.segment.job.running:
            self.footer.rest(line)

    def _busy(self, busy: bool) -> None:
        if not busy and not self.segment.job.running and self.footer.button.isVisible():
            self.footer.rest("ready")

    def cancel(self) -> None:
        """Ends what runs."""
        if self.segment.job.running:
            self.segment.job.cancel()
        else:
            self.project.cancel()

    def close_project(self) -> None:
        """Saves the session, ends the workers and gives the keys back."""
        if self._closed:
            return
        self._closed = True
        self._refresh.stop()
        self.project.blockSignals(True)
        self.data.close_events()
        self.segment.job.close()
        self.project.close()
        keys.unbind(self.viewer, self._keys)

    def closeEvent(self, event: QCloseEvent) -> None:
        """The dock is closed."""
        self.close_project()
        super().closeEvent(event)
