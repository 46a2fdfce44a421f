"""The scratch folder of a segmentation, OUT.partial: what is computed so far, and a ledger of it.

Every plane has one file of its slices, allocated in full before anything is computed, so that a
full disk is noticed at once.  A slice enters the ledger after its pixels are in the file.  A run
that was killed goes on from there; the folder is removed when the result is in place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

LEDGER = "ledger.json"
DONE = "done.txt"


class Scratch:
    """Arrays of a run, in memory, or in the folder `path` with a ledger.

    Parameters
    ----------
    path : path or None
        The folder; None keeps everything in memory.
    identity : dict
        What decides the result (model, input, options), as JSON; a run is only continued if it is
        the same.
    resume : bool
        Whether to go on with a folder that exists.
    """

    def __init__(self, path: Path | None, identity: dict[str, Any], resume: bool = False) -> None:
        self.path = path
        self.done: set[str] = set()
        self.log: Any = None
        if path is None:
            return
        if path.exists():
            self._continue(identity, resume)
        else:
            self._begin(path, identity)
        self.log = open(path / DONE, "a", encoding="ascii")

    @staticmethod
    def _begin(path: Path, identity: dict[str, Any]) -> None:
        made = path.with_name(path.name + ".new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        (made / LEDGER).write_text(json.dumps(identity, indent=1, sort_keys=True))
        os.rename(made, path)

    def _continue(self, identity: dict[str, Any], resume: bool) -> None:
        path = self.path
        if path is None:
            return
        if not resume:
            raise FileExistsError(
                f"{path} is left from a run that did not end; add --resume to go on with it, "
                "or delete it"
            )
        known = self._identity(path)
        differs = sorted(
            k for k in identity.keys() | known.keys() if identity.get(k) != known.get(k)
        )
        if differs:
            raise ValueError(
                f"{path} belongs to a run with another {', '.join(differs)}; delete it to start "
                "anew, or repeat that run's command with --resume"
            )
        if (path / DONE).exists():
            lines = (path / DONE).read_text(encoding="ascii").split("\n")
            self.done = set(lines[:-1])  # the last one ends without a newline: cut off or empty

    @staticmethod
    def _identity(path: Path) -> dict[str, Any]:
        try:
            known = json.loads((path / LEDGER).read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} has no ledger that can be read; delete it") from error
        return known if isinstance(known, dict) else {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """The array `name`, zeros where nothing was written yet."""
        if self.path is None:
            return np.zeros(shape, dtype)
        file = self.path / f"{name}.raw"
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        with open(file, "ab") as handle:
            try:
                os.posix_fallocate(handle.fileno(), 0, size)
            except OSError as error:
                raise OSError(
                    f"no room for {size / 1e9:.3g} GB of scratch in {self.path}: {error.strerror}; "
                    "free space there, or write the result to another disk"
                ) from error
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)

    def record(self, array: np.ndarray, keys: Iterable[str]) -> None:
        """Enters `keys` into the ledger, after what was written to `array` is in its file."""
        keys = list(keys)
        self.done.update(keys)
        if self.log is None:
            return
        if isinstance(array, np.memmap):
            array.flush()
        self.log.write("".join(key + "\n" for key in keys))
        self.log.flush()
        os.fdatasync(self.log.fileno())

    def close(self) -> None:
        """Closes the ledger; the folder stays."""
        if self.log is not None:
            self.log.close()
            self.log = None

    def remove(self) -> None:
        """Removes the folder."""
        self.close()
        if self.path is not None:
            shutil.rmtree(self.path, ignore_errors=True)
