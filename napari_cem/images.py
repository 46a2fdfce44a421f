"""Images and stacks, opened lazily: every source becomes a Volume that is read slice by slice.

A source is an array (anything with ``shape``, ``dtype`` and slicing), a TIFF or PNG file, a
``.npy`` file, a zarr directory, or a folder that holds one slice per file.  Axes are (z, y, x) for
a stack and (y, x) for one image; nothing is guessed from sizes.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import _core, ome_zarr

PIXELS = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")
SLICE_SUFFIXES = (".tif", ".tiff", ".png")
READABLE = "TIFF, PNG, .npy, .zarr, MRC, NRRD, NIfTI, or a folder of TIFF or PNG slices"

log = logging.getLogger("napari_cem")


class Volume:
    """An image or a stack that is read one slice at a time.

    Attributes
    ----------
    shape : tuple of int
        (z, y, x); a 2D image has z = 1.
    ndim : int
        2 for one image, 3 for a stack.
    dtype : numpy.dtype
        Type of the pixels that `slice` returns, one of uint8, uint16, uint32, int8, int16, int32,
        float32, float64, in native byte order.
    pixel_nm, spacing_nm : float
        Side of a pixel and distance of slices in nanometres; 0 if the source does not say.
    integral : bool
        Whether the source holds whole numbers.
    name : str
        What to call the source in messages.
    notes : tuple of str
        What its reader warned of.
    """

    shape: tuple[int, int, int]
    ndim: int
    dtype: np.dtype
    integral: bool = True
    name: str
    pixel_nm: float = 0.0
    spacing_nm: float = 0.0
    notes: tuple[str, ...] = ()

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of type `dtype`."""
        raise NotImplementedError

    def sample(self, count: int = 64) -> list[int]:
        """At most `count` slice numbers, evenly spaced from the first to the last."""
        return _core.sample(self.shape[0], count)

    def close(self) -> None:
        """Closes files that are held open."""


def pixel_type(dtype: Any, name: str) -> np.dtype:
    """The type in which pixels of `dtype` are handed on; ValueError if there is none.

    bool becomes uint8, float16 float32, and 64-bit integers float64.
    """
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.dtype("uint8")
    if dtype == np.float16:
        return np.dtype("float32")
    if dtype.kind in "iu" and dtype.itemsize == 8:
        return np.dtype("float64")
    native: np.dtype = dtype.newbyteorder("=")
    if native.name not in PIXELS:
        raise ValueError(f"{name} has pixels of type {dtype}; use one of {', '.join(PIXELS)}")
    return native


class ArrayVolume(Volume):
    """A Volume over anything with ``shape``, ``dtype`` and slicing: NumPy, memmap, zarr, dask."""

    def __init__(self, array: Any, name: str = "image") -> None:
        shape = tuple(int(size) for size in array.shape)
        if len(shape) not in (2, 3):
            raise ValueError(
                f"{name} has shape {shape}; give one (y, x) image or one (z, y, x) stack"
            )
        if 0 in shape:
            raise ValueError(f"{name} is empty: its shape is {shape}")
        self.array = array
        self.name = name
        self.ndim = len(shape)
        z, y, x = (1, *shape)[-3:]
        self.shape = (z, y, x)
        self.dtype = pixel_type(array.dtype, name)
        self.integral = np.dtype(array.dtype).kind in "biu"

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of type `dtype`."""
        if not 0 <= z < self.shape[0]:
            raise ValueError(f"slice {z} of {self.name} does not exist: it has {self.shape[0]}")
        page = self.array if self.ndim == 2 else self.array[z]
        if hasattr(page, "compute"):
            page = page.compute()
        elif self.ndim == 2 and not isinstance(page, np.ndarray):
            page = page[...]
        return np.ascontiguousarray(np.asarray(page), dtype=self.dtype)


class TiffVolume(Volume):
    """A TIFF file, read page by page."""

    def __init__(self, path: Path) -> None:
        self.tiff = _core.Tiff(str(path))
        self.name = str(path)
        self.shape = (self.tiff.pages, self.tiff.height, self.tiff.width)
        self.ndim = 2 if self.tiff.pages == 1 else 3
        self.dtype = np.dtype(self.tiff.dtype)
        self.integral = self.dtype.kind in "iu"
        self.pixel_nm = self.tiff.pixel_nm
        self.spacing_nm = self.tiff.spacing_nm

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of type `dtype`."""
        page = np.empty(self.shape[1:], self.dtype)
        self.tiff.read(z, page)
        return page

    def close(self) -> None:
        """Closes the file."""
        self.tiff.close()


class FolderVolume(Volume):
    """A folder with one TIFF or PNG file per slice, in natural order of their names."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.files = slice_files(path)
        if not self.files:
            raise ValueError(f"{path} holds no slices: put one TIFF or PNG file per slice there")
        first = self._open(0)
        self.shape = (len(self.files), *first.shape[1:])
        self.ndim = 3
        self.dtype = first.dtype
        self.integral = first.integral
        self.pixel_nm = first.pixel_nm
        first.close()

    def _open(self, z: int) -> Volume:
        volume = open_volume(self.files[z])
        if volume.shape[0] != 1:
            pages = volume.shape[0]
            volume.close()
            raise ValueError(
                f"{self.files[z]} has {pages} pages; a folder of slices has one page per file"
            )
        return volume

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of type `dtype`."""
        volume = self._open(z)
        try:
            if (volume.shape[1:], volume.dtype) != (self.shape[1:], self.dtype):
                raise ValueError(
                    f"{self.files[z]} is {describe(volume)}, but the first slice of the folder is "
                    f"{describe(self)}; the slices of a stack have one size and type"
                )
            return volume.slice(0)
        finally:
            volume.close()


def describe(volume: Volume) -> str:
    """Shape and type in words, "64 x 250 x 250 uint8"."""
    if isinstance(volume, LabelVolume):
        return describe(volume.volume)
    return f"{' x '.join(str(size) for size in volume.shape[3 - volume.ndim :])} {volume.dtype}"


def natural_order(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key by which slice_2 comes before slice_10; no two names of a folder are equal to it."""
    parts = re.split(r"(\d+)", path.name.lower())
    numbers = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
    return numbers, path.name


def slice_files(folder: Path) -> list[Path]:
    """The TIFF and PNG files of `folder` in natural order."""
    return listing(folder, lambda path: path.suffix.lower() in SLICE_SUFFIXES and path.is_file())


def listing(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """The entries of `folder` that are `wanted`, in natural order; the log counts the others."""
    entries = list(folder.iterdir())
    found = [entry for entry in entries if wanted(entry) and entry.name[0] != "."]
    if len(found) < len(entries):
        log.info(
            "%s: %d of %d entries are images; the others are ignored",
            folder, len(found), len(entries),
        )  # fmt: skip
    return sorted(found, key=natural_order)


def grey_of(image: Any, name: str) -> np.ndarray:
    """Pixels of a Pillow image as one grey channel; ValueError for colour and palettes."""
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode in ("L", "I;16", "I;16B", "I;16L", "F"):
        pixels = np.asarray(image)
        return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    if image.mode == "I":
        pixels = np.asarray(image)
        return pixels.astype(np.uint16) if 0 <= pixels.min() and pixels.max() < 65536 else pixels
    if image.mode == "LA":
        return np.ascontiguousarray(np.asarray(image)[..., 0])
    if image.mode in ("RGB", "RGBA"):
        pixels = np.asarray(image)
        if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
            return np.ascontiguousarray(pixels[..., 0])
        raise ValueError(f"{name} is a colour image; convert it to one grey channel")
    kind = "has a colour palette" if image.mode in ("P", "PA") else f"has mode {image.mode}"
    raise ValueError(f"{name} {kind}; convert it to one grey channel of 8 or 16 bits")


def open_png(path: Path) -> Volume:
    """A PNG file as an image."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG",)) as image:
                return ArrayVolume(grey_of(image, str(path)), str(path))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large for PNG here; save it as TIFF") from error
    except (OSError, SyntaxError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} is not a whole PNG file: {error}; save it again") from error


def open_npy(path: Path) -> Volume:
    """A .npy file, mapped into memory."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is not an array that can be read: {error}") from error
    return ArrayVolume(array, str(path))


def open_zarr(path: Path) -> Volume:
    """A zarr array, or the full resolution of an OME-Zarr image."""
    array, pixel_nm, spacing_nm = ome_zarr.read(path)
    leading = array.shape[:-3]
    if any(size != 1 for size in leading):
        raise ValueError(
            f"{path} has shape {array.shape}; give one (z, y, x) stack, without times or channels"
        )
    volume = ArrayVolume(LeadingAxes(array) if leading else array, str(path))
    volume.pixel_nm, volume.spacing_nm = pixel_nm, spacing_nm
    return volume


class LeadingAxes:
    """An array of which the axes before the last three, all of size 1, are left out."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = array.shape[-3:]
        self.dtype = array.dtype
        self.first = (0,) * (len(array.shape) - 3)

    def __getitem__(self, z: int) -> Any:
        return self.array[(*self.first, z)]


def is_zarr(path: Path) -> bool:
    """Whether the directory `path` is a zarr array or group."""
    marks: Iterable[str] = ("zarr.json", ".zarray", ".zgroup")
    return path.suffix.lower() == ".zarr" or any((path / mark).exists() for mark in marks)


def open_path(path: Path) -> Volume:
    """What is at `path` as a Volume."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        return open_zarr(path) if is_zarr(path) else FolderVolume(path)
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return TiffVolume(path)
    if suffix == ".png":
        return open_png(path)
    if suffix == ".npy":
        return open_npy(path)
    from napari_cem import volume_formats

    if volume_formats.reader_of(path):
        return volume_formats.open_file(path)
    raise ValueError(f"{path} is of a kind that is not read here; give {READABLE}")


def open_volume(source: Any, name: str = "image") -> Volume:
    """Opens an image or a stack.

    Parameters
    ----------
    source : str, path, array or Volume
        A path to TIFF, PNG, .npy, zarr or a folder of slices, or an array of shape (y, x) or
        (z, y, x).
    name : str
        What to call an array in messages.

    Returns
    -------
    Volume
        Read lazily, a slice at a time.

    Raises
    ------
    ValueError
        If it is not one grey image or stack of a supported pixel type.
    OSError
        If a file is missing or cannot be read.
    """
    if isinstance(source, Volume):
        return source
    if isinstance(source, str | Path):
        return open_path(Path(source))
    if not hasattr(source, "shape") or not hasattr(source, "dtype"):
        source = np.asarray(source)
    return ArrayVolume(source, name)


class LabelVolume(Volume):
    """Labels: a Volume of int32."""

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self.shape, self.ndim, self.name = volume.shape, volume.ndim, volume.name
        self.pixel_nm, self.spacing_nm = volume.pixel_nm, volume.spacing_nm
        self.dtype = np.dtype("int32")

    def slice(self, z: int) -> np.ndarray:
        """Slice `z` as a C-contiguous (y, x) array of int32."""
        page = self.volume.slice(z)
        if page.dtype in (np.uint32, np.float64):
            for value in (page.min(), page.max()):
                if not -(2**31) <= int(value) < 2**31:
                    raise ValueError(
                        f"{self.name} has the label {int(value)}; labels are 0 to 65535"
                    )
        return page.astype(np.int32)

    def close(self) -> None:
        """Closes files that are held open."""
        self.volume.close()


def open_labels(source: Any, name: str = "labels") -> LabelVolume:
    """Opens labels: as `open_volume`, but the pixels must be integers; slices are int32.

    Raises
    ------
    ValueError
        If the pixels are not integers, besides what `open_volume` refuses.
    """
    if isinstance(source, LabelVolume):
        return source
    volume = open_volume(source, name)
    if not volume.integral:
        kind = volume.dtype
        raise ValueError(f"{volume.name} has pixels of type {kind}; labels are whole numbers")
    return LabelVolume(volume)
