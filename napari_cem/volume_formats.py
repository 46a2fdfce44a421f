"""Volumes in the formats of other programs: MRC, NRRD and NIfTI, by the libraries made for them.

The libraries are the optional extra ``formats``.  Files are read lazily where they are not
compressed.  What a library raises about a file's content becomes a ValueError that names the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem.images import ArrayVolume, Volume, pixel_type

NANOMETRES = {"nm": 1.0, "um": 1e3, "µm": 1e3, "micron": 1e3, "microns": 1e3, "mm": 1e6}
MRC_SUFFIXES = (".mrc", ".mrcs", ".rec", ".st", ".map")


def library(name: str, package: str, path: Path) -> Any:
    """An optional library; ValueError that says how to get it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(
            f"{path} needs the library {package}; install it with: pip install napari-cem[formats]"
        ) from error


class SignedBytes:
    """An array of signed bytes as unsigned ones, -128 becoming 0."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, np.dtype("uint8")

    def __getitem__(self, key: Any) -> np.ndarray:
        return (np.asarray(self.array[key]).view(np.uint8) ^ 0x80).astype(np.uint8)


def open_mrc(path: Path) -> Volume:
    """An MRC file, mapped into memory; signed bytes become unsigned, as IMOD does it."""
    mrcfile = library("mrcfile", "mrcfile", path)
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        file = mrcfile.mmap(path, mode="r", permissive=True)
        notes += [f"{path}: {warning.message}" for warning in caught]
    data = file.data
    if data is None:
        raise ValueError("; ".join(notes) or "it has no data")
    volume = ArrayVolume(SignedBytes(data) if data.dtype == np.int8 else data, str(path))
    volume.notes = tuple(notes)
    voxel = file.voxel_size
    volume.pixel_nm, volume.spacing_nm = plausible(float(voxel.x) / 10, float(voxel.z) / 10)
    return volume


def plausible(pixel: float, spacing: float) -> tuple[float, float]:
    """The two sizes, 0 for what is no size."""
    sizes = [size if np.isfinite(size) and size > 0 else 0.0 for size in (pixel, spacing)]
    return sizes[0], sizes[1]


def open_nrrd(path: Path) -> Volume:
    """A NRRD file with its data in it; mapped into memory unless it is compressed."""
    nrrd = library("nrrd", "pynrrd", path)
    with open(path, "rb") as file:
        header = nrrd.read_header(file)
        start = file.tell()
    if "data file" in header or "datafile" in header:
        raise ValueError("its data are in another file; save it as one")
    if header.get("encoding") == "raw":
        dtype = nrrd.reader._determine_datatype(header)
        sizes = tuple(int(size) for size in header["sizes"])
        array = np.memmap(path, dtype, "r", start, sizes[::-1])
    else:
        array = nrrd.read(str(path), index_order="C")[0]
    volume = ArrayVolume(array, str(path))
    steps = spacings(header)
    unit = NANOMETRES.get(str((header.get("space units") or header.get("units") or [""])[0]), 0.0)
    if len(steps) >= 2:
        volume.pixel_nm, volume.spacing_nm = plausible(steps[0] * unit, steps[-1] * unit)
    return volume


def spacings(header: dict[str, Any]) -> list[float]:
    """Distances of samples along the axes of a NRRD file, fastest first."""
    directions = header.get("space directions")
    if directions is not None:
        return [float(np.linalg.norm(direction)) for direction in np.asarray(directions)]
    return [float(step) for step in header.get("spacings", [])]


class Transposed:
    """A (x, y, z) array that is read by z, as (y, x)."""

    def __init__(self, array: Any, dtype: np.dtype) -> None:
        self.array, self.dtype = array, dtype
        self.shape = tuple(array.shape[:3][::-1])

    def __getitem__(self, z: Any) -> np.ndarray:
        page = np.asarray(self.array[(..., z, *(0,) * (len(self.array.shape) - 3))])
        return np.ascontiguousarray(page.T, self.dtype)


def open_nifti(path: Path) -> Volume:
    """A NIfTI file, read by its slices."""
    nibabel = library("nibabel", "nibabel", path)
    image = nibabel.load(path)
    shape = image.shape
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        raise ValueError(f"its shape is {shape}; give one (x, y, z) volume")
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0)
    dtype = np.dtype("float32") if scaled else pixel_type(image.get_data_dtype(), str(path))
    volume = ArrayVolume(Transposed(image.dataobj, dtype), str(path))
    unit = NANOMETRES.get({"micron": "um"}.get(units := image.header.get_xyzt_units()[0], units), 0)
    steps = [float(step) for step in image.header.get_zooms()[:3]]
    volume.pixel_nm, volume.spacing_nm = plausible(steps[0] * unit, steps[2] * unit)
    return volume


READERS: dict[str, Callable[[Path], Volume]] = {
    **dict.fromkeys(MRC_SUFFIXES, open_mrc),
    ".nrrd": open_nrrd,
    ".nii": open_nifti,
    ".nii.gz": open_nifti,
}


def reader_of(path: Path) -> Callable[[Path], Volume] | None:
    """What opens a file of this name, or None."""
    name = path.name.lower()
    return next((read for suffix, read in READERS.items() if name.endswith(suffix)), None)


class Guarded(Volume):
    """A Volume whose reader's own errors become a ValueError that names the file."""

    def __init__(self, path: Path, volume: Volume) -> None:
        super().__init__()
        self.path, self.volume = path, volume
        for name in ("shape", "ndim", "dtype", "integral", "name", "pixel_nm", "spacing_nm"):
            setattr(self, name, getattr(volume, name))
        self.notes = volume.notes

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of type `dtype`."""
        page: np.ndarray = guarded(self.path, lambda: self.volume.slice(z))
        return page


def guarded(path: Path, read: Callable[[], Any]) -> Any:
    """What `read` returns; what it raises about the file's content as a ValueError."""
    try:
        return read()
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        line = " ".join(str(error).split()) or type(error).__name__
        text = line if str(path) in line else f"{path} cannot be read: {line}"
        raise ValueError(text) from error


def open_file(path: Path) -> Volume:
    """The file at `path`, of a kind that `reader_of` knows.

    Raises
    ------
    ValueError
        If its content is not what it has to be, or its library is not installed.
    OSError
        If it cannot be read.
    """
    read = reader_of(path)
    if read is None:
        raise ValueError(f"{path} is of a kind that is not read here")
    return Guarded(path, guarded(path, lambda: read(path)))
