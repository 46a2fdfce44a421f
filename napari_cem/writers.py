"""Results on disk: TIFF, OME-Zarr or PNG, written page by page and renamed into place at the end.

Nothing appears under the final name before a result is whole, and nothing that exists is replaced
unless the caller says so.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import _core, ome_zarr

WRITABLE = (".tif", ".tiff", ".zarr", ".png")


def refuse_existing(path: Path, overwrite: bool = False) -> None:
    """Raises if `path` cannot become a new output: it exists, or there is no folder for it."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist; make it first")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name, or add --overwrite")


def check_output(path: Path, ndim: int, overwrite: bool = False) -> None:
    """Raises if results of `ndim` dimensions cannot be written to `path`."""
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise ValueError(f"{path} has no known ending; results end in {', '.join(WRITABLE)}")
    if suffix == ".png" and ndim != 2:
        raise ValueError(f"{path} cannot hold a stack; write it to .tif or .zarr")
    refuse_existing(path, overwrite)


def replace(made: Path, path: Path, overwrite: bool) -> None:
    """Renames `made`, a file or a folder, to `path`."""
    if not overwrite:
        refuse_existing(path)
        os.rename(made, path)
    elif path.is_dir():
        old = path.with_name(path.name + ".old")
        os.rename(path, old)
        os.rename(made, path)
        shutil.rmtree(old)
    else:
        os.replace(made, path)


class Writer:
    """One result: pages are appended, `finish` puts it into place, `close` drops what is not."""

    def write(self, page: np.ndarray) -> None:
        """Appends a (y, x) page of labels or of one class's probabilities."""
        raise NotImplementedError

    def finish(self) -> None:
        """Puts the result into place."""
        raise NotImplementedError

    def close(self) -> None:
        """Removes what was written so far, unless it was finished."""


class TiffPages(Writer):
    """A TIFF stack that ImageJ opens, through the core."""

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: Any,
        sizes: tuple[float, float],
        labels: int,
        overwrite: bool,
    ) -> None:
        pages, height, width = shape
        self.file = _core.TiffWriter(
            str(path), pages, height, width, np.dtype(dtype), *sizes, labels, overwrite
        )

    def write(self, page: np.ndarray) -> None:
        """Appends a (y, x) page."""
        self.file.write(np.ascontiguousarray(page))

    def finish(self) -> None:
        """Puts the file into place."""
        self.file.finish()

    def close(self) -> None:
        """Removes what was written so far, unless it was finished."""
        self.file.close()


class PngPage(Writer):
    """One PNG image of 8 or 16 bits."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path, self.overwrite = path, overwrite
        self.made = path.with_name(f".{path.name}.{os.getpid()}")

    def write(self, page: np.ndarray) -> None:
        """Writes the (y, x) page."""
        from PIL import Image

        Image.fromarray(np.ascontiguousarray(page)).save(self.made, format="PNG")

    def finish(self) -> None:
        """Puts the file into place."""
        replace(self.made, self.path, self.overwrite)

    def close(self) -> None:
        """Removes what was written, unless it was finished."""
        self.made.unlink(missing_ok=True)


class ZarrPages(Writer):
    """An OME-Zarr image; pages go to consecutive places of its first axes."""

    def __init__(
        self,
        path: Path,
        axes: str,
        shape: tuple[int, ...],
        dtype: Any,
        sizes: tuple[float, float],
        attributes: dict[str, Any],
        overwrite: bool,
    ) -> None:
        self.path, self.overwrite = path, overwrite
        self.made = path.with_name(f".{path.name}.{os.getpid()}")
        shutil.rmtree(self.made, ignore_errors=True)
        self.array = ome_zarr.create(self.made, axes, shape, dtype, *sizes, attributes)
        self.places = np.ndindex(*shape[:-2])

    def write(self, page: np.ndarray) -> None:
        """Appends a (y, x) page."""
        self.array[next(self.places)] = page

    def finish(self) -> None:
        """Puts the directory into place."""
        replace(self.made, self.path, self.overwrite)

    def close(self) -> None:
        """Removes what was written so far, unless it was finished."""
        shutil.rmtree(self.made, ignore_errors=True)


class ArrayPages(Writer):
    """A result that stays in memory: `array` is filled page by page."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.array = np.empty(shape, dtype)
        self.places = np.ndindex(*shape[:-2])

    def write(self, page: np.ndarray) -> None:
        """Copies a (y, x) page."""
        self.array[next(self.places)] = page

    def finish(self) -> None:
        """Nothing is left to do."""


def label_type(values: list[int]) -> np.dtype:
    """uint8 if the label values fit, else uint16."""
    return np.dtype("uint8" if max(values) <= 255 else "uint16")


def label_writer(
    path: Path | None,
    shape: tuple[int, int, int],
    ndim: int,
    sizes: tuple[float, float],
    classes: list[dict[str, Any]],
    overwrite: bool = False,
) -> Writer:
    """A writer for labels.

    Parameters
    ----------
    path : path or None
        Where to, by its ending; None keeps the result in memory.
    shape : tuple of int
        (z, y, x).
    ndim : int
        2 leaves out the first axis, where the format has axes.
    sizes : (float, float)
        Pixel size and distance of slices in nanometres, 0 if unknown.
    classes : list of dict
        As in a model's card.
    overwrite : bool
        Whether an existing result may be replaced.
    """
    values = [entry["value"] for entry in classes]
    dtype = label_type(values)
    if path is None:
        return ArrayPages(shape[3 - ndim :], dtype)
    if path.suffix.lower() == ".png":
        return PngPage(path, overwrite)
    if path.suffix.lower() == ".zarr":
        attributes = {"classes": classes}
        axes = "zyx"[3 - ndim :]
        return ZarrPages(path, axes, shape[3 - ndim :], dtype, sizes, attributes, overwrite)
    return TiffPages(path, shape, dtype, sizes, max(values), overwrite)


def object_writer(
    path: Path,
    shape: tuple[int, int, int],
    ndim: int,
    sizes: tuple[float, float],
    largest: int,
    overwrite: bool = False,
) -> Writer:
    """A writer for numbers of objects up to `largest`: uint16 if they fit, else uint32 (or uint64).

    The other parameters are those of `label_writer`.

    Raises
    ------
    ValueError
        If the format has no pixels for so large numbers.
    """
    suffix = path.suffix.lower()
    most = {".png": 2**16 - 1, ".zarr": 2**64 - 1}.get(suffix, 2**32 - 1)
    if largest > most:
        remedy = ".tif or .zarr" if largest < 2**32 else ".zarr"
        raise ValueError(
            f"{path} cannot hold {largest} objects, at most {most}; write them to {remedy}"
        )
    dtype = np.uint16 if largest < 2**16 else np.uint32 if largest < 2**32 else np.uint64
    if suffix == ".png":
        return PngPage(path, overwrite)
    if suffix == ".zarr":
        inner = shape[3 - ndim :]
        return ZarrPages(path, "zyx"[3 - ndim :], inner, dtype, sizes, {}, overwrite)
    return TiffPages(path, shape, dtype, sizes, min(largest, 2**31 - 1), overwrite)


def class_paths(path: Path, names: list[str]) -> list[Path]:
    """Files of the probabilities of several classes: the class's name is put before the ending."""
    safe = ["".join(c if c.isalnum() or c in "-_" else "_" for c in name) for name in names]
    if len(set(safe)) < len(safe):
        safe = [f"{k}_{name}" for k, name in enumerate(safe)]
    return [path.with_name(f"{path.stem}_{name}{path.suffix}") for name in safe]


class ProbabilityPages:
    """Probabilities of all classes of one slice at a time, to wherever they go.

    TIFF: one stack of the foreground if there are two classes, else one stack a class.
    OME-Zarr and memory: one array (classes, z, y, x).
    """

    def __init__(
        self,
        path: Path | None,
        shape: tuple[int, int, int],
        ndim: int,
        sizes: tuple[float, float],
        classes: list[dict[str, Any]],
        overwrite: bool = False,
    ) -> None:
        self.paths = self.outputs(path, classes)
        self.depth, self.z = shape[0], 0
        self.array: Any = None
        self.zarr: ZarrPages | None = None
        self.tiffs: list[TiffPages] = []
        whole = (len(classes), *shape[3 - ndim :])
        if path is None:
            self.array = np.empty(whole, np.float32)
        elif path.suffix.lower() == ".zarr":
            axes = "c" + "zyx"[3 - ndim :]
            attributes = {"classes": classes}
            self.zarr = ZarrPages(path, axes, whole, "float32", sizes, attributes, overwrite)
            self.array = self.zarr.array
        else:
            for file in self.paths:
                self.tiffs.append(TiffPages(file, shape, "float32", sizes, 0, overwrite))
        self.flat = ndim == 2

    @staticmethod
    def outputs(path: Path | None, classes: list[dict[str, Any]]) -> list[Path]:
        """The files or directories that will be written."""
        if path is None:
            return []
        if path.suffix.lower() == ".zarr" or len(classes) == 2:
            return [path]
        return class_paths(path, [entry["name"] for entry in classes])

    def write(self, slices: np.ndarray) -> None:
        """Appends one slice, (classes, y, x)."""
        if self.tiffs:
            chosen = slices[1:] if len(self.tiffs) == 1 else slices
            for file, page in zip(self.tiffs, chosen, strict=True):
                file.write(page)
        elif self.flat:
            self.array[:] = slices
        else:
            self.array[:, self.z] = slices
        self.z += 1

    def finish(self) -> None:
        """Puts the results into place."""
        if self.zarr:
            self.zarr.finish()
        for file in self.tiffs:
            file.finish()

    def close(self) -> None:
        """Removes what was written so far, unless it was finished."""
        if self.zarr:
            self.zarr.close()
        for file in self.tiffs:
            file.close()
