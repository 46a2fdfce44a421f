"""A segmentation model: the network's weights, its classes, and the card that goes with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import _core, weights
from napari_cem.images import Volume, open_volume
from napari_cem.intensity import Intensity, as_the_model, measure

SCRATCH = "scratch"
LOGITS = 1
BLOCK = 8
# Okabe and Ito's colours, told apart by colour-blind readers too.
COLORS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


def class_entries(classes: Sequence[Any] | dict[int, str]) -> list[dict[str, Any]]:
    """Classes as the card has them.

    Parameters
    ----------
    classes : sequence of str or dict, or dict of int to str
        Names, background first, with label values 1, 2, ...; or names by label value; or entries
        with ``name``, ``value`` and ``color``.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or two have one name or value.
    """
    if isinstance(classes, dict):
        given: list[Any] = [{"name": name, "value": value} for value, name in classes.items()]
    else:
        given = [
            dict(entry) if isinstance(entry, dict) else {"name": str(entry), "value": number}
            for number, entry in enumerate(classes, 1)
        ]
    if not 2 <= len(given) <= 255:
        raise ValueError(f"there are {len(given)} classes; give 2 to 255, background first")
    for number, entry in enumerate(given):
        color = 1 + (number - 1) % (len(COLORS) - 1) if number else 0  # only one class is black
        entry.setdefault("color", COLORS[color])
    for key in ("name", "value"):
        seen = [entry[key] for entry in given]
        twice = next((item for item in seen if seen.count(item) > 1), None)
        if twice is not None:
            raise ValueError(f"two classes have the {key} {twice}; each needs its own")
    return given


class Model:
    """A model that segments images.

    Make one with `Model.from_weights` or `Model.load`.

    Attributes
    ----------
    core : napari_cem._core.Model
        What computes.
    """

    def __init__(self, core: _core.Model) -> None:
        self.core = core

    @classmethod
    def from_weights(
        cls,
        name: str | Path = "cem500k",
        classes: Sequence[Any] | dict[int, str] = ("background", "foreground"),
        seed: int = 0,
        pixel_nm: float | None = None,
        widths: Sequence[int] | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Model:
        """A model to be trained: a pre-trained encoder and a decoder, pre-trained if there is one.

        Parameters
        ----------
        name : str or path
            Weights in the cache ("cem500k", "cem1.5m"; fetched if they are not there), a file of
            weights or a model, or "scratch" for a random encoder.
        classes : sequence of str, or dict of int to str
            Class names, background first; their label values are 1, 2, ... unless a dict gives
            them.
        seed : int
            Of the random weights.
        pixel_nm : float, optional
            Pixel size of the images in nanometres, for the card.
        widths : sequence of 5 int, optional
            Channels of the decoder's blocks.
        progress : callable, optional
            Called with the bytes downloaded so far and in all, should weights be fetched.

        Raises
        ------
        ValueError
            If the weights are not what they have to be.
        OSError
            If they are not there; the message says how to get them.
        """
        entries = class_entries(classes)
        base = None if name == SCRATCH else weights.resolve(name, progress)
        options = {} if widths is None else {"widths": tuple(widths)}
        core = _core.Model(classes=len(entries), seed=seed, **options)
        norms = None
        source = {"name": SCRATCH, "sha256": None}
        if base is not None:
            core.load_body(str(base))
            known = weights.read_card(base)
            norms = known.get("norms")
            source = known.get("base") or {"name": base.stem, "sha256": weights.sha256(base)}
            loaded = json.loads(core.card()).get("base") or {}
            source = {**source, "decoder": loaded.get("decoder", False)}
        model = cls(core)
        model.update_card(classes=entries, norms=norms, base=source, pixel_nm=pixel_nm)
        return model

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """The model in a file.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            If it is not a model.
        """
        return cls(_core.Model.load(str(path)))

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Writes the model to `path`, a .safetensors file, by atomic rename.

        Raises
        ------
        OSError
            If `path` exists and `overwrite` is false, or it cannot be written.
        """
        self.core.save(str(path), overwrite)

    def copy(self) -> Model:
        """An independent copy."""
        return type(self)(self.core.copy())

    def assign(self, other: Model) -> None:
        """Makes this model what `other` is, weights and card; it stays prepared for predicting.

        Raises
        ------
        ValueError
            If `other` has other classes or another decoder.
        """
        self.core.assign(other.core)

    @property
    def card(self) -> dict[str, Any]:
        """What is known about the model (docs/formats.md), a copy."""
        card: dict[str, Any] = json.loads(self.core.card())
        return card

    def update_card(self, **fields: Any) -> None:
        """Sets fields of the card; None removes one.

        Raises
        ------
        ValueError
            If a field contradicts the network.
        """
        self.core.set_card(json.dumps(fields, allow_nan=False))

    @property
    def class_entries(self) -> list[dict[str, Any]]:
        """Name, label value and colour of each class, background first."""
        entries: list[dict[str, Any]] = self.card["classes"]
        return entries

    @property
    def classes(self) -> list[str]:
        """Class names, background first."""
        return [entry["name"] for entry in self.class_entries]

    @property
    def values(self) -> list[int]:
        """Label values of the classes."""
        return [entry["value"] for entry in self.class_entries]

    def fingerprint(self) -> str:
        """SHA-256 of the weights and of the card."""
        digest = hashlib.sha256(self.core.card().encode())
        for index in range(len(self.core.tensors())):
            digest.update(self.core.tensor_get(index).data)
        return digest.hexdigest()

    def predict(
        self,
        image: Any,
        intensity: Intensity | None = None,
        threads: int = 0,
        **options: int,
    ) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        image : array, path or Volume
            (y, x) or (z, y, x) pixels of any supported type.
        intensity : Intensity, optional
            How grey values enter the network; by default measured on `image`, or by the rule in
            the card.
        threads : int
            0 for all cores.
        **options
            ``tile`` and ``halo``, in pixels, multiples of 32; ``slice``, a number for this image,
            under which the encoder's features are kept, so that after more training of the decoder
            the same image takes less than half of the time; ``feature_bytes``, their cap.

        Returns
        -------
        array
            (classes, y, x) or (classes, z, y, x), float32, 0 to 1, summing to 1 over the classes.

        Raises
        ------
        ValueError
            If `image` is constant or has values that are not finite.
        Cancelled
            If `cancel` was called.
        """
        return self._run(image, intensity, len(self.classes), threads=threads, **options)

    def logits(
        self,
        image: Any,
        intensity: Intensity | None = None,
        threads: int = 0,
        **options: int,
    ) -> np.ndarray:
        """What the network puts out before the last non-linearity; as `predict`.

        Returns
        -------
        array
            (outputs, y, x) or (outputs, z, y, x), float32; one output for two classes, else one a
            class.
        """
        outputs = self.core.outputs
        return self._run(image, intensity, outputs, threads=threads, output=LOGITS, **options)

    def _run(
        self, image: Any, intensity: Intensity | None, maps: int, **options: int
    ) -> np.ndarray:
        volume: Volume = open_volume(image)
        if intensity is None:
            volume, intensity = as_the_model(volume, self.card, measure(volume))
        z, y, x = volume.shape
        out = np.empty((z, maps, y, x), np.float32)
        for first in range(0, z, BLOCK):
            block = np.stack([volume.slice(k) for k in range(first, min(first + BLOCK, z))])
            part = out[first : first + len(block)]
            self.core.predict(part, block, intensity.offset, intensity.scale, **options)
        return out[0] if volume.ndim == 2 else np.ascontiguousarray(out.swapaxes(0, 1))

    def classify(self, probabilities: np.ndarray) -> np.ndarray:
        """Label values from probabilities.

        Parameters
        ----------
        probabilities : array, float32
            (classes, y, x) or (classes, z, y, x), as `predict` returns them.

        Returns
        -------
        array, uint16
            (y, x) or (z, y, x): by the card's threshold, or without one the likeliest class.
        """
        if probabilities.ndim == 3:
            single: np.ndarray = self.classify_slices(probabilities[None])[0]
            return single
        return self.classify_slices(probabilities.swapaxes(0, 1))

    def classify_slices(self, probabilities: np.ndarray) -> np.ndarray:
        """As `classify`, for (z, classes, y, x)."""
        stack = np.ascontiguousarray(probabilities, np.float32)
        labels = np.empty((len(stack), *stack.shape[2:]), np.uint16)
        self.core.classify(labels, stack)
        return labels

    def cancel(self) -> None:
        """Stops the call in progress, from any thread; it raises Cancelled."""
        self.core.cancel()
