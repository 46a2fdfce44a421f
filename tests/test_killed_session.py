"""A napari that is killed while somebody paints."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from samples import cells

from napari_cem.session import Session

pytestmark = [pytest.mark.display, pytest.mark.filterwarnings("default")]


def strokes_of(labels):
    """Numbers of the strokes that are there, by the rows they were painted in."""
    return {
        22 * z + (row - 4) // 4
        for z in range(3)
        for row in np.flatnonzero(labels[z][:, 20:70].all(axis=1)).tolist()
    }


@pytest.mark.parametrize("attempt", range(5))
def test_a_killed_napari_loses_at_most_the_last_stroke(root, tmp_path, attempt):
    np.save(tmp_path / "stack.npy", cells(3))
    painter = subprocess.Popen(
        [sys.executable, str(root / "tests/painter.py"), str(tmp_path / "stack.npy")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    wanted = 8 + 6 * attempt
    seen = -1
    try:
        for line in painter.stdout:
            seen = int(line)
            if seen >= wanted:
                break
        time.sleep(0.037 * attempt)
    finally:
        painter.kill()
        rest = painter.stdout.read().split()
        painter.wait()
    last = int(rest[-1]) if rest else seen
    session = Session.open(tmp_path / "stack.npy.cem")
    found = strokes_of(session.labels[...])
    assert found >= set(range(last)), sorted(set(range(last)) - found)
    assert session.settings["classes"][0]["name"] == "background"
    if session.has_model:
        assert session.load_model().card["data"]
