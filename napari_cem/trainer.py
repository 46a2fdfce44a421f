"""Training a model on annotated images, step by step."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_cem import _core
from napari_cem.images import Volume, open_labels, open_volume
from napari_cem.intensity import EightBit, Intensity, Measured, from_norms, measure
from napari_cem.labels import check_classes, check_shapes, check_values, merge, survey
from napari_cem.model import Model
from napari_cem.training import (
    RECIPES,
    SECONDS,
    Budget,
    Report,
    Source,
    choice,
    core_options,
    plain,
)

EVALUATE_EVERY = 10
PROVENANCE = ("intensity_rule", "training", "data", "library", "norms", "intensity")


class Trainer:
    """Trains a model on annotated images.

    The model is changed only when a run ends, or by `commit` and `revert`.

    Parameters
    ----------
    model : Model
        Where to start from, and what is changed.
    recipe : {"interactive", "cem500k"}
        "interactive" trains the decoder on the pixels that are annotated; "cem500k" is the recipe
        of the CEM500K paper, for densely annotated images.
    seed : int
    threads : int
        0 for all cores; the result does not depend on it.
    **options
        Of docs/python.md, e.g. ``freeze="layer4"``, ``batch=8``, ``class_weights=[0.1, 1]``.
        Defaults are the recipe's.

    Raises
    ------
    ValueError
        If an option is unknown or out of range.
    """

    def __init__(
        self,
        model: Model,
        recipe: str = "interactive",
        seed: int = 0,
        threads: int = 0,
        **options: Any,
    ) -> None:
        self.model, self.recipe = model, recipe
        self._number = choice("recipe", recipe, RECIPES)
        self._options = core_options({"seed": seed, "threads": threads, **options}, self._number)
        self._core = _core.Trainer(model.core, self._number, **self._options)
        self._begin()

    def _begin(self) -> None:
        self.sources: dict[int, Source] = {}
        self.step = 0
        self._slices: set[int] = set()
        self._next_key = 0
        self._iou: dict[str, float] | None = None
        self._pixels: dict[str, int] = {}
        self._measured = True  # the state of now, on the held-out strokes
        self._norms: list[float] | None = self.model.card.get("norms")
        self._before: dict[str, Any] = self.model.card

    @classmethod
    def load(
        cls,
        model: Model,
        path: str | Path,
        recipe: str = "interactive",
        seed: int = 0,
        threads: int = 0,
        **options: Any,
    ) -> Trainer:
        """A trainer that goes on from what `save` wrote.

        It must be given the same model, options and then images, in the same order; it continues
        with the same bits.
        """
        self = cls.__new__(cls)
        self.model, self.recipe = model, recipe
        self._number = choice("recipe", recipe, RECIPES)
        self._options = core_options({"seed": seed, "threads": threads, **options}, self._number)
        self._core = _core.Trainer.load(model.core, str(path), self._number, **self._options)
        self._begin()
        return self

    def save(self, path: str | Path) -> None:
        """Writes what is needed to go on (the images excepted), replacing `path`."""
        self._core.save(str(path))

    @property
    def options(self) -> dict[str, Any]:
        """All options by their names in the core."""
        chosen = _core.trainer_defaults(self._number, self.model.core)
        chosen.update(self._options)
        return chosen

    @property
    def dense(self) -> bool:
        """Whether every pixel counts and label 0 is a class."""
        return bool(self.options["dense"])

    def add(
        self,
        image: Any,
        labels: Any,
        key: int | None = None,
        intensity: Intensity | Measured | None = None,
    ) -> int:
        """Adds an annotated image or stack, or gives new labels to one that was added.

        Parameters
        ----------
        image : array, path or Volume
            (y, x) or (z, y, x). Of a stack only the slices with labels are used.
        labels : array, path or Volume
            Integers of the same shape: 0 is not annotated, others are label values of the model's
            classes (1 is background). With ``dense`` 0 is a label value like the others.
        key : int, optional
            What an earlier call returned, to replace the labels of the same image.
        intensity : Intensity or Measured, optional
            How grey values enter the network; by default measured on `image`.

        Returns
        -------
        int
            A key for this image.

        Raises
        ------
        ValueError
            If shapes differ, labels are out of range or of no class, or the image is constant or
            has values that are not finite.
        """
        volume, annotated = open_volume(image), open_labels(labels)
        check_shapes(volume, annotated)
        counts = survey(annotated, self.dense)
        if not counts.counts and key not in self.sources:
            check_values(counts.counts, annotated.name)
        check_classes(counts.counts, self.model.values, annotated.name)
        found = intensity if isinstance(intensity, Measured) else measure(volume)
        chosen = intensity if isinstance(intensity, Intensity) else found.intensity
        if self.recipe == "cem500k":
            volume = EightBit(volume, found.low, found.high)
            chosen = from_norms(self._norms_of(volume))
        first = self._reserve(key, volume.shape[0])
        digest = hashlib.sha256()
        for z in range(volume.shape[0]):
            if z not in counts.slices and first + z not in self._slices:
                continue
            pixels, page = volume.slice(z), annotated.slice(z)
            digest.update(pixels.data)
            digest.update(page.data)
            self._core.set(first + z, pixels, page, chosen.offset, chosen.scale)
            self._slices.add(first + z)
        self.sources[first] = Source(
            digest.hexdigest(), volume.shape[3 - volume.ndim :], volume.dtype.name,
            chosen.offset, chosen.scale, counts.counts, found.contrast,
        )  # fmt: skip
        return first

    def _reserve(self, key: int | None, depth: int) -> int:
        if key is None:
            key = self._next_key
        self._next_key = max(self._next_key, key + depth)
        return key

    def _norms_of(self, volume: Volume) -> list[float]:
        """Mean and deviation of the weights; for a random encoder those of the first image."""
        if self._norms is None:
            state = _core.statistics_new()
            for z in volume.sample():
                _core.statistics_add(state, volume.slice(z))
            self._norms = list(_core.norms_measure(state))
        return self._norms

    def run(
        self,
        steps: int | None = None,
        seconds: float | None = None,
        until: int | None = None,
        evaluate_every: int = EVALUATE_EVERY,
    ) -> Iterator[Report]:
        """Trains until the budget is spent, then commits: the model holds the best state.

        Parameters
        ----------
        steps : int, optional
            Steps to do.
        seconds : float, optional
            Time to spend; at least one step is done. Without any budget it is 60 s, or for the
            recipe cem500k ``until`` the end of the schedule.
        until : int, optional
            Number of the step to end with, counting those before `save` and `load`.
        evaluate_every : int
            Steps between measurements on the held-out strokes.

        Yields
        ------
        Report
            After every step.

        Raises
        ------
        Cancelled
            If `cancel` was called. The model is then unchanged; `commit` takes what there is.
        """
        budget = Budget(steps, seconds, until)
        if budget == Budget():
            schedule = self.options["steps"]
            budget = (
                Budget(None, SECONDS) if self.recipe == "interactive" else Budget(until=schedule)
            )
        self.check()
        start, done = time.monotonic(), 0
        self.step = self._core.step(0)["step"]
        if budget.until is not None and self.step >= budget.until:
            raise ValueError(
                f"{self.step} steps are done already; ask for more than {budget.until}"
            )
        while budget.allows(done, self.step, time.monotonic() - start):
            report, done = self.advance(evaluate_every), done + 1
            seconds = time.monotonic() - start
            rate = done / max(seconds, 1e-9)
            yield replace(report, seconds=seconds, steps_per_second=rate)
        self.finish()

    def check(self) -> None:
        """ValueError, with the remedy, if what was added is not enough to learn from."""
        counted = merge([source.counts for source in self.sources.values()])
        check_values(counted, "what is annotated", self.dense)

    def advance(self, evaluate_every: int = EVALUATE_EVERY) -> Report:
        """Does one step, for whoever keeps a budget of his own; `finish` ends such a run.

        Parameters
        ----------
        evaluate_every : int
            Steps between measurements on the held-out strokes.

        Returns
        -------
        Report
            Its seconds are those of this step.

        Raises
        ------
        Cancelled
            If `cancel` was called. The model is then unchanged.
        """
        start = time.monotonic()
        report = self._core.step(1)
        self.step = report["step"]
        self._measured = not report["held_out"]
        if report["held_out"] and self.step % evaluate_every == 0:
            self._iou, self._measured = self._evaluate(), True
        seconds = max(time.monotonic() - start, 1e-9)
        return Report(
            self.step, report["loss"], self._iou, report["held_out"], seconds, 1 / seconds,
            report["rate"],
        )  # fmt: skip

    def finish(self) -> None:
        """Measures the last state on the held-out strokes and commits."""
        if not self._measured:
            self._iou, self._measured = self._evaluate(), True
        self.commit()

    def _evaluate(self) -> dict[str, float] | None:
        iou, pixels = self._core.evaluate()
        names = self.model.classes
        self._pixels = {name: int(n) for name, n in zip(names, pixels, strict=True) if n}
        scores = dict(zip(names, iou, strict=True))
        return {name: float(scores[name]) for name in self._pixels} or None

    @property
    def held_out_iou(self) -> dict[str, float] | None:
        """IoU of each class on the held-out strokes at the last evaluation, or None."""
        return self._iou

    @property
    def held_out_pixels(self) -> dict[str, int]:
        """Pixels of each class that these IoU were measured on."""
        return self._pixels

    def commit(self) -> None:
        """Puts the best state (the last one, if none was measured) into the model."""
        self._before = self.model.card
        self._core.commit(self.model.core)
        self.model.update_card(**self._provenance())

    def _provenance(self) -> dict[str, Any]:
        options = {name: plain(value) for name, value in self.options.items()}
        for name in ("threads", "reserved", "milestone_count", "feature_bytes"):
            options.pop(name, None)
        first = next(iter(self.sources.values()), None)
        fields: dict[str, Any] = {
            "intensity_rule": "norms" if self.recipe == "cem500k" else "volume",
            "training": {**options, "recipe": self.recipe, "steps_done": self.step},
            "data": [source.as_dict() for source in self.sources.values()],
            "library": _core.version(),
        }
        if self._norms is not None:
            fields["norms"] = self._norms
        if first is not None:
            fields["intensity"] = {
                "offset": first.offset,
                "scale": first.scale,
                "dtype": first.dtype,
                "contrast": first.contrast.tolist(),
            }
        return fields

    def snapshot(self, model: Model) -> None:
        """Puts the weights of now into `model`, to look at a run in progress.

        Parameters
        ----------
        model : Model
            A copy of the one that is trained. Its threshold is that of the best state so far, its
            other fields stay.
        """
        self._core.snapshot(model.core)

    def restart(self) -> None:
        """Forgets what was trained since the last commit, and goes on from the model as it is."""
        self._core.restart(self.model.core)
        self._measured = False

    def revert(self) -> None:
        """Puts back what the model was before the last commit, and goes on from there."""
        self._core.revert(self.model.core)
        self.model.update_card(**{name: self._before.get(name) for name in PROVENANCE})

    def cancel(self) -> None:
        """Stops the step in progress, from any thread; `run` raises Cancelled."""
        self._core.cancel()
