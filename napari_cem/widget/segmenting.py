"""The worker that segments the whole image, and the layer in which its slices appear."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cem import _core
from napari_cem.segmentation import Block, Segmentation

REFRESH_MS = 500
MOST_SHOWN = 2 << 30  # bytes of a layer that grows in memory; larger results appear at the end


class Segmenting(QObject):
    """One segmentation at a time.

    Signals
    -------
    progressed : emitted with blocks done, blocks in all and the seconds left.
    done : emitted with what was opened of the result.
    failed : emitted with a line of text; "cancelled" if that was asked for.
    """

    progressed = Signal(int, int, float)
    done = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._go, self._cancelled = threading.Event(), threading.Event()
        self._job: Segmentation | None = None
        self._worker: Any = None
        self._growing: Any = None
        self._begun = (0.0, 0)
        self._timer = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._timer.timeout.connect(self._refresh)

    @property
    def running(self) -> bool:
        """Whether a segmentation is on, or paused."""
        return self._worker is not None

    @property
    def paused(self) -> bool:
        """Whether it waits, or will after the block in progress."""
        return self.running and not self._go.is_set()

    def start(
        self, make: Callable[[], Segmentation], show: Callable[[Any], Any], growing: Any
    ) -> None:
        """Runs what `make` makes and, in the worker too, `show` with its result; its slices appear
        in the layer `growing`, if that is one."""
        from napari.qt.threading import create_worker

        self._growing, self._begun = growing, (0.0, 0)
        self._go.set()
        self._cancelled.clear()
        self._worker = create_worker(
            work, make, show, self._go, self._cancelled, _start_thread=False
        )
        self._worker.yielded.connect(self._take)
        self._worker.start()

    def pause(self) -> None:
        """Waits after the block in progress, or goes on."""
        if self._go.is_set():
            self._go.clear()
        else:
            self._go.set()
            self._begun = (0.0, 0)

    def cancel(self) -> None:
        """Ends it; what was computed remains for resuming, if it goes to a file."""
        if self._worker is None:
            return
        self._cancelled.set()
        self._go.set()
        if self._job is not None:
            self._job.model.cancel()

    def _take(self, event: Any) -> None:
        if isinstance(event, Segmentation):
            self._job = event
        elif isinstance(event, Block):
            self._advance(event)
        else:
            self._end(event)

    def _advance(self, event: Block) -> None:
        now = time.monotonic()
        if not self._begun[0]:
            self._begun = (now, event.done)
        begun, first = self._begun
        rate = (event.done - first) / max(now - begun, 1e-9)
        left = (event.total - event.done) / rate if rate > 0 else -1.0
        self.progressed.emit(event.done, event.total, left)
        self._grow(event)

    def _grow(self, block: Block) -> None:
        if self._growing is None or self._job is None or block.first == block.last:
            return
        labels = self._job.labels(block)
        if labels is not None:
            data = self._growing.data
            data[block.first : block.last] = labels.reshape(data[block.first : block.last].shape)
            if not self._timer.isActive():
                self._timer.start()

    def _refresh(self) -> None:
        if self._growing is not None:
            self._growing.refresh()

    def _end(self, outcome: Outcome) -> None:
        error = outcome.error
        self._timer.stop()
        self._worker = self._job = self._growing = None
        if error is None:
            self.done.emit(outcome.shown)
        else:
            cancelled = isinstance(error, _core.Cancelled)
            self.failed.emit("cancelled" if cancelled else str(error) or type(error).__name__)

    def close(self) -> None:
        """Ends it, and is silent from now on."""
        self.blockSignals(True)
        self.cancel()
        self._growing = None


@dataclass(frozen=True)
class Outcome:
    """What is shown of the result, or what went wrong."""

    shown: Any = None
    error: BaseException | None = None


def work(
    make: Callable[[], Segmentation],
    show: Callable[[Any], Any],
    go: threading.Event,
    cancelled: threading.Event,
) -> Iterator[Any]:
    """The segmentation, its blocks, and at the end its outcome; waits between blocks for `go`."""
    try:
        job = make()
        yield job
        blocks = job.steps()
        for block in blocks:
            yield block
            go.wait()
            if cancelled.is_set():
                blocks.close()
                raise _core.Cancelled("cancelled")
        shown = show(job.result)
    except Exception as error:
        yield Outcome(error=error)
    else:
        yield Outcome(shown)


def growing_layer(
    viewer: Any, shape: tuple[int, ...], dtype: Any, made: dict[str, Any]
) -> Any | None:
    """A layer of labels, empty; None if it would be larger than memory should hold."""
    if int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize > MOST_SHOWN:
        return None
    return viewer.add_labels(np.zeros(shape, dtype), **made)
