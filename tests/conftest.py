"""What several tests share: small images with scribbles, a small model, and the command line."""

import subprocess
import sys

import numpy as np
import pytest

SIZE = 96


def cells(depth: int = 3, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """A (z, y, x) uint8 stack of grey noise with one dark disk that moves with z."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    stack = np.empty((depth, size, size), np.uint8)
    for z in range(depth):
        disk = (y - size * 0.4 - z) ** 2 + (x - size * 0.5) ** 2 < (size * 0.2) ** 2
        stack[z] = np.clip(np.where(disk, 60, 170) + random.normal(0, 12, y.shape), 0, 255)
    return stack


def scribbles(depth: int = 3, size: int = SIZE, annotated: int = 0) -> np.ndarray:
    """Strokes on slice `annotated` of `cells`: 1 around the disk, 2 in it."""
    labels = np.zeros((depth, size, size), np.uint8)
    s = size / 96
    for k in range(4):
        row = int((5 + 3 * k) * s)
        labels[annotated, row : row + 2, int(10 * s) : int(80 * s)] = 1
        row = int((30 + 5 * k) * s)
        labels[annotated, row : row + 2, int(40 * s) : int(56 * s)] = 2
    return labels


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    """A model of two classes after a few steps on `cells`."""
    import napari_cem as cem

    path = tmp_path_factory.mktemp("model") / "disk.safetensors"
    model = cem.Model.from_weights("scratch", ["background", "disk"], widths=[32, 16, 16, 16, 16])
    trainer = cem.Trainer(model, crop=96, batch=2)
    trainer.add(cells(1)[0], scribbles(1)[0])
    for _ in trainer.run(steps=12):
        pass
    model.save(path)
    return path


@pytest.fixture
def model(model_file):
    """That model, loaded."""
    import napari_cem as cem

    return cem.Model.load(model_file)


@pytest.fixture
def command(capfd):
    """Runs the command line in this process; returns its exit status, stdout and stderr."""
    from napari_cem.cli import app

    def run(*arguments) -> tuple[int, str, str]:
        capfd.readouterr()
        status = 0
        try:
            app([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code or 0
        out, err = capfd.readouterr()
        return status, out, err

    return run


@pytest.fixture
def start(tmp_path):
    """Starts the command line as a process of its own in `tmp_path`."""
    processes = []

    def begin(*arguments, flags: tuple[str, ...] = ()) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *flags, "-m", "napari_cem", *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()
