"""What every section is: a title with a line of status, and a body; as long as that cannot be used
the line says why."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_cem.widget.project import Project

ANY_HEIGHT = (1 << 24) - 1


class Fold(QCollapsible):
    """A collapsible whose content may grow while it is open: superqt's keeps the height of when it
    was opened."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.setDuration(0)
        self.toggled.connect(self._free)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Nothing is to be followed: the height is free."""
        return False

    def _free(self, is_open: bool) -> None:
        if is_open:
            self.content().setMaximumHeight(ANY_HEIGHT)


class Section(QWidget):
    """A collapsible section; subclasses fill `body` and say `status` and `why_not`."""

    title = ""

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project
        self.line = QLabel(wordWrap=True, objectName=f"{self.title}-status")
        self.body = QWidget()
        self.rows = QVBoxLayout(self.body)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.fold = Fold(self.title)
        self.fold.addWidget(self.line)
        self.fold.addWidget(self.body)
        self.fold.expand(animate=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.fold)

    def row(self, *widgets: QWidget) -> None:
        """Appends widgets side by side."""
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        for widget in widgets:
            line.addWidget(widget)
        self.rows.addLayout(line)

    def status(self) -> str:
        """The section's state in a line."""
        return ""

    def why_not(self) -> str | None:
        """Why the section cannot be used yet, None if it can."""
        return None

    def refresh(self) -> None:
        """Shows what is now."""

    def update_all(self) -> None:
        """Status, reason and contents."""
        reason = self.why_not()
        line = reason or self.status()
        self.line.setText(line)
        self.line.setVisible(bool(line))
        self.body.setEnabled(reason is None)
        self.body.setVisible(reason is None)
        self.refresh()


def button(text: str, call: object, name: str, tip: str = "") -> QPushButton:
    """A push button that calls `call` without arguments."""
    made = QPushButton(text, objectName=name, toolTip=tip)
    made.clicked.connect(lambda checked=False: call())  # type: ignore[operator]
    return made


def combo(name: str) -> QComboBox:
    """A combo box that is as wide as there is room, however long its entries are."""
    made = QComboBox(objectName=name)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(5)
    return made
