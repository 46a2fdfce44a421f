"""The loss as a small curve."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QSize
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

MOST = 400


class Sparkline(QWidget):
    """The last values, scaled to the widget's height; the newest at the right."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []
        self.setToolTip("loss of the last steps")

    def add(self, value: float) -> None:
        """Appends a value."""
        self.values = [*self.values[1 - MOST :], value]
        self.update()

    def clear(self) -> None:
        """Forgets all values."""
        self.values = []
        self.update()

    def sizeHint(self) -> QSize:
        """Room for a line or two of text."""
        return QSize(200, 36)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draws the curve."""
        if len(self.values) < 2:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        low, high = min(self.values), max(self.values)
        across = (self.width() - 4) / (len(self.values) - 1)
        up = (self.height() - 6) / max(high - low, 1e-9)
        points = [
            QPointF(2 + k * across, self.height() - 3 - (value - low) * up)
            for k, value in enumerate(self.values)
        ]
        painter.setPen(QPen(QColor("#56b4e9"), 1.5))
        painter.drawPolyline(QPolygonF(points))
        painter.end()
