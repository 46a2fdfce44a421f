"""The worker that trains and predicts: one at a time, making few long calls without the GIL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_cem.live import Live, Predicted, Rounded, Stopped, Trained
from napari_cem.preview import View


class Training(QObject):
    """Runs a `Live` in napari's worker threads, and passes on what it tells.

    Signals
    -------
    ready : the model is there.
    reported, predicted, rounded, stopped : emitted with events of `napari_cem.live`.
    failed : emitted with a line of text.
    busy : emitted with whether a worker runs.
    """

    ready = Signal()
    reported = Signal(object)
    predicted = Signal(object)
    rounded = Signal(object)
    stopped = Signal(object)
    failed = Signal(str)
    busy = Signal(bool)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.live: Live | None = None
        self._make: Callable[[], Live] | None = None
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
        self._waiting = []
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
        self._tell(lambda live: live.annotate(z, labels), wake=False)

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
        generation = self._generation
        self._worker = create_worker(work, self.live, self._make, _start_thread=False)
        self._worker.yielded.connect(lambda event: self._pass_on(event, generation))
        self._worker.errored.connect(lambda error: self._fail(error, generation))
        self._worker.finished.connect(lambda: self._finish(generation))
        self._worker.start()
        self.busy.emit(True)

    def _pass_on(self, event: Any, generation: int) -> None:
        if generation != self._generation:
            return
        if isinstance(event, Live):
            self.live, self._make = event, None
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call(event)
            self.ready.emit()
        signals = {
            Trained: self.reported, Predicted: self.predicted, Rounded: self.rounded,
            Stopped: self.stopped,
        }  # fmt: skip
        if type(event) in signals:
            signals[type(event)].emit(event)

    def _fail(self, error: BaseException, generation: int) -> None:
        if generation != self._generation:
            return
        if self.live is not None:
            self.live.abandon()
        self._make = None
        self.failed.emit(str(error) or type(error).__name__)

    def _finish(self, generation: int) -> None:
        if generation != self._generation:
            return
        self._worker = None
        self._wake()
        if self._worker is None:
            self.busy.emit(False)


def work(live: Live | None, make: Callable[[], Live] | None) -> Iterator[Any]:
    """Makes the model if need be, then does what there is to do."""
    if live is None:
        assert make is not None
        live = make()
        yield live
    yield from live.work()
