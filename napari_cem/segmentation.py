"""Segmenting an image or a stack, in one plane or in all three, with memory bounded by a slice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import _core
from napari_cem.images import Volume, describe, open_volume
from napari_cem.intensity import (
    EightBit,
    Intensity,
    Measured,
    as_the_model,
    measure,
)
from napari_cem.mismatch import mismatches
from napari_cem.model import Model
from napari_cem.planes import Planes, Run
from napari_cem.scaling import Scaled, scale_factor
from napari_cem.scratch import Scratch
from napari_cem.writers import ProbabilityPages, check_output, label_writer

PLANES = {"xy": ("xy",), "xz": ("xz",), "yz": ("yz",), "ortho": ("xy", "xz", "yz")}

log = logging.getLogger("napari_cem")


def identity(
    model: Model, volume: Volume, found: Measured, chosen: tuple[str, bool]
) -> dict[str, Any]:
    """What decides a run's result."""
    return {
        "version": _core.version(),
        "backend": _core.backend(),
        "model": model.fingerprint(),
        "image": [*volume.shape, volume.dtype.name, found.sha256],
        "planes": chosen[0],
        "probabilities": chosen[1],
    }


def write(run: Run, writer: Any, probabilities: bool) -> Generator[int, None, None]:
    """Writes the result of `run`, yielding before every slice, and puts it into place."""
    try:
        for z in range(run.planes.volume.shape[0]):
            yield z
            writer.write(run.probabilities(z) if probabilities else run.labels(z))
        writer.finish()
    finally:
        writer.close()


def prepare(
    volume: Volume, model: Model, intensity: Intensity | None
) -> tuple[Volume, Intensity, Measured]:
    """Measures `volume`, warns where it does not fit the model, and chooses the constants."""
    found = measure(volume)
    card = model.card
    for line in mismatches(volume, card, found):
        log.warning("%s", line)
    if intensity is None:
        volume, intensity = as_the_model(volume, card, found)
    elif card.get("intensity_rule") == "norms":
        volume = EightBit(volume, found.low, found.high)
    log.info(
        "%s: %s, intensity offset %.6g, scale %.6g",
        volume.name, describe(volume), intensity.offset, intensity.scale,
    )  # fmt: skip
    return volume, intensity, found


def check_arguments(volume: Volume, planes: str, out: Path | None, resume: bool) -> None:
    """Raises ValueError for arguments that do not go together."""
    if planes not in PLANES:
        raise ValueError(f"planes is {planes!r}; it must be one of {', '.join(PLANES)}")
    if volume.ndim == 2 and planes != "xy":
        raise ValueError(f"{volume.name} is one image: only the plane xy can be segmented")
    if resume and out is None:
        raise ValueError("resume needs a file to write to, out")


@dataclass(frozen=True)
class Block:
    """Slices [first, last) of `plane` are computed: `done` of `total` over all planes."""

    plane: str
    first: int
    last: int
    done: int
    total: int


class Segmentation:
    """A segmentation that goes on block by block; its parameters are those of `segment`.

    Attributes
    ----------
    result : path or array
        What `segment` returns; there when `steps` has ended.
    """

    def __init__(
        self,
        source: Any,
        model: Model | str | Path,
        out: str | Path | None = None,
        planes: str = "xy",
        probabilities: bool = False,
        threads: int = 0,
        resume: bool = False,
        overwrite: bool = False,
        intensity: Intensity | None = None,
        scale: float | str = 1.0,
    ) -> None:
        self.volume = open_volume(source)
        self.path = None if out is None else Path(out)
        self.probabilities, self.overwrite = probabilities, overwrite
        self.result: Any = None
        check_arguments(self.volume, planes, self.path, resume)
        if self.path is not None:
            check_output(self.path, self.volume.ndim, overwrite)
        self.model = model if isinstance(model, Model) else Model.load(model)
        if self.path is not None and probabilities:
            check_probabilities(self.path, self.volume, self.model, overwrite)
        pixels, constants, found = prepare(self.volume, self.model, intensity)
        factor = scale_factor(scale, self.volume, self.model.card.get("pixel_nm") or 0.0)
        key = identity(self.model, pixels, found, (planes, probabilities))
        key["intensity"] = [constants.offset, constants.scale]
        if factor != 1:
            if planes != "xy":
                raise ValueError(f"planes is {planes} and scale {scale}; a scale goes with xy only")
            pixels = Scaled(pixels, factor)
            key["scale"] = factor
        path = self.path
        folder = None if path is None else path.with_name(path.name + ".partial")
        self.scratch = Scratch(folder, key, resume)
        names = PLANES[planes]
        maps = probabilities or len(names) > 1 or factor != 1
        try:
            self.run = Run(
                Planes(pixels, self.scratch), self.model, names, constants, threads, maps,
                self.volume.shape[1:],
            )  # fmt: skip
        except BaseException:
            leave(self.scratch)
            raise

    def steps(self) -> Generator[Block, None, None]:
        """Computes what is left and writes the result; yields once, after every block, and
        before every slice that is written.

        Ended early, it leaves what was computed for ``resume``.
        """
        run = self.run
        try:
            yield Block(next(iter(run.names)), 0, 0, run.finished, run.total)
            for plane, first, last in run.blocks():
                run.compute(plane, first, last)
                yield Block(plane, first, last, run.finished, run.total)
            sizes = (self.volume.pixel_nm, self.volume.spacing_nm)
            make: Any = ProbabilityPages if self.probabilities else label_writer
            writer = make(
                self.path, self.volume.shape, self.volume.ndim, sizes, self.model.class_entries,
                self.overwrite,
            )  # fmt: skip
            with closing(write(run, writer, self.probabilities)) as slices:
                for _ in slices:
                    yield Block(next(iter(run.names)), 0, 0, run.finished, run.total)
            self.result = writer.array if self.path is None else self.path
        except BaseException:
            leave(self.scratch)
            raise
        self.scratch.remove()

    def labels(self, block: Block) -> np.ndarray | None:
        """Labels of the slices of `block`, (n, y, x), if they are known before the end."""
        if self.run.maps or block.plane != "xy":
            return None
        return self.run.stores["xy"][block.first : block.last]


def check_probabilities(path: Path, volume: Volume, model: Model, overwrite: bool) -> None:
    """Raises ValueError or OSError if probabilities cannot be written to `path`."""
    if path.suffix.lower() == ".png":
        raise ValueError(f"{path} cannot hold probabilities; write them to .tif or .zarr")
    for file in ProbabilityPages.outputs(path, model.class_entries):
        check_output(file, volume.ndim, overwrite)


def segment(
    source: Any,
    model: Model | str | Path,
    out: str | Path | None = None,
    planes: str = "xy",
    probabilities: bool = False,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    intensity: Intensity | None = None,
    scale: float | str = 1.0,
) -> Any:
    """Segments an image or a stack.

    Parameters
    ----------
    source : array, str, path or Volume
        (y, x) or (z, y, x) pixels, or where they are: TIFF, PNG, .npy, zarr, folder of slices.
    model : Model, str or path
        A fine-tuned model, or its file.
    out : str or path, optional
        A .tif, .zarr or (for one image) .png to write; by default the result is returned.
    planes : {"xy", "xz", "yz", "ortho"}
        Which slices the network sees; "ortho" averages the probabilities of all three planes.
    probabilities : bool
        Write or return probabilities (float32, 0 to 1) and not labels.
    threads : int
        0 for all cores; the result does not depend on it.
    progress : callable, optional
        Called with the number of slices done and in all.
    resume : bool
        Go on with an earlier run to the same `out` that was stopped or killed.
    overwrite : bool
        Replace an existing result.
    intensity : Intensity, optional
        By default measured on the volume, or by the rule in the model's card.
    scale : float or "model"
        How many times as large the network sees the slices; "model" makes their pixels those of
        its training. The probabilities are scaled back, so the result has the source's shape.

    Returns
    -------
    path or array
        `out`; without it labels (the label values used in training; uint8, or uint16 if one is
        beyond 255) of the shape of the source, or probabilities (classes, ...).

    Raises
    ------
    ValueError
        If the source cannot be segmented: constant, not finite, not a grey image or stack.
    OSError
        If a file cannot be read or written, or exists.
    Cancelled
        If `model.cancel()` was called.
    """
    job = Segmentation(
        source, model, out, planes, probabilities, threads, resume, overwrite, intensity, scale
    )
    report = progress or (lambda done, total: None)
    for block in job.steps():
        report(block.done, block.total)
    return job.result


def leave(scratch: Scratch) -> None:
    """Leaves what was computed for --resume, or nothing if that is nothing."""
    kept = [key for key in scratch.done if not key.startswith("input")]
    if not kept or scratch.path is None:
        scratch.remove()
        return
    scratch.close()
    log.warning(
        "%d slices are kept in %s; go on with --resume, or delete it", len(kept), scratch.path
    )
