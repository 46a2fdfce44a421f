"""Showing the network an image at another size, where the pixels of its training were larger or
smaller.  Only on request: a network often copes better than a rescaled image does."""

from __future__ import annotations

import numpy as np
from PIL import Image

from napari_cem.images import Volume

SMALLEST, LARGEST = 1 / 16, 16.0


def resize(page: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A (y, x) image resampled to `shape`, float32; linear, averaged over area when it shrinks."""
    picture = Image.fromarray(page.astype(np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


class Scaled(Volume):
    """A volume whose slices are `factor` times as high and as wide; its pixels are float32."""

    def __init__(self, volume: Volume, factor: float) -> None:
        z, y, x = volume.shape
        self.volume = volume
        self.shape = (z, max(1, round(y * factor)), max(1, round(x * factor)))
        self.ndim, self.name = volume.ndim, volume.name
        self.dtype, self.integral = np.dtype("float32"), False
        self.pixel_nm, self.spacing_nm = volume.pixel_nm / factor, volume.spacing_nm

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of float32."""
        return np.ascontiguousarray(resize(self.volume.slice(z), self.shape[1:]))

    def close(self) -> None:
        """Closes files that are held open."""
        self.volume.close()


def scale_factor(scale: float | str, volume: Volume, trained_nm: float) -> float:
    """How many times as large the network is to see `volume`.

    Parameters
    ----------
    scale : float or "model"
        A factor, or "model": so large that the pixels are those of the model's training.
    volume : Volume
    trained_nm : float
        Pixel size of the model's training in nanometres, 0 if its card does not say.

    Raises
    ------
    ValueError
        If a pixel size is not known, or the factor is not within 1/16 to 16.
    """
    if scale == "model":
        if not (trained_nm and volume.pixel_nm):
            missing = volume.name if trained_nm else "the model's training"
            raise ValueError(
                f"the pixel size of {missing} is not known; give the scale as a number, e.g. 0.5"
            )
        factor = volume.pixel_nm / trained_nm
    else:
        try:
            factor = float(scale)
        except ValueError:
            factor = -1.0
    if not SMALLEST <= factor <= LARGEST:
        raise ValueError(f"the scale is {scale}; give 'model' or a factor from 1/16 to 16")
    return factor
