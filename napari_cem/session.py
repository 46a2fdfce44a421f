"""What a user made of an image, on disk as it grows: labels, model and settings in `<image>.cem/`.

A folder holds ``session.json`` (settings, where the image is), ``labels.zarr`` ((z, y, x), chunks
of one slice) and, after the first round, ``model.safetensors``.  Every write is atomic, so a
killed program loses at most the slice it was about to write.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem.model import Model

SUFFIX = ".cem"
SETTINGS, LABELS, MODEL, IMAGE = "session.json", "labels.zarr", "model.safetensors", "image.zarr"
PREVIOUS = "model.previous.safetensors"
VERSION = 1
CHUNK = 512


def folder_for(image: Path) -> Path:
    """Where the session of the image at `image` is kept: beside it."""
    return image.with_name(image.name + SUFFIX)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` by atomic rename."""
    made = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        made.write_text(json.dumps(value, indent=1, allow_nan=False))
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


class Session:
    """A session folder.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    shape : tuple of int
        Of the labels, (z, y, x) or (y, x).

    Attributes
    ----------
    labels : zarr array
        uint16, of `shape`; 0 not annotated.
    settings : dict
        What `update` put there.

    Raises
    ------
    ValueError
        If the folder holds a session of another shape, or what is in it cannot be read.
    """

    def __init__(self, folder: str | Path, shape: tuple[int, ...]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings: dict[str, Any] = {}
        if (self.folder / SETTINGS).exists():
            self.settings = read_settings(self.folder)
        path = str(self.folder / LABELS)
        if (self.folder / LABELS / "zarr.json").exists():
            self.labels = open_array(Path(path), "r+")
            if self.labels.shape != tuple(shape):
                raise ValueError(
                    f"{self.folder} is a session of an image of shape {self.labels.shape}, this "
                    f"one has {tuple(shape)}; move the folder away to begin anew"
                )
        else:
            self.labels = no_labels(path, tuple(shape))

    @classmethod
    def open(cls, folder: str | Path) -> Session:
        """The session in `folder`.

        Raises
        ------
        ValueError
            If there is none, or it cannot be read.
        """
        read_settings(Path(folder))
        return cls(folder, open_array(Path(folder) / LABELS, "r").shape)

    def update(self, **settings: Any) -> None:
        """Sets fields of the settings and writes them."""
        self.settings.update(settings)
        write_json(self.folder / SETTINGS, {"format": VERSION, **self.settings})

    def save_slice(self, z: int, labels: np.ndarray) -> None:
        """Writes the labels of one slice, (y, x)."""
        index = (z,) if len(self.labels.shape) == 3 else ()
        self.labels[(*index, ...)] = labels.astype(np.uint16)

    def put_labels_aside(self) -> Path:
        """Begins with no labels; those there are stay beside, under another name."""
        number = 1
        while (aside := self.folder / f"labels-{number}.zarr").exists():
            number += 1
        (self.folder / LABELS).rename(aside)
        self.labels = no_labels(str(self.folder / LABELS), self.labels.shape)
        return aside

    def annotated(self) -> list[int]:
        """Slices with labels, found by the chunks that exist."""
        if len(self.labels.shape) == 2:
            return [0] if self.labels[...].any() else []
        root = self.folder / LABELS / "c"
        found = sorted(int(path.name) for path in root.glob("[0-9]*")) if root.is_dir() else []
        return [z for z in found if self.labels[z].any()]

    def save_model(self, model: Model) -> None:
        """Writes the model, replacing the one of the round before."""
        model.save(self.folder / MODEL, overwrite=True)

    def put_model_aside(self) -> None:
        """Begins with no model; the one there is stays beside, in place of the one before it."""
        if self.has_model:
            (self.folder / MODEL).replace(self.folder / PREVIOUS)

    @property
    def has_model(self) -> bool:
        """Whether a round was complete."""
        return (self.folder / MODEL).exists()

    def load_model(self) -> Model:
        """The model of the last complete round.

        Raises
        ------
        OSError or ValueError
            If there is none, or it cannot be read.
        """
        return Model.load(self.folder / MODEL)

    def save_image(self, image: np.ndarray) -> None:
        """Writes a copy of an image that is in no file of its own."""
        import zarr

        path = self.folder / IMAGE
        if not path.exists():
            made = self.folder / f"{IMAGE}.{os.getpid()}.tmp"
            chunks = (*(1,) * (image.ndim - 2), *(min(CHUNK, size) for size in image.shape[-2:]))
            array = zarr.create_array(
                str(made), shape=image.shape, chunks=chunks, dtype=image.dtype
            )
            array[...] = image
            made.rename(path)

    def image_path(self) -> Path | None:
        """Where the image is: beside the folder, where it was, or a copy in the folder; or None."""
        known = self.settings.get("image", {}).get("path")
        beside = self.folder.with_name(self.folder.name.removesuffix(SUFFIX))
        offered = [beside, *([Path(known)] if known else []), self.folder / IMAGE]
        return next((p for p in offered if p.exists() and not (p / SETTINGS).exists()), None)


def no_labels(path: str, shape: tuple[int, ...]) -> Any:
    """A new array of labels, all 0."""
    import zarr

    chunks = (*(1,) * (len(shape) - 2), *(min(CHUNK, size) for size in shape[-2:]))
    return zarr.create_array(path, shape=shape, chunks=chunks, dtype="uint16", fill_value=0)


def open_array(path: Path, mode: Any) -> Any:
    """The zarr array at `path`; ValueError if it is none."""
    import zarr

    try:
        node = zarr.open(str(path), mode=mode)
    except Exception as error:  # zarr has no common class for what a damaged store raises
        raise ValueError(f"{path} is not an array of labels: {error}") from error
    if not isinstance(node, zarr.Array):
        raise ValueError(f"{path} is not an array of labels")
    return node


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings in `folder`; ValueError if there are none."""
    path = folder / SETTINGS
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ValueError(f"{folder} is no session: it has no {SETTINGS}") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}; move it away") from error
    if not isinstance(found, dict) or found.get("format") != VERSION:
        raise ValueError(f"{path} is of another version; open it with the napari-cem that made it")
    return {name: value for name, value in found.items() if name != "format"}
