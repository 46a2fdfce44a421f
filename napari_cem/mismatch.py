"""Where an image is not like those that a model was trained on."""

from __future__ import annotations

from typing import Any

from napari_cem.images import Volume
from napari_cem.intensity import Measured, looks_inverted

PIXEL_SIZE_TOLERANCE = 1.2


def mismatches(volume: Volume, card: dict[str, Any], found: Measured) -> list[str]:
    """A line for each thing that differs: the pixel size by a fifth or more, inverted contrast.

    Parameters
    ----------
    volume : Volume
        What is to be segmented.
    card : dict
        The model's.
    found : Measured
        Of `volume`.
    """
    lines = []
    trained = card.get("pixel_nm") or 0.0
    if trained and volume.pixel_nm:
        ratio = volume.pixel_nm / trained
        if not 1 / PIXEL_SIZE_TOLERANCE <= ratio <= PIXEL_SIZE_TOLERANCE:
            lines.append(
                f"the pixels of {volume.name} are {volume.pixel_nm:g} nm, those of the model's "
                f"training {trained:g} nm: structures look {trained / volume.pixel_nm:.2g} times "
                "as large to it"
            )
    if looks_inverted(card, found):
        lines.append(
            f"the contrast of {volume.name} looks inverted against the model's training images; "
            "invert it if dark and bright are swapped"
        )
    return lines
