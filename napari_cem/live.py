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
from napari_cem.model import Model
from napari_cem.preview import HALO, TILE, Pages, View, Window, window_of
from napari_cem.trainer import Trainer
from napari_cem.training import Report

FIRST_LOOK, PACE = 1.0, 2.0  # seconds of training before a look; and times as long as a look
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
    """A round is complete and in the model."""

    steps: int
    seconds: float
    held_out_iou: dict[str, float] | None
    held_out: int


@dataclass(frozen=True)
class Stopped:
    """A round was cancelled, or could not start; the model is what it was."""

    why: str


Event = Trained | Predicted | Rounded | Stopped


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

    def abandon(self) -> None:
        """Forgets what is left to do, after a failure."""
        with self._lock:
            self._round = self._view = None
            self._strokes = {}

    def revert(self) -> None:
        """Goes back to the model before the last round."""
        with self._lock:
            self._revert = True

    @property
    def has_work(self) -> bool:
        """Whether `work` has anything to do."""
        with self._lock:
            waiting = bool(self._strokes) or self._round is not None or self._revert
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
        """Does all there is to do and returns; every event follows at most one step or tile."""
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

    def _take(self) -> Iterator[Event]:
        with self._lock:
            strokes, self._strokes = self._strokes, {}
            revert, self._revert = self._revert, False
            cancelled = self._cancelled and self._round is not None
        for z, labels in strokes.items():
            known = self._keys.get(z)
            if known is None and not labels.any():
                continue
            self._keys[z] = self._trainer.add(self._slice(z), labels, known, self.intensity)
        if revert:
            self._trainer.revert()
            self._show(self.model)
            yield Stopped("reverted")
        if cancelled:
            yield self._give_up("cancelled")

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
        self._show(self.model)
        with self._lock:
            self._round = None
        return Rounded(round.steps, round.spent, self._trainer.held_out_iou, report.held_out)

    def _give_up(self, why: str) -> Event:
        with self._lock:
            self._round = None
            self._cancelled = False
        if self.trained:
            self._show(self.model)
        return Stopped(why)

    def _show(self, model: Model) -> None:
        """Predictions come from `model` from now on."""
        self._shown.assign(model)
        self._changed()

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


class Round:
    """A round of training: how long it lasts, and when to look at what it has learned."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.begun: float | None = None
        self.steps = 0
        self.pace = FIRST_LOOK
        self.looked: float | None = None
        self._since = time.monotonic()

    def begin(self) -> None:
        """The first step comes now."""
        self.begun = self._since = time.monotonic()

    def extend(self) -> None:
        """The time begins anew: strokes came."""
        self._since = time.monotonic()

    def look_took(self, now: float) -> None:
        """A tile was predicted: the more time looking takes, the rarer it is."""
        if self.looked is not None:
            self.pace = max(FIRST_LOOK, PACE * (now - self.looked))

    @property
    def spent(self) -> float:
        """Seconds since the first step."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun

    @property
    def left(self) -> float | None:
        """Seconds that remain, None if there is no end."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - (time.monotonic() - self._since))

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.left == 0.0
