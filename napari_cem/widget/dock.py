"""The dock widget: sections in a scroll area, and a footer that stays."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication, QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_cem.widget import keys
from napari_cem.widget.footer import Footer
from napari_cem.widget.project import Project
from napari_cem.widget.sections.base import Section, button
from napari_cem.widget.sections.data import DataSection
from napari_cem.widget.sections.labels import LabelsSection
from napari_cem.widget.sections.objects import ObjectsSection
from napari_cem.widget.sections.preview import PreviewSection
from napari_cem.widget.sections.segment import SegmentSection
from napari_cem.widget.sections.train import TrainSection
from napari_cem.widget.tour import Tour

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
        self.tour = Tour(self)
        self.setFixedWidth(WIDTH - 20)
        self._arrange()
        self._refresh = QTimer(self, singleShot=True, interval=20)
        self._refresh.timeout.connect(self.update_all)
        self.project.changed.connect(self._soon)
        self.project.worked.connect(self.footer.run)
        self.project.told.connect(self.footer.say)
        self.project.told.connect(self._soon)
        self.project.training.busy.connect(self._busy)
        self.footer.cancelled.connect(self.cancel)
        self._keys = keys.bind(napari_viewer, self.project)
        self._closed = False
        QApplication.instance().aboutToQuit.connect(self.close_project)
        problem = qt_problem()
        if problem:
            self.footer.say(problem)
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
        column.addWidget(button("Take the tour", self.tour.begin, "take-tour", "two minutes"))
        column.addWidget(QLabel(keys.HELP, wordWrap=True))
        column.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tour)
        layout.addWidget(area, 1)
        layout.addWidget(self.footer)

    def _soon(self) -> None:
        if not self._refresh.isActive():  # what changes all the time must not put it off
            self._refresh.start()

    def update_all(self) -> None:
        """Every section shows what is now."""
        for section in self.sections:
            section.update_all()
        self.tour.update_step()
        if not self.segment.job.running and not self.project.running:
            self.footer.rest()

    def _busy(self, busy: bool) -> None:
        live = self.project.training.live
        if busy and live is not None and not live.training and not self.footer.running:
            self.footer.run("predicting")

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
        self.objects.close_events()
        self.segment.job.close()
        self.project.close()
        keys.unbind(self.viewer, self._keys)

    def event(self, event: QEvent) -> bool:
        """napari takes the widget out of its dock to close it, and sends no other event."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_project()
        if event.type() == QEvent.Type.Show:
            self.window().installEventFilter(self)
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The canvas has another size when the window has, or its docks are arranged anew."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest) and not self._closed:
            self.project.viewport.look_again()
        return False
