"""What every section is: a title with a line of status, and a body that is off, with the reason,
as long as it cannot be used."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_cem.widget.project import Project


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
        self.fold = QCollapsible(self.title)
        self.fold.setDuration(0)
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
        self.line.setText(reason or self.status())
        self.body.setEnabled(reason is None)
        self.refresh()


def button(text: str, call: object, name: str, tip: str = "") -> QPushButton:
    """A push button that calls `call` without arguments."""
    made = QPushButton(text, objectName=name, toolTip=tip)
    made.clicked.connect(lambda checked=False: call())  # type: ignore[operator]
    return made
