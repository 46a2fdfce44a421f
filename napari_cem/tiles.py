"""The core's grid of tiles over a slice (csrc/tiling.c), for those who ask for some of them."""

from __future__ import annotations

from dataclasses import dataclass

STEP = 32


@dataclass(frozen=True)
class Axis:
    """Tiles along one side of `length` pixels: starts at multiples of tile - 2 halo, the last one
    moved back to the end."""

    length: int
    tile: int
    halo: int

    @property
    def padded(self) -> int:
        """The length as a multiple of 32."""
        return -(-self.length // STEP) * STEP

    @property
    def count(self) -> int:
        """Tiles."""
        if self.padded <= self.tile:
            return 1
        stride = self.tile - 2 * self.halo
        return -(-(self.padded - 2 * self.halo) // stride)

    def core(self, index: int) -> tuple[int, int]:
        """The pixels [first, last) that tile `index` decides."""
        first = 0 if index == 0 else self._start(index) + self.halo
        end = self.count - 1
        return first, self.length if index == end else self._start(index + 1) + self.halo

    def _start(self, index: int) -> int:
        return min(index * (self.tile - 2 * self.halo), self.padded - self.tile)


@dataclass(frozen=True)
class Tiling:
    """Tiles over a slice of (height, width), row by row."""

    height: int
    width: int
    tile: int
    halo: int

    @property
    def rows(self) -> Axis:
        """Tiles from top to bottom."""
        return Axis(self.height, self.tile, self.halo)

    @property
    def columns(self) -> Axis:
        """Tiles from left to right."""
        return Axis(self.width, self.tile, self.halo)

    @property
    def count(self) -> int:
        """Tiles of the slice."""
        return self.rows.count * self.columns.count

    def core(self, number: int) -> tuple[slice, slice]:
        """Rows and columns that tile `number` decides."""
        row, column = divmod(number, self.columns.count)
        return slice(*self.rows.core(row)), slice(*self.columns.core(column))

    def order(self, rows: tuple[int, int], columns: tuple[int, int]) -> list[int]:
        """Tiles that decide a pixel of the region [rows) x [columns), from its middle outwards."""
        center = (sum(rows) / 2, sum(columns) / 2)
        found = []
        for number in range(self.count):
            y, x = self.core(number)
            if y.start < rows[1] and y.stop > rows[0] and x.start < columns[1]:
                if x.stop > columns[0]:
                    apart = abs((y.start + y.stop) / 2 - center[0])
                    apart += abs((x.start + x.stop) / 2 - center[1])
                    found.append((apart, number))
        return [number for _, number in sorted(found)]
