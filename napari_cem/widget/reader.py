"""napari's reader of session folders: the image and the labels as they were left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem.images import ArrayVolume, open_volume
from napari_cem.session import SETTINGS, Session
from napari_cem.widget import layers

MOST_IN_MEMORY = 1 << 31


def get_reader(path: str | list[str]) -> Callable[[Any], list[Any]] | None:
    """The reader of a session folder, None for anything else."""
    if isinstance(path, str) and (Path(path) / SETTINGS).is_file():
        return read
    return None


def pixels_of(path: Path) -> Any:
    """The image's pixels: an array that is lazy if it is large."""
    volume = open_volume(path)
    if isinstance(volume, ArrayVolume):
        return volume.array
    size = int(np.prod(volume.shape, dtype=np.int64)) * volume.dtype.itemsize
    if size > MOST_IN_MEMORY:
        raise ValueError(f"{path} has {size >> 30} GB; open it as zarr, then its session is found")
    pages = np.stack([volume.slice(z) for z in range(volume.shape[0])])
    return pages if volume.ndim == 3 else pages[0]


def read(path: str) -> list[Any]:
    """Image and labels of the session at `path`.

    Raises
    ------
    ValueError
        If the image is not where it was.
    """
    session = Session.open(path)
    facts = session.settings.get("image", {})
    image = session.image_path()
    if image is None:
        known = facts.get("path") or "in memory only"
        raise ValueError(f"the image of {path} is not there any more; it was {known}")
    place = {name: facts[name] for name in ("scale", "translate", "units") if facts.get(name)}
    name = facts.get("name", Path(path).stem)
    labels = np.zeros(session.labels.shape, np.uint16)
    for z in session.annotated():
        labels[z if labels.ndim == 3 else ...] = session.labels[z if labels.ndim == 3 else ...]
    where = {"folder": str(Path(path).absolute())}
    metadata = layers.marked("image", **where)
    kept = layers.marked(layers.LABELS, **where)
    return [
        (pixels_of(image), {"name": name, "metadata": metadata, **place}, "image"),
        (labels, {"name": "CEM labels", "metadata": kept, **place}, "labels"),
    ]
