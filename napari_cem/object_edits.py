"""Editing objects: delete, merge and split within a bounding box, with exact undo and redo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cem.measurements import check_spacing
from napari_cem.objects import check_objects, compacted, numbers_in

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Change:
    """What an edit, an undo or a redo changed.

    Attributes
    ----------
    box : tuple of slice
        Outside of it nothing changed.
    numbers : tuple of int
        The objects concerned: of a split, the one that was split and then the new ones; of a
        merge, the one that stayed and the one that went.
    """

    box: Box
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One edit in the history: the voxels of a box that changed, as bits, and what they were."""

    change: Change
    bits: np.ndarray
    before: np.ndarray
    after: np.ndarray
    boxes_before: dict[int, Box | None]
    boxes_after: dict[int, Box | None]


def boxes_of(objects: np.ndarray) -> dict[int, Box]:
    """The bounding box of every object."""
    from scipy.ndimage import find_objects

    numbers = numbers_in(objects)
    return dict(zip(numbers.tolist(), find_objects(compacted(objects, numbers)), strict=True))


def union(one: Box, other: Box) -> Box:
    """The smallest box around two."""
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )


def within(outer: Box, inner: Box) -> Box:
    """A box, given relative to the start of another, in the coordinates of that one."""
    return tuple(
        slice(a.start + b.start, a.start + b.stop) for a, b in zip(outer, inner, strict=True)
    )


def shortest(values: np.ndarray) -> np.ndarray:
    """One value in place of many equal ones."""
    return values[:1] if (values == values[:1]).all() else values


def seeded_parts(mask: np.ndarray, seeds: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Watershed of the depth inside a mask; parts 1, 2, ... by the seeds.

    Parameters
    ----------
    mask : array of bool, (y, x) or (z, y, x)
    seeds : array of int, (seeds, axes)
        Places inside the mask.
    spacing : tuple of float
        Distances of voxels along the axes.

    Returns
    -------
    array of int32, shape of `mask`
        0 outside of the mask and where no seed leads to.
    """
    from scipy.ndimage import distance_transform_edt
    from skimage.segmentation import watershed

    padded = np.pad(mask, 1)
    depth = distance_transform_edt(padded, sampling=spacing)
    markers = np.zeros(padded.shape, np.int32)
    markers[tuple((seeds + 1).T)] = np.arange(1, len(seeds) + 1)
    parts = watershed(-depth, markers, connectivity=mask.ndim, mask=padded)
    inner: np.ndarray = parts[(slice(1, -1),) * mask.ndim]
    return inner


class ObjectEdits:
    """Edits an array of objects in place.

    Every edit reads and writes the bounding box of the objects it is about, and can be undone. A
    number that was used once is not given to another object.

    Parameters
    ----------
    objects : array of integers, shape (y, x) or (z, y, x)
        0 is no object. It is changed in place.
    spacing : (z, y, x) or, for an image, (y, x), optional
        Distances of voxels; only their ratio matters, to split. 1 by default.
    class_of : dict, optional
        Label value of each object, as from `find_objects`; new objects are added to a copy of it,
        the attribute `class_of`.

    Raises
    ------
    ValueError
        If the objects are no array of whole numbers from 0 up that can be changed.
    """

    def __init__(
        self,
        objects: np.ndarray,
        spacing: Sequence[float] | None = None,
        class_of: dict[int, int] | None = None,
    ) -> None:
        if not isinstance(objects, np.ndarray) or not objects.flags.writeable:
            kind = "cannot be written to" if isinstance(objects, np.ndarray) else "is no array"
            raise ValueError(f"objects {kind}; give a NumPy array, as from numpy.array(objects)")
        self.objects = check_objects(objects)
        self.spacing = check_spacing(spacing, objects.ndim)
        self.class_of = dict(class_of or {})
        self.boxes: dict[int, Box] = {}
        self.highest = 0
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self.rescan()

    def rescan(self) -> None:
        """Looks for all objects again, and forgets the history: after changes from elsewhere."""
        self.boxes = boxes_of(self.objects)
        self.highest = max(self.highest, *self.boxes, *self.class_of, 0)
        self._done, self._undone = [], []

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone edit."""
        return bool(self._undone)

    def _box(self, number: int) -> Box:
        """The bounding box of an object; ValueError if it does not exist."""
        if number not in self.boxes:
            hint = "0 is no object" if number == 0 else "give the number of one that is there"
            raise ValueError(f"object {number} does not exist; {hint}")
        return self.boxes[number]

    def _apply(
        self,
        change: Change,
        where: np.ndarray,
        after: np.ndarray,
        boxes: dict[int, Box | None],
    ) -> Change:
        """Writes `after` to the voxels `where` of a box, and keeps what they were."""
        region = self.objects[change.box]
        old = {number: self.boxes.get(number) for number in boxes}
        before, after = shortest(region[where]), shortest(after)
        self._done.append(Step(change, np.packbits(where), before, after, old, boxes))
        self._undone.clear()
        region[where] = after
        self._set_boxes(boxes)
        return change

    def _set_boxes(self, boxes: dict[int, Box | None]) -> None:
        for number, box in boxes.items():
            if box is None:
                self.boxes.pop(number, None)
            else:
                self.boxes[number] = box

    def delete(self, number: int) -> Change:
        """Removes an object: its voxels become 0.

        Raises
        ------
        ValueError
            If it does not exist.
        """
        box = self._box(number)
        where = self.objects[box] == number
        return self._apply(
            Change(box, (number,)), where, np.zeros(1, self.objects.dtype), {number: None}
        )

    def merge(self, keep: int, other: int) -> Change:
        """Makes `other` a part of `keep`; they need not touch.

        Raises
        ------
        ValueError
            If one does not exist, or they are the same.
        """
        kept, box = self._box(keep), self._box(other)
        if keep == other:
            raise ValueError(f"object {keep} cannot be merged with itself; give two objects")
        where = self.objects[box] == other
        boxes: dict[int, Box | None] = {keep: union(kept, box), other: None}
        after = np.full(1, keep, self.objects.dtype)
        return self._apply(Change(box, (keep, other)), where, after, boxes)

    def split(self, number: int, points: Sequence[Sequence[float]]) -> Change:
        """Splits an object, by a watershed of the distance to its surface, one part for each point.

        The part of the first point, and what no point leads to, keeps the number; the others get
        new ones, above all that were ever there. All are of the object's class.

        Parameters
        ----------
        number : int
        points : two or more voxels, (z, y, x) or (y, x)
            Inside the object; rounded to whole voxels.

        Raises
        ------
        ValueError
            If the object does not exist, a point is not inside it, or there are not two different
            points, or no more numbers.
        """
        box = self._box(number)
        places = self._places(number, points)
        fresh = range(self.highest + 1, self.highest + len(places))
        most = int(np.iinfo(self.objects.dtype).max)
        if fresh[-1] > most:
            raise ValueError(
                f"there is no number above {self.highest} for new objects in "
                f"{self.objects.dtype}; use a larger type"
            )
        mask = self.objects[box] == number
        parts = seeded_parts(mask, places - [side.start for side in box], self.spacing)
        table = np.array([number, number, *fresh], self.objects.dtype)
        found = boxes_of(np.where(mask, table[parts], table.dtype.type(0)))
        boxes: dict[int, Box | None] = {name: within(box, b) for name, b in found.items()}
        where = parts > 1
        self.highest = fresh[-1]
        if number in self.class_of:
            self.class_of |= dict.fromkeys(fresh, self.class_of[number])
        return self._apply(Change(box, (number, *fresh)), where, table[parts[where]], boxes)

    def _places(self, number: int, points: Sequence[Sequence[float]]) -> np.ndarray:
        """The voxels of `points`, (points, axes), all inside an object."""
        ndim = self.objects.ndim
        places: list[tuple[int, ...]] = []
        for point in points:
            if len(point) != ndim or not np.isfinite(point).all():
                raise ValueError(f"point {tuple(point)} is no position in {ndim} dimensions")
            place = tuple(round(float(value)) for value in point)
            inside = all(0 <= p < s for p, s in zip(place, self.objects.shape, strict=True))
            if not inside or self.objects[place] != number:
                raise ValueError(
                    f"point {place} is not inside object {number}; put every point into it"
                )
            places.append(place)
        if len(places) < 2 or len(set(places)) < len(places):
            raise ValueError(
                f"object {number} is split by two or more points in different voxels; "
                f"there are {len(set(places))}"
            )
        return np.array(places)

    def undo(self) -> Change | None:
        """Takes the last edit back, exactly; None if there is none."""
        return self._move(self._done, self._undone, lambda s: (s.before, s.boxes_before))

    def redo(self) -> Change | None:
        """Makes the edit again that was undone last; None if there is none."""
        return self._move(self._undone, self._done, lambda s: (s.after, s.boxes_after))

    def _move(
        self,
        source: list[Step],
        target: list[Step],
        side: Callable[[Step], tuple[np.ndarray, dict[int, Box | None]]],
    ) -> Change | None:
        if not source:
            return None
        step = source.pop()
        values, boxes = side(step)
        region: Any = self.objects[step.change.box]
        where = np.unpackbits(step.bits, count=region.size).reshape(region.shape).astype(bool)
        region[where] = values
        self._set_boxes(boxes)
        target.append(step)
        return step.change
