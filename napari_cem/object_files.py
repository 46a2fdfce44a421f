"""From a file of labels to a file of objects and a table of their measurements."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem.images import Volume, open_labels, open_volume
from napari_cem.labels import check_shapes
from napari_cem.objects import check_connectivity, find_objects
from napari_cem.writers import check_output, object_writer, refuse_existing, replace

log = logging.getLogger("napari_cem")


@dataclass(frozen=True)
class Wanted:
    """Options of the search for objects.

    Attributes
    ----------
    classes : dict, optional
        Names of the label values whose objects are wanted; None is every value but 0 and 1.
    connectivity, min_voxels, fill
        As in `find_objects`.
    pixel_nm, spacing_nm : float, optional
        Pixel size and distance of slices, if the files do not say or are wrong.
    """

    classes: dict[int, str] | None = None
    connectivity: int = 26
    min_voxels: int = 0
    fill: bool = False
    pixel_nm: float | None = None
    spacing_nm: float | None = None


def parse_class_options(texts: list[str]) -> dict[int, str] | None:
    """Reads ["mitochondria=2", "nuclei=3"]; None if there are none.

    Raises
    ------
    ValueError
        If one is not of that form, or a value or a name comes twice.
    """
    found: dict[int, str] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.rpartition("="))
        if not name or not value.isascii() or not value.isdigit() or int(value) < 1:
            raise ValueError(f"--class is {text!r}; write NAME=VALUE, as in mitochondria=2")
        if int(value) in found or name in found.values():
            raise ValueError(f"--class {text} names a value or a class again; name each once")
        found[int(value)] = name
    return found or None


def sizes_of(
    labels: Volume, image: Volume | None, pixel_nm: float | None, spacing_nm: float | None
) -> tuple[float, float]:
    """Pixel size and distance of slices in nanometres: as given, or of a file; 0 if unknown."""
    volumes = [volume for volume in (labels, image) if volume is not None]
    pixel = pixel_nm or next((v.pixel_nm for v in volumes if v.pixel_nm), 0.0)
    spacing = spacing_nm or next((v.spacing_nm for v in volumes if v.spacing_nm), 0.0)
    if spacing_nm and not pixel:
        raise ValueError(
            f"--spacing-nm is {spacing_nm:g} but the pixel size is not known; give --pixel-nm too"
        )
    return pixel, spacing


def spacing_and_unit(pixel: float, spacing: float, ndim: int) -> tuple[tuple[float, ...], str]:
    """What `measure_objects` needs; says what is assumed where a size is not known."""
    if not pixel:
        log.warning("the pixel size is not known: the table is in pixels; give --pixel-nm")
        return (1.0,) * ndim, "pixel"
    if ndim == 3 and not spacing:
        log.warning(
            "the distance of slices is not known: taken for the pixel size, %g nm; "
            "give --spacing-nm", pixel,
        )  # fmt: skip
    return (spacing or pixel, pixel, pixel)[3 - ndim :], "nm"


@dataclass(frozen=True)
class Results:
    """Where to the objects, and the table if there is one, go.

    Attributes
    ----------
    out : path
    table : path or None
    overwrite : bool
        Whether existing results may be replaced.
    """

    out: Path
    table: Path | None
    overwrite: bool

    def check(self, ndim: int) -> None:
        """Raises if objects of `ndim` dimensions or the table cannot be written there."""
        check_output(self.out, ndim, self.overwrite)
        if self.table is not None:
            if self.table.suffix.lower() != ".csv":
                raise ValueError(f"{self.table} has no known ending; tables end in .csv")
            refuse_existing(self.table, self.overwrite)

    def write(
        self, objects: np.ndarray, sizes: tuple[float, float], largest: int, measured: Any
    ) -> None:
        """Writes objects with numbers up to `largest`, and a table; both are whole or not there."""
        z, y, x = (1, *objects.shape)[-3:]
        writer = object_writer(self.out, (z, y, x), objects.ndim, sizes, largest, self.overwrite)
        kind = np.uint16 if largest < 2**16 else objects.dtype
        table = self.table or self.out
        made = table.with_name(f".{table.name}.{os.getpid()}.csv")
        try:
            for page in objects.reshape(z, y, x):
                writer.write(page.astype(kind))
            if measured is not None:
                measured.to_csv(made, index=False)
            writer.finish()
            if measured is not None:
                replace(made, table, self.overwrite)
        finally:
            writer.close()
            made.unlink(missing_ok=True)


def make_objects(
    labels: Path,
    out: Path,
    table: Path | None = None,
    image: Path | None = None,
    wanted: Wanted | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Finds the objects of a file of labels, and writes them and a table of them.

    Parameters
    ----------
    labels : path
        What `open_labels` reads.
    out : path
        .tif or .zarr, or .png for an image.
    table : path, optional
        A .csv file for the measurements.
    image : path, optional
        Grey values for the table.
    wanted : Wanted, optional
    overwrite : bool
        Whether existing results may be replaced.
    progress : callable, optional
        ``progress(done, total)``, objects measured.

    Returns
    -------
    dict
        How many objects there are of each class, by its name.

    Raises
    ------
    ValueError, OSError
        If an input cannot be read, an option is wrong, or a result exists or cannot be written.
    """
    wanted = wanted or Wanted()
    check_connectivity(wanted.connectivity)
    volume = open_labels(labels)
    grey = None if image is None else open_volume(image)
    results = Results(out, table, overwrite)
    results.check(volume.ndim)
    if grey is not None:
        if table is None:
            raise ValueError("--image is for the table's grey values; add --table TABLE.csv")
        check_shapes(grey, volume)
    sizes = sizes_of(volume, grey, wanted.pixel_nm, wanted.spacing_nm)
    objects, class_of = find_objects(
        volume, wanted.classes, wanted.connectivity, wanted.min_voxels, wanted.fill
    )
    names = wanted.classes or {value: f"class {value}" for value in sorted({*class_of.values()})}
    per_value = Counter(class_of.values())
    counts = {name: per_value[value] for value, name in names.items()}
    for name in [name for name in counts or ["any class"] if not counts.get(name)]:
        log.warning("%s holds no object of %s; --class NAME=VALUE names others", labels, name)
    measured = None
    if table is not None:
        from napari_cem.measurements import measure_objects

        spacing, unit = spacing_and_unit(*sizes, objects.ndim)
        measured = measure_objects(objects, spacing, unit, grey, class_of, names, progress)
    results.write(objects, sizes, len(class_of), measured)
    return counts
