"""The list of what to label next."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_cem.suggestion import Suggestion
from napari_cem.widget.suggesting import Suggesting

SIDE = 56


class Suggestions(QListWidget):
    """A row for each suggestion: what it looks like, where it is and why; a click goes there."""

    def __init__(self, suggesting: Suggesting) -> None:
        super().__init__()
        self.setObjectName("suggestions")
        self.suggesting = suggesting
        self.setWordWrap(True)
        self.setIconSize(QSize(SIDE, SIDE))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedHeight(3 * SIDE)
        self.itemClicked.connect(self._jump)
        self._listed: list[Suggestion] = []
        suggesting.changed.connect(self.refresh)
        self.hide()

    def _jump(self, item: QListWidgetItem) -> None:
        self.suggesting.show(self.row(item))

    def refresh(self) -> None:
        """The suggestions there are, and the one on screen."""
        found = self.suggesting.found
        if found != self._listed:
            self._listed = list(found)
            self.clear()
            for each in found:
                item = QListWidgetItem(picture(each), f"slice {each.z}: {each.reason}")
                item.setToolTip(each.reason)
                self.addItem(item)
            self.setVisible(bool(found))
        self.setCurrentRow(self.suggesting.shown)


def picture(each: Suggestion) -> QIcon:
    """The pixels of a box."""
    height, width = each.thumbnail.shape
    image = QImage(each.thumbnail.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    return QIcon(QPixmap.fromImage(image.copy()))
