"""Classes: a name, a label value and a colour each; background first."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_cem.model import COLORS

Class = dict[str, Any]
BACKGROUND_BRUSH = "#0072b2"
MOST = 32


def new_classes() -> list[Class]:
    """Background and one class."""
    return with_value([{"name": "background", "value": 1, "color": COLORS[0]}], 2)


def values_of(classes: list[Class]) -> list[int]:
    """The label values."""
    return [entry["value"] for entry in classes]


def with_value(classes: list[Class], value: int, name: str | None = None) -> list[Class]:
    """The classes and one more."""
    color = COLORS[len(classes) % len(COLORS)]
    entry = {"name": name or f"class {value - 1}", "value": value, "color": color}
    return [*classes, entry]


def strangers(counts: dict[int, int], classes: list[Class]) -> list[int]:
    """Values that are painted but belong to no class."""
    return sorted({value for value, count in counts.items() if count} - set(values_of(classes)))


def only_known(page: np.ndarray, classes: list[Class]) -> np.ndarray:
    """Labels of a slice without those that belong to no class."""
    return np.where(np.isin(page, values_of(classes)), page, page.dtype.type(0))


def missing(counts: dict[int, int], classes: list[Class]) -> list[Class]:
    """Classes of which nothing is painted."""
    return [entry for entry in classes if not counts.get(entry["value"])]
