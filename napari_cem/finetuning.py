"""Fine-tuning from files: images and labels in, a model file out."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import weights
from napari_cem.images import LabelVolume, Volume, open_labels, open_volume
from napari_cem.intensity import Measured, measure
from napari_cem.labels import (
    BACKGROUND,
    Survey,
    check_classes,
    check_pair,
    check_values,
    merge,
    pair,
)
from napari_cem.model import SCRATCH, Model
from napari_cem.trainer import Trainer
from napari_cem.training import Report
from napari_cem.writers import refuse_existing

CHECKPOINT_SECONDS = 30.0

OnFetch = Callable[[int, int | None], None] | None

log = logging.getLogger("napari_cem")


@dataclass
class Annotated:
    """An image, its labels, and what was found in them."""

    image: Volume
    labels: LabelVolume
    survey: Survey
    found: Measured


@dataclass
class Plan:
    """What a fine-tuning is to do; docs/command-line.md explains each field.

    Attributes
    ----------
    weights : str or path
        Where to start: cached weights, a file, "scratch", or a model to go on with.
    classes : dict of int to str, list of str, or None
        Names by label value, names from label value 1 on, or None for what the labels hold.
    steps, seconds : int, float or None
        The budget.
    checkpoint : path or None
        Where to save the state of training every half minute.
    resume : bool
        Go on from `checkpoint`.
    options : dict
        Further options of `Trainer`.
    """

    weights: str | Path = "cem500k"
    recipe: str = "interactive"
    classes: dict[int, str] | list[str] | None = None
    steps: int | None = None
    seconds: float | None = None
    dense: bool | None = None
    seed: int = 0
    threads: int = 0
    pixel_nm: float | None = None
    checkpoint: Path | None = None
    resume: bool = False
    options: dict[str, Any] = field(default_factory=dict)


class Stack(Volume):
    """Images of one size and type, taken as the slices of one volume."""

    def __init__(self, images: list[Volume]) -> None:
        self.images = images
        self.shape = (len(images), *images[0].shape[1:])
        self.ndim, self.dtype = 3, images[0].dtype
        self.name = str(Path(images[0].name).parent)

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array."""
        return self.images[z].slice(0)


def gather(image: Any, labels: Any, dense: bool) -> list[Annotated]:
    """Opens and checks all images and labels, and measures their intensities.

    Images of a folder that have one size and type are measured together, as they are when the
    folder is segmented.
    """
    if isinstance(image, str | Path) and isinstance(labels, str | Path):
        pairs: list[tuple[Any, Any]] = list(pair(Path(image), Path(labels)))
    else:
        pairs = [(image, labels)]
    opened = [(open_volume(first), open_labels(second)) for first, second in pairs]
    surveys = [check_pair(volume, annotated, dense) for volume, annotated in opened]
    volumes = [volume for volume, _ in opened]
    kinds = {(volume.shape, volume.dtype) for volume in volumes}
    if len(volumes) > 1 and len(kinds) == 1 and volumes[0].ndim == 2:
        found = [measure(Stack(volumes))] * len(volumes)
    else:
        found = [measure(volume) for volume in volumes]
    return [
        Annotated(volume, annotated, counted, measured)
        for (volume, annotated), counted, measured in zip(opened, surveys, found, strict=True)
    ]


def classes_of(counts: dict[int, int], given: Any, dense: bool) -> dict[int, str]:
    """Class names by label value, background first.

    Parameters
    ----------
    counts : dict
        Annotated pixels of each label value.
    given : dict, list or None
        As in `Plan`.
    dense : bool
        Whether 0 is the background.
    """
    background = 0 if dense else BACKGROUND
    if isinstance(given, dict):
        return given
    if given:
        return {background + number: name for number, name in enumerate(given)}
    others = [value for value in counts if value != background]
    return {background: "background", **{value: f"class {value}" for value in others}}


def starting_model(
    plan: Plan, classes: dict[int, str], pixel_nm: float, on_fetch: OnFetch
) -> Model:
    """The model that training starts from."""
    named = Path(plan.weights)
    if plan.weights != SCRATCH and named.is_file():
        known = weights.read_card(named).get("classes")
        if known and [entry["value"] for entry in known] == list(classes):
            model = Model.load(named)
            if plan.pixel_nm:
                model.update_card(pixel_nm=plan.pixel_nm)
            if plan.classes:
                model.update_card(classes=[{**e, "name": classes[e["value"]]} for e in known])
            log.info("going on with the model %s", named)
            return model
    size = plan.pixel_nm or pixel_nm or None
    model = Model.from_weights(plan.weights, classes, plan.seed, size, progress=on_fetch)
    log.info("starting from %s", model.card["base"]["name"])
    return model


def make_trainer(plan: Plan, model: Model) -> Trainer:
    """A new trainer, or one that goes on from the checkpoint."""
    options = dict(plan.options)
    if plan.dense is not None:
        options["dense"] = int(plan.dense)
    if plan.recipe == "cem500k" and plan.steps:
        options["steps"] = plan.steps
    common = (plan.recipe, plan.seed, plan.threads)
    if plan.resume and plan.checkpoint is not None:
        return Trainer.load(model, plan.checkpoint, *common, **options)
    return Trainer(model, *common, **options)


def train(trainer: Trainer, plan: Plan, progress: Callable[[Report], None] | None) -> Report | None:
    """Runs the budget, saving the state of training now and then; the last report."""
    last, saved = None, time.monotonic()
    steps, until = (None, plan.steps) if plan.resume else (plan.steps, None)
    for last in trainer.run(steps, plan.seconds, until):
        if progress:
            progress(last)
        if plan.checkpoint and time.monotonic() - saved > CHECKPOINT_SECONDS:
            trainer.save(plan.checkpoint)
            saved = time.monotonic()
    if plan.checkpoint:
        trainer.save(plan.checkpoint)
    return last


def check_plan(plan: Plan, out: Path, overwrite: bool) -> None:
    """Raises for outputs and checkpoints that are in the way, or missing."""
    if out.suffix.lower() != ".safetensors":
        raise ValueError(f"{out} must end in .safetensors, as models do")
    refuse_existing(out, overwrite)
    if plan.resume and plan.checkpoint is None:
        raise ValueError("--resume needs the --checkpoint to go on from")
    if plan.checkpoint is None:
        return
    if plan.resume and not plan.checkpoint.is_file():
        raise FileNotFoundError(f"{plan.checkpoint} does not exist; leave out --resume to begin")
    if not plan.resume:
        refuse_checkpoint(plan.checkpoint)


def refuse_checkpoint(path: Path) -> None:
    """Raises if `path` exists: a new run must not replace the state of another."""
    if path.exists():
        raise FileExistsError(f"{path} exists; go on from it with --resume, or delete it")
    if not os.access(path.parent, os.W_OK):
        raise FileNotFoundError(f"the folder {path.parent} cannot be written to")


def finetune(
    image: Any,
    labels: Any,
    out: str | Path,
    plan: Plan | None = None,
    overwrite: bool = False,
    progress: Callable[[Report], None] | None = None,
    on_fetch: OnFetch = None,
) -> tuple[Model, Report | None]:
    """Fine-tunes a model on annotated images and saves it.

    Parameters
    ----------
    image, labels : path, array or Volume
        An image or stack and its labels, or two folders with pairs of equal names.
    out : path
        The .safetensors file to write; nothing is written if something fails.
    plan : Plan, optional
    overwrite : bool
        Whether an existing `out` may be replaced, at the end.
    progress : callable, optional
        Called with the Report of every step.
    on_fetch : callable, optional
        Called with the bytes downloaded so far and in all, should weights be fetched.

    Returns
    -------
    model : Model
    report : Report
        Of the last step.

    Raises
    ------
    ValueError
        If images or labels are not what they have to be; one line says what to do.
    OSError
        If a file cannot be read or written, or exists.
    """
    plan, out = plan or Plan(), Path(out)
    check_plan(plan, out, overwrite)
    dense = plan.recipe == "cem500k" if plan.dense is None else plan.dense
    given = gather(image, labels, dense)
    counts = merge([one.survey.counts for one in given])
    name = str(labels) if isinstance(labels, str | Path) else "labels"
    check_values(counts, name, dense)
    classes = classes_of(counts, plan.classes, dense)
    check_classes(counts, list(classes), name)
    model = starting_model(plan, classes, given[0].image.pixel_nm, on_fetch)
    trainer = make_trainer(plan, model)
    for one in given:
        if one.survey.slices:
            trainer.add(one.image, one.labels, intensity=one.found)
    last = train(trainer, plan, progress)
    model.save(out, overwrite)
    return model, last
