"""Measurements of objects: one row of a table for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_cem.images import describe, open_volume
from napari_cem.objects import check_objects, compacted, numbers_in

if TYPE_CHECKING:
    import pandas

UNITS = ("nm", "pixel")
PROPERTIES = (
    "num_pixels", "area", "centroid", "bbox", "equivalent_diameter_area", "extent",
    "axis_major_length", "axis_minor_length",
)  # fmt: skip

SLAB = 1 << 20

Progress = Callable[[int, int], None]


def check_spacing(spacing: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    """Distances of voxels along each axis, 1 if not given; of three, an image takes the last two.

    Raises
    ------
    ValueError
        If there are not as many as axes, or one is not above 0.
    """
    if spacing is None:
        return (1.0,) * ndim
    sizes = tuple(float(size) for size in spacing)
    if ndim == 2 and len(sizes) == 3:
        sizes = sizes[1:]
    if len(sizes) != ndim or not all(math.isfinite(size) and size > 0 for size in sizes):
        axes = ", ".join("zyx"[3 - ndim :])
        raise ValueError(f"spacing is {spacing}; give a size above 0 for each of the axes {axes}")
    return sizes


def grey_means(places: np.ndarray, count: int, image: Any) -> np.ndarray:
    """Mean of an image's pixels at the places 1 to `count`, float64; read slice by slice."""
    volume = open_volume(image)
    shape = (1, *places.shape)[-3:]
    if volume.shape != shape:
        sizes = " x ".join(map(str, places.shape))
        raise ValueError(
            f"{volume.name} is {describe(volume)} but the objects are {sizes}; "
            "give the image that they were found in"
        )
    sums, voxels = np.zeros(count + 1), np.zeros(count + 1, np.int64)
    for z, page in enumerate(places.reshape(shape)):
        inside = page > 0
        np.add.at(sums, page[inside], volume.slice(z)[inside].astype(np.float64))
        np.add.at(voxels, page[inside], 1)
    return sums[1:] / voxels[1:]


def mesh_of(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Corners of the triangles of marching cubes, (triangles, 3 corners, zyx), float64."""
    from skimage.measure import marching_cubes

    if mask.all() or not mask.any():
        return np.empty((0, 3, 3))
    points, faces, _, _ = marching_cubes(mask, 0.5, spacing=spacing)
    corners: np.ndarray = points.astype(np.float64)[faces]
    return corners


def surface_of(
    mask: np.ndarray, spacing: tuple[float, ...], most: int = SLAB
) -> tuple[float, float]:
    """Area and enclosed volume of the surface that marching cubes puts around a (z, y, x) mask.

    Slabs of about `most` voxels are meshed one after the other, to save memory: the cubes between
    two slices belong to one slab, and area and signed volume are sums over triangles.
    """
    padded = np.pad(mask, 1)
    depth, area, volume = max(1, most // padded[0].size), 0.0, 0.0
    for z in range(0, padded.shape[0] - 1, depth):
        a, b, c = mesh_of(padded[z : z + depth + 1], spacing).transpose(1, 0, 2)
        area += float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2
        up = (z * spacing[0], 0.0, 0.0)
        volume += float(((a + up) * np.cross(b + up, c + up)).sum()) / 6
    return area, abs(volume)


def surfaces(
    places: np.ndarray,
    boxes: list[tuple[slice, ...]],
    spacing: tuple[float, ...],
    progress: Progress | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Surface area and sphericity of the objects at places 1, 2, ..., each within its box."""
    made, often = np.empty((2, len(boxes))), max(1, len(boxes) // 100)
    for k, box in enumerate(boxes):
        area, volume = surface_of(places[box] == k + 1, spacing)
        made[:, k] = area, math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area
        if progress and ((k + 1) % often == 0 or k + 1 == len(boxes)):
            progress(k + 1, len(boxes))
    return made[0], made[1]


def class_columns(
    numbers: np.ndarray, class_of: dict[int, int], class_names: dict[int, str] | None
) -> dict[str, list[Any]]:
    """The label value of each object and the name of its class."""
    names = class_names or {}
    missing = [number for number in numbers.tolist() if number not in class_of]
    if missing:
        raise ValueError(f"object {missing[0]} is not in class_of; give the class of every object")
    values = [int(class_of[number]) for number in numbers.tolist()]
    return {"class": [names.get(value, f"class {value}") for value in values], "label": values}


def large(numbers: np.ndarray) -> bool:
    """Whether one of the sorted numbers does not fit into int64."""
    return bool(numbers.size) and int(numbers[-1]) >= 2**63


def geometry(places: np.ndarray, spacing: tuple[float, ...], unit: str) -> dict[str, np.ndarray]:
    """Columns of size, place and shape for the objects at places 1, 2, ..."""
    from skimage.measure import regionprops_table

    ndim = places.ndim
    axes = "zyx"[3 - ndim :]
    found = regionprops_table(places, spacing=spacing, properties=PROPERTIES)
    size = f"volume_{unit}3" if ndim == 3 else f"area_{unit}2"
    columns = {"voxels": found["num_pixels"], size: found["area"]}
    for k, axis in enumerate(axes):
        columns[f"centroid_{axis}_{unit}"] = found[f"centroid-{k}"]
    for k, axis in enumerate(axes):
        columns[f"{axis}_start"] = found[f"bbox-{k}"]
        columns[f"{axis}_stop"] = found[f"bbox-{k + ndim}"]
    columns[f"equivalent_diameter_{unit}"] = found["equivalent_diameter_area"]
    columns["extent"] = found["extent"]
    columns[f"major_axis_{unit}"] = found["axis_major_length"]
    columns[f"minor_axis_{unit}"] = found["axis_minor_length"]
    return columns


def measure_objects(
    objects: Any,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    image: Any = None,
    class_of: dict[int, int] | None = None,
    class_names: dict[int, str] | None = None,
    progress: Progress | None = None,
) -> pandas.DataFrame:
    """Measures objects.

    Parameters
    ----------
    objects : array of integers, shape (y, x) or (z, y, x)
        0 is no object; the numbers may have gaps and be of any size.
    spacing : (z, y, x) or, for an image, (y, x), optional
        Distances of voxels, in `unit`; 1 by default.
    unit : {"nm", "pixel"}, optional
        Ends the names of columns; by default "nm" if a spacing is given, else "pixel".
    image : array, path or Volume, optional
        Grey values, of the shape of `objects`, for the column mean_grey.
    class_of : dict, optional
        Label value of each object, as from `find_objects`, for the columns class and label.
    class_names : dict, optional
        Names of the label values.
    progress : callable, optional
        ``progress(done, total)``, about a hundred times while surfaces are measured.

    Returns
    -------
    pandas.DataFrame
        A row for each object, in the order of their numbers. With "nm", of a stack: object, class,
        label, voxels, volume_nm3, centroid_z_nm, ... (the centre of the first voxel is 0), z_start,
        z_stop, ... (bounding box, in voxels, `stop` not included), equivalent_diameter_nm (of the
        ball of that volume), extent (part of the bounding box that is filled), major_axis_nm and
        minor_axis_nm (longest and shortest axis of the ellipsoid with the same moments),
        surface_area_nm2 (of the triangles of marching cubes, which follow the voxels: exact
        for flat faces along the axes, about a tenth too much for what is curved), sphericity (1
        for a ball, of those triangles: about 0.9 for a ball of voxels), mean_grey. An image has
        area_nm2 in place of the volume, and no surface.

    Raises
    ------
    ValueError
        If the spacing, the unit or the shapes do not fit, or an object is not in `class_of`.
    """
    import pandas

    array = check_objects(objects)
    sizes = check_spacing(spacing, array.ndim)
    unit = unit or ("pixel" if spacing is None else "nm")
    if unit not in UNITS:
        raise ValueError(f"unit is {unit!r}; give one of {', '.join(UNITS)}")
    numbers = numbers_in(array)
    places = compacted(array, numbers)
    columns: dict[str, Any] = {"object": numbers.astype(np.uint64 if large(numbers) else np.int64)}
    if class_of is not None:
        columns |= class_columns(numbers, class_of, class_names)
    columns |= geometry(places, sizes, unit)
    if array.ndim == 3:
        bounds = np.stack([columns[f"{a}_{end}"] for end in ("start", "stop") for a in "zyx"], 1)
        boxes = [tuple(map(slice, row[:3], row[3:])) for row in bounds.tolist()]
        area, sphericity = surfaces(places, boxes, sizes, progress)
        columns |= {f"surface_area_{unit}2": area, "sphericity": sphericity}
    if image is not None:
        columns["mean_grey"] = grey_means(places, numbers.size, image)
    return pandas.DataFrame(columns)


def remeasure_objects(
    table: pandas.DataFrame,
    objects: np.ndarray,
    boxes: dict[int, tuple[slice, ...]],
    numbers: Sequence[int],
    spacing: Sequence[float] | None = None,
    image: Any = None,
    class_of: dict[int, int] | None = None,
    class_names: dict[int, str] | None = None,
) -> pandas.DataFrame:
    """The table after some objects were changed, made or deleted; only those are measured.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measure_objects`, with the same spacing, image and class names.
    objects : array of integers
        As it is now.
    boxes : dict
        Bounding boxes of the objects there are, such as `ObjectEdits.boxes`.
    numbers : sequence of int
        The objects to look at again.
    """
    import pandas

    rows = [table[~table["object"].isin(numbers)]]
    for number in sorted(number for number in numbers if number in boxes):
        box = boxes[number]
        part = np.where(objects[box] == number, objects[box], 0)
        row = measure_objects(
            part, spacing, image=None if image is None else np.asarray(image[box]),
            class_of=class_of, class_names=class_names,
        )  # fmt: skip
        rows.append(moved(row, box, check_spacing(spacing, objects.ndim)))
    return pandas.concat(rows).sort_values("object", ignore_index=True)


def moved(
    row: pandas.DataFrame, box: tuple[slice, ...], spacing: tuple[float, ...]
) -> pandas.DataFrame:
    """Rows of what was measured within `box`, in the coordinates of the whole."""
    axes = "zyx"[3 - len(box) :]
    for axis, side, size in zip(axes, box, spacing, strict=True):
        for name in row.columns:
            if name.startswith(f"centroid_{axis}_"):
                row[name] += side.start * size
        row[f"{axis}_start"] += side.start
        row[f"{axis}_stop"] += side.start
    return row
