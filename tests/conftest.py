"""Settings and small things that several test files use."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from fixtures import command, model, model_file, start  # noqa: F401

ROOT = Path(__file__).parent.parent

# A job in the background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache of weights."""
    monkeypatch.setenv("NAPARI_CEM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
