"""What is curated: arguments become named data sets, each one volume or one image, in 8 bits."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import _core, volume_formats
from napari_cem.images import (
    SLICE_SUFFIXES,
    ArrayVolume,
    Volume,
    is_zarr,
    natural_order,
    open_volume,
)

MARK = "-LOC-"
NOT_IN_NAMES = re.compile(r"[^\w.+()-]+")

log = logging.getLogger("napari_cem")


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes
    ----------
    name : str
        Unique among the sources; patches are named after it.
    content : path or array
        What `open_source` opens.
    """

    name: str
    content: Any


def is_source(path: Path) -> bool:
    """Whether a file in a folder is looked at, by its name."""
    known = path.suffix.lower() in (*SLICE_SUFFIXES, ".npy") or volume_formats.reader_of(path)
    return bool(known) and not path.name.startswith(".")


def files_in(folder: Path) -> list[Path]:
    """The images and volumes in a folder and those below it, in natural order."""
    found: list[Path] = []
    ignored = 0
    for entry in sorted(folder.iterdir(), key=natural_order):
        if entry.is_dir():
            found += [entry] if is_zarr(entry) else files_in(entry)
        elif is_source(entry):
            found.append(entry)
        else:
            ignored += 1
    if ignored:
        log.info("%s: ignored %d files that are no images", folder, ignored)
    return found


def stem_of(path: Path) -> str:
    """A file's name without its ending, fit to be part of a file's name."""
    name = path.name
    for ending in (".ome.zarr", ".ome.tiff", ".ome.tif", ".nii.gz", path.suffix):
        if ending and name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    return NOT_IN_NAMES.sub("_", name).replace(MARK, "-loc-") or "image"


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Stems, with as many folders before them as it takes to tell them apart."""
    names = [stem_of(path) for path in paths]
    for depth in range(1, max((len(path.parts) for path in paths), default=0)):
        doubled = {name for name in names if names.count(name) > 1}
        if not doubled:
            break
        for i, path in enumerate(paths):
            if names[i] in doubled and len(path.parts) > depth:
                folder = NOT_IN_NAMES.sub("_", path.parts[-1 - depth]).replace(MARK, "-loc-")
                names[i] = f"{folder}-{names[i]}"
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            names[i] = f"{name}-{seen[name]}"
    return names


def find_sources(given: Any, stacks: bool = False) -> list[Source]:
    """The data sets in what `curate` was given.

    Parameters
    ----------
    given : path, array, or sequence of them
        A folder is looked through; every image and every volume in it is a data set.
    stacks : bool
        A folder is one stack of slices instead.

    Raises
    ------
    ValueError
        If there is nothing.
    OSError
        If a path does not exist.
    """
    if isinstance(given, str | os.PathLike) or hasattr(given, "shape") or isinstance(given, Volume):
        given = [given]
    paths: list[Path] = []
    arrays: list[Source] = []
    for item in given:
        if not isinstance(item, str | os.PathLike):
            arrays.append(Source(f"array{len(arrays)}" if arrays else "array", item))
            continue
        path = Path(item)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        whole = stacks or not path.is_dir() or is_zarr(path)
        paths += [path.resolve()] if whole else [p.resolve() for p in files_in(path)]
    paths = list(dict.fromkeys(paths))
    sources = [Source(n, p) for n, p in zip(unique_names(paths), paths, strict=True)] + arrays
    if not sources:
        raise ValueError(f"there is no image in {listed(given)}")
    return sources


def listed(given: Iterable[Any]) -> str:
    """The arguments in words."""
    return ", ".join(str(item) for item in given) or "an empty list"


def first_channel(path: Path) -> np.ndarray:
    """The first channel of a colour image."""
    from PIL import Image

    with Image.open(path, formats=("PNG", "TIFF")) as image:
        if image.mode not in ("RGB", "RGBA"):
            raise ValueError(f"{path} has mode {image.mode}")
        return np.ascontiguousarray(np.asarray(image)[..., 0])


def open_source(source: Source) -> Volume:
    """Opens a data set; of a colour image the first channel."""
    content = source.content
    try:
        return open_volume(content, source.name)
    except ValueError:
        if not isinstance(content, Path) or content.suffix.lower() not in SLICE_SUFFIXES:
            raise
        try:
            return ArrayVolume(first_channel(content), str(content))
        except Exception:
            pass
        raise


def eight_bit(pages: np.ndarray, volume: Volume) -> np.ndarray:
    """Pixels of `volume` in 8 bits, by the rule for images or that for volumes."""
    out = np.empty(pages.shape, np.uint8)
    _core.eight_bit(out, pages, _core.IMAGE if volume.ndim == 2 else _core.VOLUME)
    return out


def axes_of(volume: Volume, wanted: str, anisotropy: float, voxel: tuple[float, float]) -> int:
    """Across how many axes `volume` is cut: 1 (z) or 3.

    Parameters
    ----------
    wanted : {"auto", "xy", "all"}
        "auto" is all if voxels are known to be nearly as long as wide.
    anisotropy : float
        The limit of |pixel - spacing| / pixel.
    voxel : tuple of float
        Pixel and spacing in nanometres, 0 for what the source says.
    """
    if volume.ndim == 2 or wanted == "xy":
        return 1
    if wanted == "all":
        return 3
    pixel, spacing = voxel[0] or volume.pixel_nm, voxel[1] or volume.spacing_nm
    if not pixel or not spacing:
        log.info(
            "%s does not say how long its voxels are: only xy sections are taken (--axes all, or "
            "--pixel-nm and --spacing-nm, for all three)", volume.name,
        )  # fmt: skip
        return 1
    return _core.patches_axes(spacing, pixel, anisotropy)
