"""Comparing a segmentation with the truth: IoU and Dice, pooled and slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cem.images import LabelVolume, describe, open_labels


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class.

    Attributes
    ----------
    name : str
    iou, dice : float
        Over all counted pixels, 0 to 1; NaN if the class is in neither of the two.
    predicted, true : int
        Counted pixels of the class in the prediction and in the truth.
    slice_iou, slice_dice : list of float
        The same slice by slice.
    """

    name: str
    iou: float
    dice: float
    predicted: int
    true: int
    slice_iou: list[float]
    slice_dice: list[float]


@dataclass(frozen=True)
class Scores:
    """Scores of all classes.

    Attributes
    ----------
    classes : list of ClassScores
    counted : int
        Pixels that were compared.
    """

    classes: list[ClassScores]
    counted: int

    def __getitem__(self, name: str) -> ClassScores:
        """The scores of the class `name`."""
        for entry in self.classes:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"counted": self.counted, "classes": [vars(entry) for entry in self.classes]}


Mapping = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


def parse_classes(text: str) -> Mapping:
    """Reads "mitochondria=2:1, axon=3+4:255": name=values in the prediction:values in the truth.

    Raises
    ------
    ValueError
        If the text is not of that form.
    """
    found: Mapping = {}
    for part in text.split(","):
        name, equals, values = part.partition("=")
        predicted, colon, true = values.partition(":")
        try:
            if not (equals and colon and name.strip()):
                raise ValueError
            sides = [tuple(int(v) for v in side.split("+")) for side in (predicted, true)]
        except ValueError:
            raise ValueError(
                f"--classes has {part.strip()!r}; write NAME=PREDICTED:TRUE, as in "
                "mitochondria=2:1, with + between several values"
            ) from None
        found[name.strip()] = (sides[0], sides[1])
    return found


def full_mapping(classes: Any) -> Mapping:
    """`classes` of `evaluate` with tuples of values on both sides."""
    if isinstance(classes, str):
        return parse_classes(classes)
    made: Mapping = {}
    for name, sides in classes.items():
        both = sides if isinstance(sides, tuple | list) else (sides, sides)
        first, second = (
            tuple(side) if isinstance(side, tuple | list) else (int(side),) for side in both
        )
        made[str(name)] = (first, second)
    return made


def values_of(labels: LabelVolume) -> set[int]:
    """The label values that occur."""
    found: set[int] = set()
    for z in range(labels.shape[0]):
        found.update(np.unique(labels.slice(z)).tolist())
    return found


def same_values(prediction: LabelVolume, truth: LabelVolume) -> Mapping:
    """One class for every value of the truth but 0, if the prediction speaks the same language."""
    true, predicted = values_of(truth), values_of(prediction)
    if len(true) > 255:
        raise ValueError(f"{truth.name} has {len(true)} different values; these are not classes")
    unknown = predicted - true - {0}
    if unknown:
        raise ValueError(
            f"{prediction.name} has the values {listed(predicted)} and {truth.name} "
            f"{listed(true)}; say which belong together, as in --classes mitochondria=2:255"
        )
    return {str(value): ((value,), (value,)) for value in sorted(true - {0})}


def listed(values: set[int]) -> str:
    """The values in order, shortened."""
    ordered = sorted(values)
    text = ", ".join(map(str, ordered[:6]))
    return text + (", ..." if len(ordered) > 6 else "")


def ratio(numerator: float, denominator: float) -> float:
    """The quotient, NaN for 0 / 0."""
    return float(numerator / denominator) if denominator else float("nan")


def scores_of(name: str, counts: np.ndarray) -> ClassScores:
    """Scores from (slices, 3) counts of pixels in both, in the prediction, in the truth."""
    both, predicted, true = counts.T
    total = counts.sum(axis=0)
    return ClassScores(
        name,
        ratio(total[0], total[1] + total[2] - total[0]),
        ratio(2 * total[0], total[1] + total[2]),
        int(total[1]),
        int(total[2]),
        [ratio(b, p + t - b) for b, p, t in zip(both, predicted, true, strict=True)],
        [ratio(2 * b, p + t) for b, p, t in zip(both, predicted, true, strict=True)],
    )


def check_shape(one: LabelVolume, truth: LabelVolume) -> None:
    """ValueError if `one` has not the shape of the truth."""
    if one.shape != truth.shape:
        raise ValueError(
            f"{one.name} is {describe(one)} but {truth.name} is {describe(truth)}; "
            "give two of the same shape"
        )


def evaluate(prediction: Any, truth: Any, mask: Any = None, classes: Any = None) -> Scores:
    """Compares a segmentation with the truth.

    Parameters
    ----------
    prediction, truth : array, path or Volume
        Labels of one shape.
    mask : array, path or Volume, optional
        Only pixels where it is not 0 are counted.
    classes : dict or str, optional
        Which label values are which class: ``{"mitochondria": (2, 1)}`` or "mitochondria=2:1" is
        2 in the prediction and 1 in the truth; a side may be several values, ``(2, (1, 255))``
        or "mitochondria=2:1+255". By default every value of the truth but 0 is a class.

    Returns
    -------
    Scores

    Raises
    ------
    ValueError
        If the shapes differ, nothing is counted, or it is not clear which values belong together.
    """
    guess, true = open_labels(prediction, "prediction"), open_labels(truth, "truth")
    check_shape(guess, true)
    counted_where = None if mask is None else open_labels(mask, "mask")
    if counted_where is not None:
        check_shape(counted_where, true)
    mapping = same_values(guess, true) if classes is None else full_mapping(classes)
    if not mapping:
        raise ValueError(f"{true.name} has no class: every value is 0; name some with --classes")
    counts = np.zeros((len(mapping), true.shape[0], 3), np.int64)
    counted = 0
    for z in range(true.shape[0]):
        keep = None if counted_where is None else counted_where.slice(z) != 0
        pages = [page if keep is None else page[keep] for page in (guess.slice(z), true.slice(z))]
        counted += pages[0].size
        for entry, (here, there) in zip(counts, mapping.values(), strict=True):
            first, second = np.isin(pages[0], here), np.isin(pages[1], there)
            entry[z] = [(first & second).sum(), first.sum(), second.sum()]
    if not counted:
        raise ValueError(f"{counted_where and counted_where.name} is 0 everywhere: nothing counts")
    return Scores([scores_of(n, c) for n, c in zip(mapping, counts, strict=True)], counted)


def table(scores: Scores, per_slice: bool = True) -> str:
    """The scores as text."""

    def number(value: float) -> str:
        return "     -" if np.isnan(value) else f"{value:6.3f}"

    width = max(5, *(len(entry.name) for entry in scores.classes))
    lines = [f"{'class':{width}}     IoU    Dice    predicted         true"]
    for entry in scores.classes:
        lines.append(
            f"{entry.name:{width}}  {number(entry.iou)}  {number(entry.dice)}"
            f"  {entry.predicted:11d}  {entry.true:11d}"
        )
    depth = len(scores.classes[0].slice_iou)
    if not per_slice or depth == 1:
        return "\n".join(lines)
    titles = "  ".join(f"{entry.name[:14]:>14}" for entry in scores.classes)
    lines += ["", f"slice  {titles}   (IoU Dice)"]
    for z in range(depth):
        cells = "  ".join(
            f"{number(e.slice_iou[z])}  {number(e.slice_dice[z])}" for e in scores.classes
        )
        lines.append(f"{z:5d}  {cells}")
    return "\n".join(lines)
