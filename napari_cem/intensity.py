"""How grey values enter the network: constants that are fixed once per volume.

The rule is the core's and the same for every pixel type: zero mean and unit deviation over the
volume, its smallest and largest values left out.  They are measured on at most 64 evenly spaced
slices.  Models trained with the recipe cem500k follow another one, "norms": 8-bit pixels and the
mean and deviation that their weights were pre-trained with.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cem import _core, contrast
from napari_cem.images import Volume, open_volume

SLICES = _core.SAMPLE_SLICES


@dataclass(frozen=True)
class Intensity:
    """x = (pixel - offset) * scale is what the network sees."""

    offset: float
    scale: float


@dataclass(frozen=True)
class Measured:
    """What `measure` finds in a volume.

    Attributes
    ----------
    intensity : Intensity
        The constants.
    low, high : float
        Smallest and largest pixel of the slices that were looked at.
    contrast : (4, 7) array of float64
        The mean `contrast.signature` of some slices, in units of what the network sees.
    sha256 : str
        Of the slices that were looked at: two volumes with the same one are taken for equal.
    """

    intensity: Intensity
    low: float
    high: float
    contrast: np.ndarray
    sha256: str


def check_finite(page: np.ndarray, z: int, name: str) -> None:
    """ValueError if `page`, slice `z` of `name`, has a pixel that is not a finite number."""
    if page.dtype.kind == "f" and not np.isfinite(page).all():
        y, x = np.argwhere(~np.isfinite(page))[0]
        raise ValueError(
            f"{name} has the value {page[y, x]} at slice {z}, row {y}, column {x}; "
            "replace what is not a number first"
        )


def measure(source: Any, slices: int = SLICES) -> Measured:
    """Measures the intensity constants of a volume.

    Parameters
    ----------
    source : Volume or what `open_volume` takes
        Image or stack.
    slices : int
        How many evenly spaced slices to look at.

    Returns
    -------
    Measured

    Raises
    ------
    ValueError
        If the volume is constant or has a value that is not finite.
    """
    volume = open_volume(source)
    state = _core.statistics_new()
    digest = hashlib.sha256(repr((volume.shape, volume.dtype.name)).encode())
    numbers = volume.sample(slices)
    looked_at = contrast.sampled(numbers)
    seen = _core.contrast_new()
    for z in numbers:
        page = volume.slice(z)
        check_finite(page, z, volume.name)
        _core.statistics_add(state, page)
        digest.update(page.data)
        if z in looked_at:
            _core.contrast_add(seen, page)
    found = _core.statistics_get(state)
    if found["minimum"] == found["maximum"]:
        value = f"{found['minimum']:g}"
        raise ValueError(
            f"every pixel of {volume.name} is {value}; give an image with something in it"
        )
    offset, scale = _core.intensity_measure(state)
    return Measured(
        Intensity(offset, scale),
        found["minimum"],
        found["maximum"],
        contrast.mean(seen, offset, scale),
        digest.hexdigest(),
    )


class EightBit(Volume):
    """A volume as 8-bit pixels: uint8 as it is, others stretched from [low, high] to [0, 255]."""

    def __init__(self, volume: Volume, low: float, high: float) -> None:
        self.volume = volume
        self.shape, self.ndim, self.name = volume.shape, volume.ndim, volume.name
        self.pixel_nm, self.spacing_nm = volume.pixel_nm, volume.spacing_nm
        self.dtype = np.dtype("uint8")
        self.low, self.high = low, high

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of uint8."""
        page = self.volume.slice(z)
        if page.dtype == np.uint8:
            return page
        stretched = np.empty(page.shape, np.uint8)
        _core.stretch(stretched, page, self.low, self.high)
        return stretched

    def close(self) -> None:
        """Closes files that are held open."""
        self.volume.close()


def from_norms(norms: list[float] | tuple[float, float]) -> Intensity:
    """The constants for 8-bit pixels of weights with the given mean and deviation (0..1 units)."""
    return Intensity(*_core.intensity_from_norms(*norms))


def as_the_model(volume: Volume, card: dict[str, Any], found: Measured) -> tuple[Volume, Intensity]:
    """The volume and the constants by the rule that is written in a model's card.

    Parameters
    ----------
    volume : Volume
        What is to be segmented.
    card : dict
        The model's card; ``intensity_rule`` is "volume" (or missing) or "norms".
    found : Measured
        Of `volume`.

    Returns
    -------
    volume : Volume
        The same one, or for "norms" its 8-bit form.
    intensity : Intensity
    """
    if card.get("intensity_rule", "volume") != "norms":
        return volume, found.intensity
    return EightBit(volume, found.low, found.high), from_norms(card["norms"])


def looks_inverted(card: dict[str, Any], found: Measured) -> bool:
    """Whether a volume's contrast is the mirror image of that of the model's training images."""
    known = (card.get("intensity") or {}).get("contrast")
    try:
        trained = np.asarray(known, np.float64)
    except (TypeError, ValueError):
        return False
    return trained.shape == found.contrast.shape and contrast.looks_inverted(
        trained, found.contrast
    )
