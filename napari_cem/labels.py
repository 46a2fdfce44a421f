"""Annotations: pairs of images and labels, what they hold, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_cem.images import LabelVolume, Volume, describe, is_zarr, listing

READ_SUFFIXES = (".tif", ".tiff", ".png", ".npy", ".zarr")
BACKGROUND = 1
LARGEST = 65535
MOST_CLASSES = 255
PAINT = "paint background (1) and at least one class (2, 3, ...)"


@dataclass
class Survey:
    """What is annotated.

    Attributes
    ----------
    counts : dict of int to int
        Pixels of each label value, 0 (not annotated) left out unless every pixel counts.
    slices : list of int
        Slices with at least one annotated pixel.
    """

    counts: dict[int, int] = field(default_factory=dict)
    slices: list[int] = field(default_factory=list)


def files_by_stem(folder: Path) -> dict[str, Path]:
    """Images of `folder` by their names without ending."""
    found: dict[str, Path] = {}
    for path in listing(folder, lambda path: path.suffix.lower() in READ_SUFFIXES):
        if path.stem in found:
            raise ValueError(f"{found[path.stem]} and {path} have the same name; keep one of them")
        found[path.stem] = path
    return found


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder of files and not one image."""
    return path.is_dir() and not is_zarr(path)


def pair(image: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Images and their labels.

    Parameters
    ----------
    image, labels : path
        Two images or stacks, or two folders whose files belong together by their names without
        ending.

    Raises
    ------
    ValueError
        If a file of one folder has no partner in the other.
    """
    for path in (image, labels):
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
    if not (is_folder(image) and is_folder(labels)):
        return [(image, labels)]
    images, partners = files_by_stem(image), files_by_stem(labels)
    for stem, path in images.items():
        if stem not in partners:
            raise ValueError(f"{path} has no labels: {labels} holds no image named {stem}")
    for stem, path in partners.items():
        if stem not in images:
            raise ValueError(f"{path} has no image: {image} holds no image named {stem}")
    if not images:
        raise ValueError(f"{image} holds no images: put TIFF, PNG, .npy or .zarr files there")
    return [(path, partners[stem]) for stem, path in images.items()]


def check_shapes(image: Volume, labels: Volume) -> None:
    """ValueError if `labels` cannot be the labels of `image` because of their shape."""
    if image.shape == labels.shape:
        return
    if image.shape[0] == 1 and labels.shape[0] > 1:
        raise ValueError(
            f"{labels.name} has {labels.shape[0]} slices but {image.name} is one image; "
            "give the labels of that image"
        )
    raise ValueError(
        f"{labels.name} is {describe(labels)} but {image.name} is {describe(image)}; "
        "labels have the shape of their image"
    )


def looks_like_labels(image: Volume) -> bool:
    """Whether an image has so few values that it must be labels."""
    values: set[float] = set()
    for z in image.sample(4):
        values.update(np.unique(image.slice(z)).tolist())
        if len(values) > 3:
            return False
    return True


def check_page(page: np.ndarray, z: int, name: str) -> None:
    """ValueError if labels are beyond what labels can be."""
    low, high = int(page.min()), int(page.max())
    if low < 0 or high > LARGEST:
        value = low if low < 0 else high
        raise ValueError(f"{name} has the label {value} in slice {z}; labels are 0 to {LARGEST}")


def survey(labels: LabelVolume, dense: bool = False) -> Survey:
    """Counts the annotated pixels of a volume of labels, in one pass.

    Parameters
    ----------
    labels : LabelVolume
    dense : bool
        Whether every pixel counts and 0 is a class.

    Raises
    ------
    ValueError
        If a value is out of range, or there are so many values that these cannot be labels.
    """
    found = Survey()
    for z in range(labels.shape[0]):
        page = labels.slice(z)
        check_page(page, z, labels.name)
        counts = np.bincount(page.ravel())
        if not dense:
            counts[0] = 0
        values = np.flatnonzero(counts)
        if not len(values):
            continue
        found.slices.append(z)
        for value in values:
            found.counts[int(value)] = found.counts.get(int(value), 0) + int(counts[value])
        if len(found.counts) > 64 and counts.max() < page.size // 2:
            raise ValueError(
                f"{labels.name} looks like an image, with {len(found.counts)} different values; "
                "give the image first and then its labels"
            )
    return found


def check_pair(image: Volume, labels: LabelVolume, dense: bool = False) -> Survey:
    """Checks that `labels` are labels of `image`, and surveys them.

    Raises
    ------
    ValueError
        If the shapes differ, or the two look swapped, or a label is out of range.
    """
    check_shapes(image, labels)
    found = survey(labels, dense)
    if looks_like_labels(image):
        raise ValueError(
            f"{image.name} has at most 3 different values and looks like labels; "
            "give the image first and then its labels"
        )
    return found


def merge(several: list[dict[int, int]]) -> dict[int, int]:
    """Annotated pixels of each value over several volumes."""
    counts: dict[int, int] = {}
    for one in several:
        for value, count in one.items():
            counts[value] = counts.get(value, 0) + count
    return dict(sorted(counts.items()))


def check_values(counts: dict[int, int], name: str, dense: bool = False) -> None:
    """ValueError if there is nothing to learn from the annotated values.

    Parameters
    ----------
    counts : dict
        Annotated pixels of each value.
    name : str
        Of the labels, for the message.
    dense : bool
        Whether every pixel counts.
    """
    if not counts:
        raise ValueError(f"{name} has no annotated pixel: every value is 0; {PAINT}")
    if len(counts) == 1:
        value = next(iter(counts))
        if dense:
            raise ValueError(f"every pixel of {name} is {value}; there is nothing to tell apart")
        if value == BACKGROUND:
            raise ValueError(f"{name} has only background (1); paint at least one class (2) too")
        raise ValueError(f"{name} has only the value {value}; paint background (1) too")
    if not dense and BACKGROUND not in counts:
        values = ", ".join(map(str, counts))
        raise ValueError(f"{name} has the values {values}; paint background (1) too")
    if len(counts) > MOST_CLASSES:
        raise ValueError(f"{name} has {len(counts)} different values; at most {MOST_CLASSES}")


def check_classes(counts: dict[int, int], values: list[int], name: str) -> None:
    """ValueError if a label value is none of the model's."""
    for value in counts:
        if value not in values:
            known = ", ".join(map(str, values))
            raise ValueError(
                f"{name} has the label {value}, which is none of the classes' values {known}; "
                "correct the labels, or name the classes with their values"
            )
