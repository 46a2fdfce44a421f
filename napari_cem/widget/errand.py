"""Calls in a worker thread, one at a time, and what follows from them in the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from qtpy.QtCore import QObject, Signal

Report = Callable[[int, int | None], None]


class GivenUp(Exception):
    """The user cancelled."""


class Errand(QObject):
    """Calls `call` in one of napari's workers, then `then` with its result.

    `call` is given a function of what is done and of how much there is, which raises `GivenUp`
    once `cancel` was called.  What is changed step by step is a `whole`: it cannot be cancelled.

    Signals
    -------
    progressed : emitted with the part that is done, 0 to 1.
    failed : emitted with a line of text.
    ended : emitted at the end, however it was.
    """

    progressed = Signal(float)
    failed = Signal(str)
    ended = Signal()

    def __init__(
        self,
        call: Callable[[Report], Any],
        then: Callable[[Any], Any],
        parent: QObject,
        whole: bool = False,
    ) -> None:
        from napari.qt.threading import create_worker

        super().__init__(parent)
        self.whole = whole
        self._then, self._cancelled, self._over = then, False, False
        self._worker = create_worker(outcome, call, self._report, _start_thread=False)
        self._worker.yielded.connect(self._take)

    def start(self) -> None:
        """Begins."""
        self._worker.start()

    @property
    def running(self) -> bool:
        """Whether it is still to end."""
        return not self._over

    def cancel(self) -> None:
        """Ends it at its next report; its result is dropped."""
        self._cancelled = self._over = True
        self.ended.emit()

    def _report(self, done: int, total: int | None) -> None:
        if self._cancelled:
            raise GivenUp("cancelled")
        self.progressed.emit(done / total if total else 0.0)

    def _take(self, told: tuple[bool, Any]) -> None:
        if self._over:
            return
        self._over = True
        good, found = told
        if good:
            self._then(found)
        else:
            self.failed.emit(str(found) or type(found).__name__)
        self.ended.emit()


def outcome(call: Callable[[Report], Any], report: Report) -> Iterator[tuple[bool, Any]]:
    """Whether a call went well, and its result or its error."""
    try:
        found = call(report)
    except Exception as error:
        yield False, error
    else:
        yield True, found


class Errands(QObject):
    """One errand at a time.

    Signals
    -------
    worked : emitted with what runs, how much of it is done and the seconds left (None: unknown).
    told : emitted with a line of text.
    ended : emitted when nothing runs any more.
    """

    worked = Signal(str, object, object)
    told = Signal(str)
    ended = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._errand: Errand | None = None

    @property
    def running(self) -> bool:
        """Whether one is to end."""
        return self._errand is not None and self._errand.running

    def send(
        self,
        line: str,
        call: Callable[[Report], Any],
        then: Callable[[Any], Any],
        whole: bool = False,
    ) -> None:
        """Calls in a worker, then goes on with the result in the main thread."""
        if self.running:
            self.told.emit("wait until the other thing is done, or cancel it")
            return
        self._errand = Errand(call, then, self, whole)
        self._errand.ended.connect(self.ended)
        self._errand.progressed.connect(lambda part: self.worked.emit(line, part, None))
        self._errand.failed.connect(self.told)
        self.worked.emit(line, None, None)
        self._errand.start()

    def cancel(self) -> bool:
        """Ends what runs, if it can be; whether something ran."""
        errand = self._errand
        if errand is None or not errand.running:
            return False
        if errand.whole:
            self.told.emit("this ends by itself; take it back then")
        else:
            errand.cancel()
            self.told.emit("cancelled")
        return True

    def close(self) -> None:
        """Ends what runs, and is silent from now on."""
        self.blockSignals(True)
        if self._errand is not None:
            self._errand.cancel()
