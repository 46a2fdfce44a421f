"""Saving the session as it grows, away from the main thread, and putting a session back."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from napari_cem.model import Model
from napari_cem.session import SETTINGS, Session, folder_for
from napari_cem.widget import layers
from napari_cem.widget.painting import Painting

MOST_COPIED = 256 << 20  # bytes of an image in no file that is kept with its session
MOST_LOOKED_AT = 1 << 28  # voxels of labels that are searched for annotated slices

_fingerprints: dict[tuple[str, str], str] = {}

log = logging.getLogger("napari_cem")


def source_of(image: Any) -> Path | None:
    """The local file or folder an image layer was opened from, None if there is none."""
    path = image.source.path
    return Path(path).absolute() if path and Path(path).exists() else None


def fingerprint_of(image: Any) -> str:
    """What tells an image layer that is in no file from others: shape, type, the middle slice."""
    data = layers.full_data(image)
    facts = repr((data.shape, str(data.dtype)))
    key = (str(image.unique_id), facts)
    if key not in _fingerprints:
        middle = np.asarray(data[data.shape[0] // 2])
        digest = hashlib.sha256(facts.encode() + middle.tobytes())
        _fingerprints[key] = digest.hexdigest()[:12]
    return _fingerprints[key]


def place_of(image: Any) -> Path:
    """The session folder of an image layer: beside its file, else in the user's data."""
    folder = image.metadata.get(layers.KEY, {}).get("folder")
    if folder:
        return Path(folder)
    source = source_of(image)
    if source is not None and os.access(source.parent, os.W_OK):
        return folder_for(source)
    root = Path(os.environ.get("NAPARI_CEM_SESSIONS") or platformdirs.user_data_path("napari-cem"))
    key = fingerprint_of(image)
    known = sorted((root / "sessions").glob(f"*-{key}.cem"))  # the layer may have been renamed
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in image.name)
    return known[0] if known else root / "sessions" / f"{name}-{key}.cem"


def is_kept(image: Any) -> bool:
    """Whether there is a session of an image layer."""
    return (place_of(image) / SETTINGS).exists()


class Keeper:
    """Writes to a session folder, one thing after the other, in a thread of its own.

    Attributes
    ----------
    session : Session
    has_model : bool
        Whether a model is kept, or about to be.
    """

    def __init__(self, image: Any, report: Any) -> None:
        data = layers.full_data(image)
        self.session = Session(place_of(image), tuple(data.shape))
        self.has_model = self.session.has_model
        self._report = report
        self._writer = ThreadPoolExecutor(1, "napari-cem-session")
        source, folder = source_of(image), layers.facts_of(image).get("folder")
        known = self.session.settings.get("image", {}).get("path")
        self._facts = {
            "path": known if folder else None if source is None else str(source),
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

    def model(self, make: Callable[[], Model]) -> None:
        """Keeps the model that `make` makes, in the thread that writes it."""
        self.has_model = True
        self._later(lambda: self.session.save_model(make()))

    def forget_model(self) -> None:
        """Puts the model aside, to begin anew."""
        self.has_model = False
        self._later(self.session.put_model_aside)

    def load_model(self) -> Model:
        """The model that is kept, once it is written; in any thread."""
        self.flush()
        return self.session.load_model()

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


def restore(session: Session, painting: Painting, mine: bool) -> bool:
    """Puts the labels that were kept into a layer of ours, and takes note of all that are there; of
    a large layer other slices are noted when they are looked at.

    The user's own layer stays as it is: labels kept from another one are put aside.  Returns
    whether there were any.
    """
    layer, slices = painting.layer, session.annotated()
    data, aside = layer.data, False
    if data is not session.labels:
        differ = [z for z in slices if not np.array_equal(painting.page(z), kept(session, z))]
        if mine and not any(painting.page(z).any() for z in differ):
            for z in differ:
                data[z if layer.ndim == 3 else ...] = kept(session, z)
            layer.refresh()
        elif differ:
            session.put_labels_aside()
            slices, aside = [], True
    painting.start(slices)
    if isinstance(data, np.ndarray) and data.size <= MOST_LOOKED_AT:
        pages = data.reshape((-1, *data.shape[-2:]))
        drawn = np.flatnonzero(pages.any(axis=(1, 2))).tolist()
        painting.start([z for z in drawn if z not in painting.pages])
    return aside


def kept(session: Session, z: int) -> np.ndarray:
    """Labels of a slice in the session, (y, x)."""
    return np.asarray(session.labels[z if len(session.labels.shape) == 3 else ...])
