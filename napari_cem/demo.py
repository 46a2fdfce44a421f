"""The demo: a few scribbles on a bundled FIB-SEM stack become a segmentation of all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import picture, weights
from napari_cem.evaluation import evaluate
from napari_cem.images import open_labels, open_volume
from napari_cem.model import Model
from napari_cem.segmentation import segment
from napari_cem.trainer import Trainer
from napari_cem.training import Report
from napari_cem.writers import refuse_existing

CLASSES = ("background", "membrane")
MEMBRANE = {"membrane": (2, 255)}
PIXEL_NM = 10.0
LABELS, PICTURE = "membrane.tif", "demo.png"
FAR = 4


@dataclass(frozen=True)
class Sample:
    """The bundled stack, (64, 250, 250), its scribbles (0, 1, 2) and the truth (0, 255)."""

    image: np.ndarray
    scribbles: np.ndarray
    truth: np.ndarray

    def slices(self, distance: int) -> list[int]:
        """Slices at least `distance` away from every slice with scribbles."""
        annotated = self.annotated
        depth = len(self.image)
        return [z for z in range(depth) if min(abs(z - a) for a in annotated) >= distance]

    @property
    def annotated(self) -> list[int]:
        """Slices with scribbles."""
        return [int(z) for z in np.flatnonzero(self.scribbles.any(axis=(1, 2)))]


@dataclass(frozen=True)
class Outcome:
    """What the demo found and wrote.

    Attributes
    ----------
    base : str
        Weights that training started from.
    steps : int
    painted : float
        Share of the stack's pixels with a scribble, 0 to 1.
    iou, iou_far : float
        IoU of the membrane on the slices without scribbles, and on those at least 4 away from one.
    labels, picture : path
    """

    base: str
    steps: int
    painted: float
    iou: float
    iou_far: float
    labels: Path
    picture: Path


def load() -> Sample:
    """The bundled sample."""
    folder = resources.files("napari_cem") / "sample"
    stacks = []
    for name, opener in (
        ("raw", open_volume),
        ("scribbles", open_labels),
        ("membrane", open_labels),
    ):
        with resources.as_file(folder / f"{name}_64x250x250.tif") as path:
            volume = opener(path)
            stacks.append(np.stack([volume.slice(z) for z in range(volume.shape[0])]))
            volume.close()
    return Sample(*stacks)


def iou_on(labels: np.ndarray, truth: np.ndarray, slices: list[int]) -> float:
    """IoU of the membrane on some slices."""
    return evaluate(labels[slices], truth[slices], classes=MEMBRANE)["membrane"].iou


def draw(sample: Sample, labels: np.ndarray, color: str) -> Any:
    """The picture: a slice with its scribbles, and one without, its prediction and truth."""
    known = sample.annotated[len(sample.annotated) // 2]
    shown = max(sample.slices(1), key=lambda z: min(abs(z - a) for a in sample.annotated))
    page = sample.image[shown]
    found = iou_on(labels, sample.truth, [shown])
    scribbles = {1: "#56b4e9", 2: color}
    panels = [
        (
            f"slice {known}: scribbles",
            picture.overlay(sample.image[known], sample.scribbles[known], scribbles, 0.9),
        ),
        (f"slice {shown}, no scribbles: image", picture.grey(page)),
        (f"prediction, IoU {found:.2f}", picture.overlay(page, labels[shown], {2: color}, 0.6)),
        ("truth", picture.overlay(page, sample.truth[shown], {255: color}, 0.6)),
    ]
    return picture.side_by_side(panels)


def run(
    folder: str | Path = "napari-cem-demo",
    seconds: float = 60.0,
    steps: int | None = None,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    on_start: Callable[[str], None] | None = None,
    on_step: Callable[[Report], None] | None = None,
    on_slice: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Fine-tunes on the sample's scribbles, segments the sample, and compares with the truth.

    Parameters
    ----------
    folder : path
        Where the labels (TIFF) and the picture (PNG) go; it is made if it is missing.
    seconds, steps : float, int
        The budget of training; `steps` goes before `seconds`.
    seed, threads : int
    overwrite : bool
        Whether results of an earlier demo may be replaced.
    on_start, on_step, on_slice : callable, optional
        Called with the name of the weights, with reports of training, with the slices done.

    Returns
    -------
    Outcome
    """
    folder = Path(folder)
    refuse_existing(folder, overwrite=True)
    for name in (LABELS, PICTURE):
        if folder.is_dir():
            refuse_existing(folder / name, overwrite)
    sample = load()
    base = weights.best()
    if on_start:
        on_start(base)
    model = Model.from_weights(base, CLASSES, seed, PIXEL_NM)
    trainer = Trainer(model, seed=seed, threads=threads)
    trainer.add(sample.image, sample.scribbles)
    for report in trainer.run(steps, None if steps else seconds):
        if on_step:
            on_step(report)
    folder.mkdir(exist_ok=True)
    volume = open_volume(sample.image)
    volume.pixel_nm = volume.spacing_nm = PIXEL_NM
    path = folder / LABELS
    segment(volume, model, path, threads=threads, progress=on_slice, overwrite=overwrite)
    labels = np.stack([open_labels(path).slice(z) for z in range(len(sample.image))])
    picture.save(draw(sample, labels, model.class_entries[1]["color"]), folder / PICTURE)
    return Outcome(
        base,
        report.step,
        float((sample.scribbles > 0).mean()),
        iou_on(labels, sample.truth, sample.slices(1)),
        iou_on(labels, sample.truth, sample.slices(FAR)),
        path,
        folder / PICTURE,
    )
