"""Options, budgets and reports of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cem import _core

RECIPES = {"interactive": 0, "cem500k": 1}
OPTIMIZERS = {"adamw": 0, "sgd": 1}
SCHEDULES = {"constant": 0, "onecycle": 1, "poly": 2, "multistep": 3}
FREEZE = {"none": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4, "all": 5}
SECONDS = 60.0


@dataclass(frozen=True)
class Report:
    """How far a training is.

    Attributes
    ----------
    step : int
        Whole steps done.
    loss : float
        Of the last step.
    held_out_iou : dict of str to float, or None
        IoU of each class on the held-out strokes at the last evaluation, without the classes of
        which none is held out; None while nothing was measured.
    held_out : int
        Held-out annotated pixels; 0 if there are too few strokes to spare any.
    seconds : float
        Since the run began.
    steps_per_second : float
        Of this run.
    learning_rate : float
        Of the last step.
    """

    step: int
    loss: float
    held_out_iou: dict[str, float] | None
    held_out: int
    seconds: float
    steps_per_second: float
    learning_rate: float


@dataclass(frozen=True)
class Source:
    """A volume that was added: what the card says about it."""

    sha256: str
    shape: tuple[int, ...]
    dtype: str
    offset: float
    scale: float
    counts: dict[int, int]
    contrast: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """For the card."""
        return {
            "sha256": self.sha256,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "offset": self.offset,
            "scale": self.scale,
            "labels": {str(value): count for value, count in self.counts.items()},
        }


@dataclass(frozen=True)
class Budget:
    """When a run ends: after so many steps, so much time, or at a step."""

    steps: int | None = None
    seconds: float | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; it must be more than 0")

    def allows(self, done: int, step: int, seconds: float) -> bool:
        """Whether another step may be done; the first one always may."""
        return not done or (
            (self.steps is None or done < self.steps)
            and (self.until is None or step < self.until)
            and (self.seconds is None or seconds < self.seconds)
        )


def choice(name: str, value: Any, choices: dict[str, int]) -> int:
    """The core's number of a named choice; ValueError for another name."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
    return choices[value]


def core_options(options: dict[str, Any], recipe: int) -> dict[str, Any]:
    """Options with names for choices and sequences for arrays, as the core takes them."""
    named = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "freeze": FREEZE}
    known = _core.trainer_defaults(recipe)
    for name in options:
        if name not in known and name not in named:
            offered = ", ".join(sorted({*known, *named} - {"reserved", "recipe", "first_stage"}))
            raise ValueError(f"there is no option {name}; there are {offered}")
    made: dict[str, Any] = {}
    for name, value in options.items():
        if name in named and value is not None:
            number = choice(name, value, named[name])
            made["first_stage" if name == "freeze" else name] = number
        elif name == "class_weights" and value is not None:
            made[name] = np.ascontiguousarray(value, np.float64)
        elif name == "milestones" and value is not None:
            made[name] = np.ascontiguousarray(value, np.int64)
        elif value is not None:
            made[name] = value
    return made


def plain(value: Any) -> Any:
    """An option's value as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value
