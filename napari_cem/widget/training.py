"""The worker that trains and predicts: one at a time, making few long calls without the GIL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_cem.live import Differs, Live, Predicted, Rounded, Stopped, Trained
from napari_cem.preview import View

OVER = object()  # what a worker tells last


class Training(QObject):
    """Runs a `Live` in napari's worker threads, and passes on what it tells.

    Signals
    -------
    ready : the model is there.
    reported, predicted, rounded, differs, stopped : emitted with events of `napari_cem.live`.
    failed : emitted with a line of text.
    busy : emitted with whether a worker runs.
    """

    ready = Signal()
    reported = Signal(object)
    predicted = Signal(object)
    rounded = Signal(object)
    differs = Signal(object)
    stopped = Signal(object)
    failed = Signal(str)
    busy = Signal(bool)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.live: Live | None = None
        self._make: Callable[[], Live] | None = None
        self._given: dict[int, np.ndarray] = {}
        self._waiting: list[Callable[[Live], None]] = []
        self._generation = 0
        self._worker: Any = None

    def begin(self, make: Callable[[], Live]) -> None:
        """Forgets what was and works with what `make` makes, in the worker."""
        self.end()
        self._make = make
        self._wake()

    def end(self) -> None:
        """Forgets everything; results that are still on their way are dropped."""
        self._generation += 1
        if self.live is not None:
            self.live.cancel()
        if self._worker is not None:
            self._worker.quit()
        self._worker = self.live = self._make = None
        self._waiting, self._given = [], {}
        self.busy.emit(False)

    @property
    def started(self) -> bool:
        """Whether there is a model, or one on its way."""
        return self.live is not None or self._make is not None

    @property
    def running(self) -> bool:
        """Whether a worker runs."""
        return self._worker is not None

    # ---- what is asked of it ----

    def annotate(self, z: int, labels: np.ndarray) -> None:
        """Gives the labels of a slice."""
        self._given[z] = labels
        self._tell(lambda live: live.annotate(z, labels), wake=False)

    def give(self, pages: dict[int, np.ndarray]) -> None:
        """Gives the labels of all slices; of those that are not among them there are none now."""
        gone = {z: np.zeros_like(page) for z, page in self._given.items() if z not in pages}
        for z, labels in (gone | pages).items():
            self.annotate(z, labels)

    def look(self, view: View | None) -> None:
        """Says what is on screen."""
        self._tell(lambda live: live.look(view))

    def train(self, seconds: float | None) -> None:
        """Starts a round, or prolongs the one that is on."""
        self._tell(lambda live: live.train(seconds))

    def stop(self) -> None:
        """Ends the round and keeps it."""
        self._tell(lambda live: live.stop())

    def revert(self) -> None:
        """Goes back to the model before the last round."""
        self._tell(lambda live: live.revert())

    def cancel(self) -> None:
        """Ends the round and forgets it; a model that is being made is given up."""
        if self.live is not None:
            self.live.cancel()
        elif self._make is not None:
            self.end()

    def _tell(self, call: Callable[[Live], None], wake: bool = True) -> None:
        if self.live is not None:
            call(self.live)
            if wake:
                self._wake()
        elif self._make is not None:
            self._waiting.append(call)

    # ---- the worker ----

    def _wake(self) -> None:
        from napari.qt.threading import create_worker

        if self._worker is not None or not (self._make or (self.live and self.live.has_work)):
            return
        self._worker = create_worker(
            work, self.live, self._make, self._generation, _start_thread=False
        )
        # A method of this object, and no lambda: it runs in the main thread whatever emits.
        self._worker.yielded.connect(self._pass_on)
        self._worker.start()
        self.busy.emit(True)

    def _pass_on(self, told: tuple[int, Any]) -> None:
        generation, event = told
        if generation != self._generation:
            return
        if isinstance(event, Live):
            self._begun(event)
        elif isinstance(event, BaseException):
            self._fail(event)
        elif event is OVER:
            self._finish()
        else:
            signals: dict[type, Any] = {
                Trained: self.reported, Predicted: self.predicted, Rounded: self.rounded,
                Differs: self.differs, Stopped: self.stopped,
            }  # fmt: skip
            signals[type(event)].emit(event)

    def _begun(self, live: Live) -> None:
        self.live, self._make = live, None
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call(live)
        self.ready.emit()

    def _fail(self, error: BaseException) -> None:
        self._make = None
        self.failed.emit(str(error) or type(error).__name__)

    def _finish(self) -> None:
        self._worker = None
        self._wake()
        if self._worker is None:
            self.busy.emit(False)


def work(
    live: Live | None, make: Callable[[], Live] | None, generation: int
) -> Iterator[tuple[int, Any]]:
    """Makes the model if need be, does what there is to do, and tells of failures and its end."""
    try:
        if live is None:
            assert make is not None
            live = make()
            yield generation, live
        for event in live.work():
            yield generation, event
    except Exception as error:
        yield generation, error
    yield generation, OVER


def summary(event: Rounded) -> str:
    """A round in a line."""
    text = f"trained {event.steps} steps in {event.seconds:.0f} s"
    if event.held_out_iou:
        scores = ", ".join(f"{name} {value:.2f}" for name, value in event.held_out_iou.items())
        text += f"; IoU on held-out strokes: {scores}"
    return text
