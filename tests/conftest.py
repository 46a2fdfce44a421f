"""Settings and small things that several test files use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures import command, model, model_file, start  # noqa: F401

ROOT = Path(__file__).parent.parent

# A job in the background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the images for development, which lies beside the repository or in it."""
    for folder in (ROOT / "shared" / "data", ROOT.parent / "shared" / "data"):
        if folder.is_dir():
            return folder
    pytest.skip("the images for development are not here")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache of weights."""
    monkeypatch.setenv("NAPARI_CEM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def driver(
    make_napari_viewer_proxy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A napari with the widget; sessions go to `tmp_path`."""
    from driver import Driver

    monkeypatch.setenv("NAPARI_CEM_SESSIONS", str(tmp_path))
    made = Driver(make_napari_viewer_proxy(show=True))
    yield made
    made.close()
