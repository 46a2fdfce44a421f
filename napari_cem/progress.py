"""What a command tells its caller: a bar on a terminal, JSON lines, or just the result.

With ``--json`` every line of standard output is one object with a field ``event``:

- ``progress``: ``task``, ``done``, ``total`` (null if unknown), ``unit``, and figures of the task
- ``note``, ``warning``: ``message``
- ``result``: what the command found or wrote
- ``error``: ``message``; the same line goes to standard error
"""

from __future__ import annotations

import json
import logging
import math
import sys
from typing import Any

from tqdm import tqdm

log = logging.getLogger("napari_cem")


def jsonable(value: Any) -> Any:
    """`value` with NaN as None and paths as text."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str | type(None)) else str(value)


class Handler(logging.Handler):
    """Hands the log's lines to a Reporter."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self.reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Shows one line."""
        kind = "warning" if record.levelno >= logging.WARNING else "note"
        self.reporter.say(kind, record.getMessage())


class Reporter:
    """Shows progress, notes and results of one command.

    Parameters
    ----------
    as_json : bool
        JSON lines on standard output instead of text.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.bar: tqdm | None = None
        self.handler = Handler(self)
        log.addHandler(self.handler)
        log.setLevel(logging.INFO)
        log.propagate = False

    def event(self, kind: str, **fields: Any) -> None:
        """Writes one JSON line."""
        print(json.dumps({"event": kind, **jsonable(fields)}), flush=True)

    def say(self, kind: str, message: str) -> None:
        """A note or a warning."""
        if self.as_json:
            self.event(kind, message=message)
            return
        text = f"warning: {message}" if kind == "warning" else message
        tqdm.write(text, file=sys.stderr)

    def progress(
        self, task: str, done: int, total: int | None, unit: str = "slice", **figures: Any
    ) -> None:
        """Shows that `done` of `total` units are done."""
        if self.as_json:
            self.event("progress", task=task, done=done, total=total, unit=unit, **figures)
            return
        if not sys.stderr.isatty():
            return
        if self.bar is None or self.bar.desc != task:
            self.end()
            self.bar = tqdm(desc=task, total=total, unit=unit, file=sys.stderr, initial=done)
        self.bar.update(done - self.bar.n)
        if figures:
            self.bar.set_postfix(figures)

    def end(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def result(self, text: str, **fields: Any) -> None:
        """The outcome: `text` for a reader, `fields` for a program."""
        self.end()
        if self.as_json:
            self.event("result", **fields)
        else:
            print(text, flush=True)

    def error(self, message: str) -> None:
        """One line on standard error."""
        self.end()
        line = " ".join(message.split())
        if self.as_json:
            self.event("error", message=line)
        print(f"napari-cem: {line}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the bar and stops listening to the log."""
        self.end()
        log.removeHandler(self.handler)
