"""napari's sample data: the bundled stack with its scribbles."""

from __future__ import annotations

from typing import Any

from napari_cem import demo
from napari_cem.model import class_entries
from napari_cem.widget import layers
from napari_cem.widget.classes import BACKGROUND_BRUSH


def fly_medulla() -> list[tuple[Any, dict[str, Any], str]]:
    """FIB-SEM of the fly's medulla, 10 nm, and scribbles on its membranes."""
    sample = demo.load()
    place = {"scale": (demo.PIXEL_NM,) * 3, "units": ("nm",) * 3, "axis_labels": ("z", "y", "x")}
    entries = class_entries(demo.CLASSES)
    scribbles = {
        "name": "membrane scribbles", "colormap": layers.class_colors(entries, BACKGROUND_BRUSH),
        "metadata": {layers.KEY: {"classes": entries}}, **place,
    }  # fmt: skip
    return [
        (sample.image, {"name": "fly medulla", **place}, "image"),
        (sample.scribbles, scribbles, "labels"),
    ]
