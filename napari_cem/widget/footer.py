"""The bottom of the widget: what runs, how far it is, and the button that stops it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget


def duration(seconds: float) -> str:
    """Seconds as a person says them: "8 s", "1:05", "2:03:00"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Footer(QWidget):
    """The last line that was told; and while something runs what that is, a bar and Cancel.

    Signals
    -------
    cancelled : Cancel was pressed.
    """

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = QLabel("ready", objectName="footer", wordWrap=True)
        self.doing = QLabel(objectName="doing", wordWrap=True)
        self.bar = QProgressBar(maximum=1000, textVisible=False)
        self.button = QPushButton("Cancel", objectName="cancel")
        self.button.clicked.connect(self.cancelled)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.text)
        layout.addWidget(self.doing)
        layout.addLayout(row)
        self.rest()

    @property
    def running(self) -> bool:
        """Whether something runs."""
        return self._running

    def say(self, line: str) -> None:
        """Shows a line, until the next one."""
        self.text.setText(line)

    def run(self, doing: str, fraction: float | None = None, left: float | None = None) -> None:
        """Something runs: what, how much of it is done (None: unknown), seconds left."""
        if left is not None and left >= 0:
            doing += f", {duration(left)} left"
        if fraction is not None:
            doing += f" ({fraction:.0%})"
        self.doing.setText(doing)
        self.bar.setRange(0, 0 if fraction is None else 1000)
        self.bar.setValue(0 if fraction is None else int(1000 * fraction))
        self._show(True)

    def rest(self) -> None:
        """Nothing runs."""
        self._show(False)

    def _show(self, running: bool) -> None:
        self._running = running
        for widget in (self.doing, self.bar, self.button):
            widget.setVisible(running)
