"""A model that learns while a stack is painted, and shows what it finds where one looks.

`Live.work` is a generator of events for one worker thread; everything else may be called from
another thread at any time.  There is no Qt in here: napari's widget and a test drive it alike.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cem import _core
from napari_cem.images import open_volume
from napari_cem.intensity import Measured, as_the_model, measure
from napari_cem.mismatch import mismatches
from napari_cem.model import Model
from napari_cem.preview import HALO, TILE, Pages, View, Window, window_of
from napari_cem.rounds import Round
from napari_cem.trainer import Trainer
from napari_cem.training import Report

NEIGHBOURS = (1, -1, 2, -2)
SLICES_KEPT = 4
FEATURE_BYTES = 1 << 30
PAGE_BYTES = 256 << 20


@dataclass(frozen=True)
class Trained:
    """A step was done; `left` seconds of the round remain, None if it has no end."""

    report: Report
    left: float | None


@dataclass(frozen=True)
class Predicted:
    """Pixels of a window have a new prediction, of weights `version`."""

    window: Window
    version: int


@dataclass(frozen=True)
class Rounded:
    """A round is complete and in the model: IoU of each class on so many held-out pixels."""

    steps: int
    seconds: float
    held_out_iou: dict[str, float] | None
    held_out: dict[str, int]


@dataclass(frozen=True)
class Differs:
    """The image is not like those that the model was trained on: a line for each thing."""

    lines: list[str]


@dataclass(frozen=True)
class Stopped:
    """A round was cancelled, or could not start; the model is what it was."""

    why: str


Event = Trained | Predicted | Rounded | Differs | Stopped


class Result:
    """A model as a complete round left it: never changed, to be copied in any thread.

    Attributes
    ----------
    card : dict
        The model's.
    """

    def __init__(self, model: Model) -> None:
        self.card = model.card
        self._model = model.copy()
        self._lock = threading.Lock()

    def copy(self) -> Model:
        """An independent copy."""
        with self._lock:
            return self._model.copy()


class Live:
    """A stack, a model, and a trainer that takes strokes as they come.

    Parameters
    ----------
    image : array, path or Volume
        (y, x) or (z, y, x) pixels.
    model : Model
        Where to start from; replaced by the result of every complete round.
    trained : bool
        Whether `model` can predict already.
    threads : int
        0 for all cores.
    seed : int
    feature_bytes : int
        Cap of the features kept for prediction, and again for training.
    page_bytes : int
        Cap of the predictions kept.

    Attributes
    ----------
    pages : Pages
        What was predicted.
    trained : bool
        Whether the weights shown come from any training.
    result : Result or None
        What the last complete round left; None before there is any.
    can_revert : bool
        Whether there is a round to take back.
    seconds_per_pixel : float or None
        What the last tile took that was predicted for the first time.
    """

    def __init__(
        self,
        image: Any,
        model: Model,
        trained: bool = False,
        threads: int = 0,
        seed: int = 0,
        feature_bytes: int = FEATURE_BYTES,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        self.volume = open_volume(image)
        self.model, self.trained = model, trained
        self.threads, self.feature_bytes = threads, feature_bytes
        self.pages = Pages(page_bytes)
        self.seconds_per_pixel: float | None = None
        self._shown = model.copy()
        self.result = Result(model) if trained else None
        self._before: Result | None = None
        self.can_revert = False
        self._version = 1
        self._trainer = Trainer(model, seed=seed, threads=threads, feature_bytes=feature_bytes)
        self._measured: Measured | None = None
        self._keys: dict[int, int] = {}
        self._names: dict[Window, int] = {}
        self._slices: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()
        self._strokes: dict[int, np.ndarray] = {}
        self._view: View | None = None
        self._round: Round | None = None
        self._cancelled = False
        self._revert = False
        self._compared = not trained

    # ---- what may be called from any thread ----

    def annotate(self, z: int, labels: np.ndarray) -> None:
        """Takes the labels of slice `z`, (y, x), as they are now; a round goes on with them."""
        with self._lock:
            self._strokes[z] = np.array(labels)
            if self._round is not None:
                self._round.extend()

    def look(self, view: View | None) -> None:
        """Says what is on screen; it is predicted next."""
        with self._lock:
            self._view = view

    def train(self, seconds: float | None) -> None:
        """Starts a round of so many seconds, None for one that ends with `stop` or `cancel`."""
        with self._lock:
            if self._round is None:
                self._round = Round(seconds)
            else:
                self._round.seconds = seconds
                self._round.extend()
            self._cancelled = False

    def stop(self) -> None:
        """Ends the round now and keeps its result."""
        with self._lock:
            if self._round is not None:
                self._round.seconds = 0.0

    def cancel(self) -> None:
        """Ends the round now and forgets it; returns at once."""
        with self._lock:
            self._cancelled = True
        self._trainer.cancel()
        self._shown.cancel()

    def revert(self) -> None:
        """Goes back to the model before the last round."""
        with self._lock:
            self._revert = True

    @property
    def has_work(self) -> bool:
        """Whether `work` has anything to do."""
        with self._lock:
            waiting = bool(self._strokes) or self._round is not None or self._revert
            waiting = waiting or not self._compared
        return waiting or self._next_tile() is not None

    @property
    def training(self) -> bool:
        """Whether a round is on."""
        return self._round is not None

    @property
    def intensity(self) -> Measured:
        """The stack's grey values, measured at the first call."""
        if self._measured is None:
            self._measured = measure(self.volume)
        return self._measured

    # ---- the worker ----

    def work(self) -> Iterator[Event]:
        """Does all there is to do and returns; every event follows at most one step or tile.

        An error ends the round, as `cancel` does, before it is raised.
        """
        while True:
            try:
                yield from self._take()
                yield from self._train()
                tile = self._next_tile()
                if tile is not None:
                    yield self._predict(*tile)
                elif not self.has_work:
                    return
            except _core.Cancelled:
                if self._cancelled:
                    yield self._give_up("cancelled")
            except Exception:
                self._view = None
                self._give_up("failed")
                raise

    def _take(self) -> Iterator[Event]:
        with self._lock:
            revert, self._revert = self._revert, False
            cancelled = self._cancelled and self._round is not None
        if not self._compared:
            self._compared = True
            lines = mismatches(self.volume, self.model.card, self.intensity)
            if lines:
                yield Differs(lines)
        self._take_strokes()
        if revert and self.can_revert:
            self._trainer.revert()
            self.result, self.can_revert = self._before, False
            self._show_result()
            yield Stopped("reverted")
        if cancelled:
            yield self._give_up("cancelled")

    def _take_strokes(self) -> None:
        while self._strokes:
            with self._lock:
                z = next(iter(self._strokes))
                labels = self._strokes.pop(z)
            known = self._keys.get(z)
            if known is not None or labels.any():
                self._keys[z] = self._trainer.add(self._slice(z), labels, known, self.intensity)

    def _train(self) -> Iterator[Event]:
        round = self._round
        if round is None:
            return
        if round.begun is None:
            try:
                self._trainer.check()
            except ValueError as error:
                yield self._give_up(str(error))
                return
            round.begin()
        start = time.monotonic()
        while self._round is round and not self._strokes:
            report = self._trainer.advance()
            round.steps += 1
            yield Trained(report, round.left)
            if round.over:
                yield self._finish(round, report)
                return
            if time.monotonic() - start >= round.pace:
                self._trainer.snapshot(self._shown)
                self._changed()
                round.looked = time.monotonic()
                return

    def _finish(self, round: Round, report: Report) -> Event:
        self._trainer.finish()
        self._publish()
        with self._lock:  # more may have been asked for meanwhile
            self._round = None if round.over else Round(round.seconds)
        return Rounded(round.steps, round.spent, self._trainer.held_out_iou,
                       self._trainer.held_out_pixels)  # fmt: skip

    def _give_up(self, why: str) -> Event:
        with self._lock:
            round, self._round, self._cancelled = self._round, None, False
            if round is None:
                self._view = None
        if round is not None and round.begun is not None:
            self._start_from_the_result()
        return Stopped(why)

    def _start_from_the_result(self) -> None:
        self._trainer.restart()
        self._show_result()

    def _publish(self) -> None:
        """The model as it is now is the result."""
        self._before, self.result, self.can_revert = self.result, Result(self.model), True
        self._show_result()

    def _show_result(self) -> None:
        """Predictions come from the model from now on; there are none if it was never trained."""
        if self.result is not None:
            self._shown.assign(self.model)
            self._changed()
        elif self.trained:
            self.trained = False
            self.pages.clear()

    def _changed(self) -> None:
        self.trained = True
        self._version += 1

    # ---- prediction ----

    def _windows(self) -> Iterator[tuple[Window, View]]:
        view = self._view
        if view is None or not self.trained:
            return
        yield window_of(view, self.volume.shape), view
        if self._round is not None:
            return
        for step in NEIGHBOURS:
            z = view.z + step
            if 0 <= z < self.volume.shape[0]:
                beside = View(z, view.rows, view.columns)
                yield window_of(beside, self.volume.shape), beside

    def _next_tile(self) -> tuple[Window, int] | None:
        """The tile to predict next: what is on screen, then the same of the slices beside it."""
        for window, view in self._windows():
            page = self.pages.find(window)
            for number in window.order(view):
                if page is None or page.versions.get(number) != self._version:
                    return window, number
        return None

    def _predict(self, window: Window, number: int) -> Event:
        version, page = self._version, self.pages.find(window)
        classes = len(self.model.classes)
        pixels, offset, scale = self._pixels(window)
        out = np.empty((1, classes, window.height, window.width), np.float32)
        start, anew = time.monotonic(), number not in (page.versions if page else ())
        self._shown.core.predict(
            out, pixels, offset, scale, tile=TILE, halo=HALO, first_tile=number, tiles=1,
            threads=self.threads, slice=self._names.setdefault(window, len(self._names)),
            feature_bytes=self.feature_bytes,
        )  # fmt: skip
        if anew:
            side = min(TILE, max(window.height, window.width))
            self.seconds_per_pixel = (time.monotonic() - start) / side**2
        y, x = window.tiling.core(number)
        page = self.pages.room(window, classes)
        page.probabilities[:, y, x] = np.rint(out[0][:, y, x] * 255)
        page.versions[number] = version
        if self._round is not None:
            self._round.look_took(time.monotonic())
        return Predicted(window, version)

    def _pixels(self, window: Window) -> tuple[np.ndarray, float, float]:
        volume, constants = as_the_model(self.volume, self._shown.card, self.intensity)
        page = volume.slice(window.z) if volume is not self.volume else self._slice(window.z)
        y, x = window.y, window.x
        part = page[None, y : y + window.height, x : x + window.width]
        return np.ascontiguousarray(part), constants.offset, constants.scale

    def _slice(self, z: int) -> np.ndarray:
        if z not in self._slices:
            while len(self._slices) >= SLICES_KEPT:
                self._slices.pop(next(iter(self._slices)))
            self._slices[z] = self.volume.slice(z)
        return self._slices[z]
