"""What a command tells its caller: a bar on a terminal, JSON lines, or just the result.

With ``--json`` every line of standard output is one object with a field ``event``:

- ``progress``: ``task``, ``done``, ``total`` (null if unknown), ``unit``, and figures of the task
- ``note``, ``warning``: ``message``
- ``result``: what the command found or wrote
- ``error``: ``message``; the same line goes to standard error
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
import math
import signal
import sys
from collections.abc import Callable
from typing import Any

import typer
from tqdm import tqdm

from napari_cem import _core

STOPPED = "stopped by Ctrl-C"

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


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command get a Reporter, and turns its errors into one line and an exit status."""

    @functools.wraps(command)
    def wrapper(*args: Any, **options: Any) -> None:
        reporter = Reporter(options.get("as_json", False))
        try:
            command(*args, reporter=reporter, **options)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            reporter.error(f"{STOPPED}; nothing was written under the name of the result")
        except MemoryError as error:
            reporter.error(f"not enough memory: {error or 'an allocation failed'}")
        except (ValueError, OSError, _core.Cancelled) as error:
            reporter.error(message_of(error))
        else:
            return
        finally:
            reporter.close()
        raise typer.Exit(2)

    del wrapper.__wrapped__
    signature = without_reporter(command)
    wrapper.__signature__ = signature  # type: ignore[attr-defined]
    wrapper.__annotations__ = {
        name: parameter.annotation for name, parameter in signature.parameters.items()
    }
    return wrapper


def without_reporter(command: Callable[..., None]) -> inspect.Signature:
    """The signature that typer sees."""
    signature = inspect.signature(command, eval_str=True)
    shown = [item for name, item in signature.parameters.items() if name != "reporter"]
    return signature.replace(parameters=shown)


def message_of(error: Exception) -> str:
    """An error's line; the system's own errors with the name of the file."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
