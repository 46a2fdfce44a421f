"""A pandas table in a Qt view."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QTableView


class Frame(QAbstractTableModel):
    """A pandas table for Qt."""

    def __init__(self, frame: Any) -> None:
        super().__init__()
        self.frame = frame

    def rowCount(self, parent: Any = None) -> int:
        """Rows."""
        return len(self.frame)

    def columnCount(self, parent: Any = None) -> int:
        """Columns."""
        return len(self.frame.columns)

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """A cell as text."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        value = self.frame.iat[index.row(), index.column()]
        return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)

    def headerData(self, section: int, way: Any, role: int = 0) -> Any:
        """A column's name."""
        if role == Qt.ItemDataRole.DisplayRole and way == Qt.Orientation.Horizontal:
            return str(self.frame.columns[section])
        return None

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts by a column."""
        self.layoutAboutToBeChanged.emit()
        name = self.frame.columns[column]
        ascending = order == Qt.SortOrder.AscendingOrder
        self.frame = self.frame.sort_values(name, ascending=ascending, ignore_index=True)
        self.layoutChanged.emit()


class ObjectTable(QTableView):
    """A row for each object; rows are selected by the objects' numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("objects")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumHeight(140)
        self.setSortingEnabled(True)
        self.verticalHeader().hide()
        self._model: Frame | None = None

    def show_frame(self, frame: Any) -> None:
        """Shows a table with a column "object", sorted as the one before was."""
        header = self.horizontalHeader()
        sorted_by = None
        if self._model is not None:
            sorted_by = (header.sortIndicatorSection(), header.sortIndicatorOrder())
        self._model = Frame(frame)
        self.setModel(self._model)
        self.sortByColumn(*(sorted_by or (0, Qt.SortOrder.AscendingOrder)))

    @property
    def frame(self) -> Any:
        """The table as it is sorted, None if there is none."""
        return None if self._model is None else self._model.frame

    def selected(self) -> list[int]:
        """Numbers of the selected objects."""
        model = self.selectionModel()
        rows = [] if model is None else sorted(index.row() for index in model.selectedRows())
        return [int(self.frame["object"].iat[row]) for row in rows]

    def select(self, number: int, beside: bool = False) -> None:
        """Selects the row of an object, if there is one, and scrolls to it; `beside` what is
        selected already."""
        places = np.flatnonzero(self.frame["object"].to_numpy() == number)
        if not len(places) or number in self.selected():
            return
        row = self.model().index(int(places[0]), 0)
        flags = QItemSelectionModel.SelectionFlag
        how = flags.Select if beside else flags.ClearAndSelect
        self.selectionModel().select(row, how | flags.Rows)
        self.scrollTo(row)
