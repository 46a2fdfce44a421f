"""The worker that segments the whole image, and the layer in which its slices appear."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cem import _core
from napari_cem.segmentation import Block, Segmentation
from napari_cem.widget import layers

REFRESH_MS = 500
MOST_SHOWN = 2 << 30  # bytes of a layer that grows in memory; larger results appear at the end


class Segmenting(QObject):
    """One segmentation at a time.

    Signals
    -------
    progressed : emitted with blocks done, blocks in all and the seconds left.
    done : emitted with the result, a path or an array.
    failed : emitted with a line of text; "cancelled" if that was asked for.
    """

    progressed = Signal(int, int, float)
    done = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.paused = False
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

    def start(self, make: Callable[[], Segmentation], growing: Any) -> None:
        """Runs what `make` makes; its slices appear in the layer `growing`, if that is one."""
        from napari.qt.threading import create_worker

        self._growing, self.paused, self._begun = growing, False, (0.0, 0)
        self._worker = create_worker(steps, make, _start_thread=False)
        self._worker.yielded.connect(self._take)
        self._worker.errored.connect(self._fail)
        self._worker.finished.connect(self._finish)
        self._worker.start()

    def pause(self) -> None:
        """Waits after the block in progress, or goes on."""
        self.paused = not self.paused
        if self.paused:
            self._worker.pause()
        else:
            self._worker.resume()
            self._begun = (0.0, 0)

    def cancel(self) -> None:
        """Ends it; what was computed remains for resuming, if it goes to a file."""
        if self._worker is None:
            return
        self._worker.quit()
        if self.paused:
            self._worker.resume()
        if self._job is not None:
            self._job.model.cancel()

    def _take(self, event: Segmentation | Block) -> None:
        if isinstance(event, Segmentation):
            self._job = event
            return
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

    def _fail(self, error: BaseException) -> None:
        line = "cancelled" if isinstance(error, _core.Cancelled) else str(error)
        self._clean()
        self.failed.emit(line)

    def _finish(self) -> None:
        job = self._job
        if self._worker is None:
            return
        self._clean()
        if job is not None and job.result is not None:
            self.done.emit(job.result)
        else:
            self.failed.emit("cancelled")

    def _clean(self) -> None:
        self._timer.stop()
        self._worker = self._job = self._growing = None
        self.paused = False

    def close(self) -> None:
        """Ends it, and is silent from now on."""
        self.blockSignals(True)
        self.cancel()


def steps(make: Callable[[], Segmentation]) -> Iterator[Any]:
    """The segmentation, then its blocks."""
    job = make()
    yield job
    yield from job.steps()


def growing_layer(viewer: Any, image: Any, model: Any, dtype: Any, name: str) -> Any | None:
    """A layer of the image's shape, empty; None if it would be larger than memory should hold."""
    shape = layers.full_data(image).shape
    if int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize > MOST_SHOWN:
        return None
    return viewer.add_labels(
        np.zeros(shape, dtype), name=name, opacity=0.6,
        colormap=layers.class_colors(model.class_entries, None),
        metadata=layers.marked(layers.RESULT), **layers.placed_like(image),
    )  # fmt: skip
