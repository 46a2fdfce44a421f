"""A part of every slice of a volume."""

from __future__ import annotations

import numpy as np

from napari_cem.images import Volume


class Crop(Volume):
    """Rows and columns [first, last) of a volume."""

    def __init__(self, volume: Volume, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        super().__init__()
        self.volume = volume
        self.rows, self.columns = slice(*rows), slice(*columns)
        self.shape = (volume.shape[0], rows[1] - rows[0], columns[1] - columns[0])
        self.ndim, self.dtype, self.integral = volume.ndim, volume.dtype, volume.integral
        self.name = volume.name
        self.pixel_nm, self.spacing_nm = volume.pixel_nm, volume.spacing_nm

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of type `dtype`."""
        return np.ascontiguousarray(self.volume.slice(z)[self.rows, self.columns])

    def close(self) -> None:
        """Closes files that are held open."""
        self.volume.close()
