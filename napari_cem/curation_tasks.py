"""The two tasks of curation, each of which can run anywhere that sees the same files.

First every band of every data set is cut into patches, which are hashed and scored.  Then every
data set is thinned and filtered, and what is kept is read again and written.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import hashing, informative
from napari_cem.curation_patches import (
    AXES,
    Band,
    Pixels,
    bands_of,
    examine,
    name_of,
)
from napari_cem.curation_sources import Source, axes_of, open_source
from napari_cem.curation_store import Archive, read_arrays, tiff_bytes, write_arrays
from napari_cem.images import Volume

SHOWN = 24
THUMBNAIL = 112


@dataclass(frozen=True)
class Settings:
    """What decides the result of curation; docs/curation.md explains each.

    Attributes
    ----------
    axes : {"auto", "xy", "all"}
    side : int
    max_distance : int
    anisotropy : float
    filter : str
        "builtin", "none", or the path of a filter.
    seed : int
    pixel_nm, spacing_nm : float
        0 for what the sources say.
    """

    axes: str = "auto"
    side: int = 224
    max_distance: int = hashing.DISTANCE
    anisotropy: float = 0.2
    filter: str = "builtin"
    seed: int = 0
    pixel_nm: float = 0.0
    spacing_nm: float = 0.0

    def check(self) -> None:
        """Raises ValueError for a setting out of its range."""
        if self.axes not in ("auto", "xy", "all"):
            raise ValueError(f"axes is {self.axes!r}; it must be auto, xy or all")
        if not 16 <= self.side <= 4096:
            raise ValueError(f"side is {self.side}; it must be 16 to 4096")
        if not 0 <= self.max_distance <= 64:
            raise ValueError(f"max_distance is {self.max_distance}; it must be 0 to 64")

    def judge(self) -> informative.Filter | None:
        """The filter, or None."""
        if self.filter == "none":
            return None
        return informative.load() if self.filter == "builtin" else informative.load(self.filter)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; of a filter's file its content counts."""
        fields = asdict(self)
        if self.filter not in ("none", "builtin"):
            fields["filter"] = Path(self.filter).read_text()
        return fields


def bands(volume: Volume, settings: Settings) -> list[Band]:
    """How a data set is gone through."""
    voxel = (settings.pixel_nm, settings.spacing_nm)
    axes = axes_of(volume, settings.axes, settings.anisotropy, voxel)
    return bands_of(volume.shape, axes, settings.side)


def band_file(work: Path, dataset: str, band: Band) -> Path:
    """Where the patches of a band are kept."""
    return work / f"{dataset}.band-{band.number:06}.npz"


def result_file(work: Path, dataset: str) -> Path:
    """Where the table of a data set is kept."""
    return work / f"{dataset}.result.npz"


def examine_band(
    source: Source, band: Band, settings: Settings, work: Path, threads: int
) -> np.ndarray:
    """Cuts a band, hashes and scores its patches, and keeps them in its file."""
    file = band_file(work, source.name, band)
    if file.exists():
        return read_arrays(file)["patches"]
    volume = open_source(source)
    try:
        patches = examine(volume, band, settings.side, settings.judge(), threads, work)
    finally:
        volume.close()
    write_arrays(file, patches=patches)
    return patches


def seed_of(settings: Settings, dataset: str) -> int:
    """The seed of a data set's order: its name decides, not what is curated beside it."""
    return settings.seed << 32 | zlib.crc32(dataset.encode())


@dataclass
class Result:
    """What became of a data set's patches.

    Attributes
    ----------
    patches : array of PATCH
    exemplar : array of int
        The number of each patch's exemplar, its own where it is one.
    kept : array of bool
    name : array of str
    sheets : dict of str to array
        Thumbnails for the report and what they are of.
    """

    patches: np.ndarray
    exemplar: np.ndarray
    kept: np.ndarray
    name: np.ndarray
    sheets: dict[str, np.ndarray]

    def save(self, file: Path) -> None:
        """Writes it."""
        write_arrays(
            file, patches=self.patches, exemplar=self.exemplar, kept=self.kept,
            name=self.name, **{f"sheet_{name}": sheet for name, sheet in self.sheets.items()},
        )  # fmt: skip

    @classmethod
    def load(cls, file: Path) -> Result:
        """Reads it."""
        found = read_arrays(file)
        sheets = {k.removeprefix("sheet_"): v for k, v in found.items() if k.startswith("sheet_")}
        return cls(**{k: v for k, v in found.items() if not k.startswith("sheet_")}, sheets=sheets)


def thin(patches: np.ndarray, settings: Settings, dataset: str, threads: int) -> Result:
    """Decides which patches are kept."""
    exemplar = hashing.exemplars(
        patches["hash"], settings.max_distance, seed_of(settings, dataset), threads
    )
    own = exemplar == np.arange(len(patches))
    kept = own & (patches["score"] > informative.LIMIT)
    return Result(patches, exemplar, kept, np.full(len(patches), "", "U1"), {})


def shown(result: Result) -> dict[str, np.ndarray]:
    """Numbers of the patches that the report shows, spread over the data set."""

    def some(numbers: np.ndarray) -> np.ndarray:
        places = np.linspace(0, len(numbers) - 1, min(len(numbers), SHOWN)).astype(int)
        chosen: np.ndarray = numbers[places]
        return chosen

    own = result.exemplar == np.arange(len(result.exemplar))
    return {
        "kept": some(np.flatnonzero(result.kept)),
        "duplicates": some(np.flatnonzero(~own)),
        "rejected": some(np.flatnonzero(own & ~result.kept)),
    }


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """A patch on a square of white."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    square = np.full((THUMBNAIL, THUMBNAIL), 255, np.uint8)
    small = np.asarray(image)
    square[: small.shape[0], : small.shape[1]] = small
    return square


def archive_file(work: Path, dataset: str) -> Path:
    """The kept patches of a data set."""
    return work / f"{dataset}.tar"


def finish_dataset(source: Source, settings: Settings, work: Path, threads: int) -> Result:
    """Thins and filters a data set whose bands are done, and writes what is kept."""
    file = result_file(work, source.name)
    if file.exists():
        return Result.load(file)
    volume = open_source(source)
    archive = Archive(archive_file(work, source.name))
    try:
        plan = bands(volume, settings)
        parts = [read_arrays(band_file(work, source.name, band))["patches"] for band in plan]
        result = thin(np.concatenate(parts), settings, source.name, threads)
        flat = volume.ndim == 2
        result.name = np.array(
            [name_of(source.name, p, volume.shape, flat) for p in result.patches]
        )
        write_kept(volume, plan, [len(part) for part in parts], result, archive, work)
        archive.finish()
    finally:
        archive.close()
        volume.close()
    result.save(file)
    return result


def write_kept(
    volume: Volume,
    plan: list[Band],
    counts: list[int],
    result: Result,
    archive: Archive,
    work: Path,
) -> None:
    """Reads what is kept or shown once more, and writes it."""
    numbers = shown(result)
    twins = result.exemplar[numbers["duplicates"]]
    wanted = result.kept.copy()
    for some in (*numbers.values(), twins):
        wanted[some] = True
    small: dict[int, np.ndarray] = {}
    show = set(np.concatenate([*numbers.values(), twins]).tolist())
    first = 0
    for band, count in zip(plan, counts, strict=True):
        here = first + np.flatnonzero(wanted[first : first + count])
        first += count
        if not len(here):
            continue
        pixels = Pixels(volume, band, work)
        try:
            for number in here.tolist():
                patch = result.patches[number : number + 1]
                cut = pixels.cut(patch, 1)
                if hashing.dhash(cut, 1)[0] != patch["hash"][0]:
                    raise ValueError(f"{volume.name} has changed since it was first read")
                if result.kept[number]:
                    archive.add(f"{result.name[number]}.tiff", tiff_bytes(cut[0]))
                if number in show:
                    small[number] = thumbnail(cut[0])
        finally:
            pixels.close()
    for name, some in {**numbers, "exemplars": twins}.items():
        squares = [small[number] for number in some.tolist()]
        empty = np.zeros((0, THUMBNAIL, THUMBNAIL), np.uint8)
        result.sheets[name] = np.stack(squares) if squares else empty
        result.sheets[f"{name}_numbers"] = some


def table_of(source: Source, result: Result) -> Any:
    """A data set's part of the manifest."""
    import pandas as pd

    p = result.patches
    return pd.DataFrame(
        {
            "name": result.name,
            "source": source.name,
            "path": str(source.content) if isinstance(source.content, Path) else "",
            "axis": np.array(AXES)[p["axis"]],
            "slice": p["slice"],
            "y": p["y"],
            "x": p["x"],
            "height": p["height"],
            "width": p["width"],
            "hash": [f"{value:016x}" for value in p["hash"].tolist()],
            "exemplar": result.name[result.exemplar],
            "score": np.round(p["score"].astype(np.float64), 6),
            "kept": result.kept,
        }
    )
