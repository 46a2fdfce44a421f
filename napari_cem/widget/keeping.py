"""Saving the session as it grows, away from the main thread, and putting a session back."""

from __future__ import annotations

import hashlib
import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from napari_cem.model import Model
from napari_cem.session import Session, folder_for
from napari_cem.widget import layers

MOST_COPIED = 256 << 20  # bytes of an image in no file that is kept with its session

log = logging.getLogger("napari_cem")


def source_of(image: Any) -> Path | None:
    """The local file or folder an image layer was opened from, None if there is none."""
    path = image.source.path
    return Path(path).absolute() if path and Path(path).exists() else None


def place_of(image: Any) -> Path:
    """The session folder of an image layer: beside its file, else in the user's data."""
    known = image.metadata.get(layers.KEY, {}).get("folder")
    if known:
        return Path(known)
    source = source_of(image)
    if source is not None and os.access(source.parent, os.W_OK):
        return folder_for(source)
    data = layers.full_data(image)
    middle = np.asarray(data[data.shape[0] // 2])
    digest = hashlib.sha256(repr((data.shape, str(data.dtype))).encode() + middle.tobytes())
    root = Path(os.environ.get("NAPARI_CEM_SESSIONS") or platformdirs.user_data_path("napari-cem"))
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in image.name)
    return root / "sessions" / f"{name}-{digest.hexdigest()[:12]}.cem"


class Keeper:
    """Writes to a session folder, one thing after the other, in a thread of its own."""

    def __init__(self, image: Any, report: Any) -> None:
        data = layers.full_data(image)
        self.session = Session(place_of(image), tuple(data.shape))
        self._report = report
        self._writer = ThreadPoolExecutor(1, "napari-cem-session")
        source = source_of(image)
        self._facts = {
            "path": None if source is None else str(source),
            "name": image.name,
            "scale": [float(value) for value in image.scale],
            "translate": [float(value) for value in image.translate],
            "units": [str(unit) for unit in image.units],
        }
        small = int(np.prod(data.shape)) * np.dtype(data.dtype).itemsize <= MOST_COPIED
        if source is None and small and not image.multiscale:
            self._later(lambda: self.session.save_image(np.asarray(data)))

    def slice(self, z: int, labels: np.ndarray) -> None:
        """Keeps the labels of a slice."""
        self._later(lambda: self.session.save_slice(z, labels))

    def settings(self, **settings: Any) -> None:
        """Keeps settings."""
        self._later(lambda: self.session.update(image=self._facts, **settings))

    def model(self, model: Model) -> None:
        """Keeps a model; it must not change before `flush`."""
        self._later(lambda: self.session.save_model(model))

    def _later(self, call: Any) -> None:
        self._writer.submit(call).add_done_callback(self._look)

    def _look(self, done: Future[Any]) -> None:
        error = done.exception()
        if error is not None:
            log.warning("the session could not be saved: %s", error)
            self._report(f"the session could not be saved: {error}")

    def flush(self) -> None:
        """Returns when everything is written."""
        self._writer.submit(lambda: None).result()

    def close(self) -> None:
        """Writes what is left."""
        self._writer.shutdown(wait=True)
