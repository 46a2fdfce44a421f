"""Objects: the connected parts of a segmentation, numbered, and their holes filled.

An array of objects holds 0 where there is none and a number of its own for each object.  All work
is linear in the voxels, however many objects there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np

from napari_cem.images import open_labels

CHUNK = 1 << 22
# What is not connected by corners lets the background through there, so objects and the holes in
# them are connected in two different ways.
COMPLEMENT = {6: 26, 18: 6, 26: 6}


def check_connectivity(connectivity: int) -> None:
    """ValueError unless `connectivity` is 6, 18 or 26."""
    if connectivity not in COMPLEMENT:
        raise ValueError(
            f"connectivity is {connectivity}; give 6 (faces), 18 (and edges) or 26 (and corners)"
        )


def check_objects(objects: Any, name: str = "objects") -> np.ndarray:
    """`objects` as an array, without a copy where it is one.

    Raises
    ------
    ValueError
        If it is no (y, x) or (z, y, x) array of whole numbers from 0 up.
    """
    array = np.asarray(objects)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} has values of type {array.dtype}; numbers of objects are whole")
    if array.ndim not in (2, 3) or not array.size:
        raise ValueError(
            f"{name} has shape {array.shape}; give one (y, x) image or one (z, y, x) stack"
        )
    if array.dtype.kind == "i" and array.min() < 0:
        raise ValueError(f"{name} has the number {array.min()}; objects are 1 and up, 0 is none")
    return array


def whole_labels(labels: Any) -> np.ndarray:
    """All labels of a source as one (y, x) or (z, y, x) array of integers."""
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu":
        return check_objects(labels, "labels")
    volume = open_labels(labels)
    inner = volume.volume.dtype
    made = np.empty(volume.shape, inner if inner.kind in "iu" else np.int32)
    for z in range(volume.shape[0]):
        made[z] = volume.slice(z)
    return check_objects(made if volume.ndim == 3 else made[0], volume.name)


def chunks(array: np.ndarray, least: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Flat, consecutive parts of a C-contiguous array, and where each starts."""
    flat, step = array.reshape(-1), max(CHUNK, least)
    for start in range(0, flat.size, step):
        yield start, flat[start : start + step]


def recoded(numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    """``table[numbers]`` without temporary arrays of that size."""
    made = np.empty(numbers.shape, table.dtype)
    target = made.reshape(-1)
    for start, part in chunks(np.ascontiguousarray(numbers)):
        target[start : start + part.size] = table[part]
    return made


def numbers_in(objects: np.ndarray) -> np.ndarray:
    """The numbers that occur, in order, 0 left out; they may be of any size."""
    flat = np.ascontiguousarray(objects)
    largest = int(flat.max())
    if largest <= 4 * flat.size:
        there = np.zeros(largest + 1, bool)
        for _, part in chunks(flat):
            there[part] = True
        there[0] = False
        return np.flatnonzero(there).astype(objects.dtype)
    found = np.unique(np.concatenate([np.unique(part) for _, part in chunks(flat)]))
    return found[found > 0]


def compacted(objects: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Objects with the sorted `numbers` as int32 or int64 places 1, 2, ... among them."""
    kind = np.int32 if numbers.size < 2**31 else np.int64
    if numbers.size and numbers[-1] <= 4 * objects.size:
        table = np.zeros(int(numbers[-1]) + 1, kind)
        table[numbers] = np.arange(1, numbers.size + 1)
        return recoded(objects, table)
    every = np.concatenate([np.zeros(1, objects.dtype), numbers])
    made = np.empty(objects.shape, kind)
    target = made.reshape(-1)
    for start, part in chunks(np.ascontiguousarray(objects)):
        target[start : start + part.size] = np.searchsorted(every, part)
    return made


def components(values: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    """Connected voxels of one value, 0 left out, numbered from 1; and how many there are."""
    import cc3d

    # Not bool: cc3d 4.1 labels some of those wrongly, where sides are odd.
    stack = np.ascontiguousarray(values, np.uint8 if values.dtype == bool else None)
    label: Any = cc3d.connected_components
    found, count = label(
        stack.reshape((1, *values.shape)[-3:]), connectivity=connectivity, return_N=True
    )
    return found.reshape(values.shape), int(count)


def selected(labels: np.ndarray, classes: Iterable[int] | None) -> np.ndarray:
    """`labels` with 0 wherever they are none of the classes."""
    if classes is None:
        return np.where(labels > 1, labels, labels.dtype.type(0))
    values = [int(value) for value in classes]
    for value in values:
        if value < 1:
            raise ValueError(f"classes has the value {value}; label values of classes are 1 and up")
    return np.where(np.isin(labels, values), labels, labels.dtype.type(0))


def survey(found: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The flat place of the first voxel of components 1 to `count`, and their numbers of voxels."""
    first, voxels = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for start, part in reversed(list(chunks(found, count))):
        places = np.flatnonzero(part)[::-1]
        numbers = part[places].astype(np.int64)
        first[numbers] = start + places  # of several, the last stays: the first voxel
        voxels += np.bincount(numbers, minlength=count + 1)
    return first[1:], voxels[1:]


def find_objects(
    labels: Any,
    classes: Iterable[int] | None = None,
    connectivity: int = 26,
    min_voxels: int = 0,
    fill: bool = False,
) -> tuple[np.ndarray, dict[int, int]]:
    """Finds the objects of a segmentation: the connected voxels of each class.

    Parameters
    ----------
    labels : array, path or Volume
        Integers of shape (y, x) or (z, y, x).
    classes : list of int, optional
        Label values whose objects are wanted; by default every value but 0 and 1 (background).
    connectivity : {6, 18, 26}
        Whether voxels that share a face are connected, or an edge also, or a corner also. In an
        image 6 means 4 neighbours, 18 and 26 mean 8.
    min_voxels : int
        Objects of fewer voxels, before holes are filled, are left out.
    fill : bool
        Whether to fill holes, as `fill_holes` does.

    Returns
    -------
    objects : array of uint32 (uint64 for more than 2**32 - 1 objects), shape of `labels`
        0, or the object's number, 1 and up in the order of the objects' first voxels.
    class_of : dict
        The label value of each object, by its number.

    Raises
    ------
    ValueError
        If the labels are no image or stack of whole numbers, or an option is out of range.
    """
    check_connectivity(connectivity)
    if min_voxels < 0:
        raise ValueError(f"min_voxels is {min_voxels}; give 0 or more")
    array = whole_labels(labels)
    found, count = components(selected(array, classes), connectivity)
    first, voxels = survey(found, count)
    order = np.argsort(first)
    kept = order[voxels[order] >= min_voxels]
    table = np.zeros(count + 1, np.uint32 if kept.size < 2**32 else np.uint64)
    table[kept + 1] = np.arange(1, kept.size + 1)
    objects = recoded(found, table)
    values = array[np.unravel_index(first[kept], array.shape)].tolist()
    if fill:
        objects = fill_holes(objects, connectivity)
    return objects, dict(enumerate(values, 1))


def neighbour_steps(shape: tuple[int, ...], connectivity: int) -> list[int]:
    """Distances in a flat C-contiguous array from a voxel to its neighbours."""
    most = {6: 1, 18: 2, 26: 3}[connectivity]
    strides = [int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape))]
    moves = product((-1, 0, 1), repeat=len(shape))
    return [
        sum(step * stride for step, stride in zip(move, strides, strict=True))
        for move in moves
        if 0 < sum(map(abs, move)) <= most
    ]


def closed_gaps(gaps: np.ndarray, count: int) -> np.ndarray:
    """Whether each of the components 0 to `count` is one, and nowhere at the border."""
    closed = np.ones(count + 1, bool)
    closed[0] = False
    for axis in range(gaps.ndim):
        for end in (0, -1):
            closed[np.take(gaps, end, axis)] = False
    return closed


def fill_holes(objects: Any, connectivity: int = 26) -> np.ndarray:
    """Fills holes: voxels that are 0 and enclosed by one object alone become that object.

    What touches two objects, or the border, is not a hole, and no object ever changes another. In
    a stack a hole is closed in all three directions: a tunnel is none.

    Parameters
    ----------
    objects : array of integers, shape (y, x) or (z, y, x)
        0 is no object. It is not changed.
    connectivity : {6, 18, 26}
        How the voxels of an object are connected; those of a hole are then in the
        complementary way (26 for 6, else 6), so that nothing leaks through corners.

    Returns
    -------
    array of the type and shape of `objects`

    Raises
    ------
    ValueError
        If the objects are no image or stack of whole numbers from 0 up.
    """
    check_connectivity(connectivity)
    filled = check_objects(objects).copy(order="C")
    across = COMPLEMENT[connectivity]
    gaps, count = components(filled == 0, across)
    closed = closed_gaps(gaps, count)
    flat = filled.reshape(-1)
    lowest = np.full(count + 1, np.iinfo(flat.dtype).max, flat.dtype)
    highest = np.zeros(count + 1, flat.dtype)
    for start, part in chunks(gaps):
        inside = np.flatnonzero(closed[part])
        for step in neighbour_steps(filled.shape, across) if inside.size else ():
            beside = flat[start + inside + step]
            solid = beside > 0
            gap = part[inside[solid]]
            np.minimum.at(lowest, gap, beside[solid])
            np.maximum.at(highest, gap, beside[solid])
    only = np.where(closed & (lowest == highest), highest, flat.dtype.type(0))
    for start, part in chunks(gaps):
        places = np.flatnonzero(only[part])
        flat[start + places] = only[part[places]]
    return filled
