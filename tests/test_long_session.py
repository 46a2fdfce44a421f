"""A long session: a thousand strokes in bounded memory, and killed at any moment it opens again."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from samples import cells

from napari_cem.live import Live, Rounded
from napari_cem.preview import View
from napari_cem.session import Session

MB = 1 << 20
DEPTH, SIZE = 40, 96


def resident():
    """Memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def paint(labels, number):
    """Stroke `number`: a short line of background or of the class, on one of the slices."""
    random = np.random.default_rng(number)
    z, y, x = random.integers((0, 0, 0), (DEPTH, SIZE - 2, SIZE - 20))
    labels[z, y : y + 2, x : x + 20] = 1 + number % 2
    return int(z)


@pytest.mark.parametrize("strokes", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_strokes_without_end_take_memory_with_an_end(model, tmp_path, strokes):
    stack = cells(DEPTH)
    live = Live(stack, model, feature_bytes=8 * MB, page_bytes=1 * MB)
    session = Session(tmp_path / "s.cem", stack.shape)
    labels, rounds, memory = np.zeros(stack.shape, np.uint16), 0, []
    for number in range(strokes):
        z = paint(labels, number)
        live.annotate(z, labels[z])
        session.save_slice(z, labels[z])
        live.look(View(z, (0, SIZE), (0, SIZE)))
        if number % 25 == 24:
            live.train(0.01)
        rounds += sum(isinstance(event, Rounded) for event in live.work())
        memory.append(resident())
    assert rounds == strokes // 25
    assert live.pages.bytes <= MB
    assert memory[-1] - memory[strokes // 2] < 32 * MB
    annotated = np.flatnonzero(labels.any(axis=(1, 2)))
    assert len(live.model.card["data"]) == len(annotated)
    assert session.annotated() == annotated.tolist()
    assert (Session(tmp_path / "s.cem", stack.shape).labels[...] == labels).all()


PAINTER = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import napari_cem as cem
from napari_cem.session import Session
from test_long_session import paint, DEPTH, SIZE
session = Session(sys.argv[2], (DEPTH, SIZE, SIZE))
done = session.settings.get("strokes", 0)
labels = np.asarray(session.labels[...])
kept = session.folder / "model.safetensors"
made = cem.Model.from_weights("scratch", widths=[16] * 5)
model = session.load_model() if kept.exists() else made
for number in range(done, 10**6):
    z = paint(labels, number)
    session.save_slice(z, labels[z])
    session.update(strokes=number + 1)
    print(number + 1, flush=True)
    if number % 10 == 3:
        model.update_card(pixel_nm=number + 1.0)
        session.save_model(model)
"""


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.long)])
def test_a_session_that_is_killed_opens_with_all_but_the_last_stroke(root, tmp_path, kills):
    folder, moments, told = tmp_path / "s.cem", random.Random(0), 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", PAINTER, root / "tests", folder],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            first = process.stdout.readline()
            assert first, process.stderr.read()
            time.sleep(moments.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            told = int((process.communicate()[0].split() or [first])[-1])
        session = Session.open(folder)
        strokes = session.settings["strokes"]
        assert strokes in (told, told + 1)
        expected = np.zeros((DEPTH, SIZE, SIZE), np.uint16)
        for number in range(strokes):
            paint(expected, number)
        found = session.labels[...]
        wrong = (found != expected).any(axis=(1, 2))
        paint(expected, strokes)
        assert (found[wrong] == expected[wrong]).all()
        if (folder / "model.safetensors").exists():
            assert session.load_model().card["pixel_nm"] <= strokes
    assert told > 5 and (folder / "model.safetensors").exists()
