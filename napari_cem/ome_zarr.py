"""OME-Zarr: the array and pixel size of an image that is read, and new images (version 0.5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NANOMETRES = {"angstrom": 0.1, "nanometer": 1.0, "micrometer": 1e3, "millimeter": 1e6}
CHUNK = 1024


def read(path: Path) -> tuple[Any, float, float]:
    """The array at `path`, its pixel size and its distance of slices in nanometres (0: not said).

    Parameters
    ----------
    path : path
        A zarr array, or a group with an OME-Zarr image, of which the full resolution is taken.

    Raises
    ------
    ValueError
        If there is neither.
    """
    import zarr

    try:
        node = zarr.open(str(path), mode="r")
    except Exception as error:  # zarr has no common class for what a damaged store raises
        raise ValueError(f"{path} is not a zarr array or image: {error}") from error
    if isinstance(node, zarr.Array):
        return node, 0.0, 0.0
    try:
        attributes: Any = node.attrs.asdict()
        image = attributes.get("ome", attributes)["multiscales"][0]
        level = image["datasets"][0]
        return node[level["path"]], *sizes_of(image, level)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is a zarr group without an OME-Zarr image; give the path of an array inside it"
        ) from error


def sizes_of(image: dict[str, Any], level: dict[str, Any]) -> tuple[float, float]:
    """Pixel size and distance of slices in nanometres; 0 where the metadata does not say."""
    steps = level.get("coordinateTransformations", [])
    scale: list[float] = next((s["scale"] for s in steps if s.get("type") == "scale"), [])
    sizes = {
        axis["name"]: size * NANOMETRES.get(axis.get("unit", ""), 0.0)
        for axis, size in zip(image.get("axes", []), scale, strict=False)
    }
    return sizes.get("x", 0.0), sizes.get("z", 0.0)


def create(
    path: Path,
    axes: str,
    shape: tuple[int, ...],
    dtype: Any,
    pixel_nm: float = 0.0,
    spacing_nm: float = 0.0,
    attributes: dict[str, Any] | None = None,
) -> Any:
    """A new OME-Zarr image at `path`; returns its array, to be filled.

    Parameters
    ----------
    path : path
        A directory that does not exist.
    axes : str
        One letter an axis, from "czyx".
    shape : tuple of int
        Sizes of the axes.
    dtype : dtype
        Pixel type.
    pixel_nm, spacing_nm : float
        Pixel size and distance of slices in nanometres; 0 if unknown, which writes no unit.
    attributes : dict, optional
        Further attributes of the group.
    """
    import zarr

    group = zarr.open_group(str(path), mode="w-", zarr_format=3)
    sizes = {"x": pixel_nm, "y": pixel_nm, "z": spacing_nm or pixel_nm}
    described: list[dict[str, str]] = []
    for axis in axes:
        entry = {"name": axis, "type": "channel" if axis == "c" else "space"}
        if sizes.get(axis):
            entry["unit"] = "nanometer"
        described.append(entry)
    scale = [float(sizes.get(axis) or 1.0) for axis in axes]
    level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    image: dict[str, Any] = {
        "name": path.name.split(".")[0],
        "axes": described,
        "datasets": [level],
    }
    group.attrs.update({"ome": {"version": "0.5", "multiscales": [image]}, **(attributes or {})})
    small = {"c": 1, "z": 1}
    return group.create_array(
        "0",
        shape=shape,
        dtype=np.dtype(dtype),
        chunks=tuple(
            small.get(axis, min(CHUNK, size)) for axis, size in zip(axes, shape, strict=True)
        ),
        dimension_names=list(axes),
    )
