"""Fixtures for tests of the Python layer: a small model, and the command line."""

import subprocess
import sys

import pytest
from samples import cells, scribbles


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
