"""kill -9 at random moments: old models and images stay whole, results appear whole or not."""

import hashlib
import random
import time

import numpy as np
import pytest
import tifffile
from samples import cells, scribbles

import napari_cem as cem


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an image, labels and an old model, which commands run in."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("image.tif", np.concatenate([cells(12)] * 5), photometric="minisblack")
    tifffile.imwrite("labels.tif", scribbles(60), photometric="minisblack")
    return tmp_path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kill_after(process, seconds):
    """Kills a process after a while; whether it was still running."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    running = process.poll() is None
    process.kill()
    process.wait()
    return running


def duration(start, *arguments):
    """How long a command takes when it is left alone."""
    began = time.monotonic()
    process = start(*arguments)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return time.monotonic() - began


@pytest.mark.long
def test_a_killed_training_leaves_the_old_model_and_the_image(start, folder, model_file):
    old = folder / "m.safetensors"
    old.write_bytes(model_file.read_bytes())
    before = {path.name: digest(path) for path in folder.iterdir()}
    arguments = (
        "finetune", "image.tif", "labels.tif", "--weights", "scratch", "--steps", 3,
        "--overwrite", "--out",
    )  # fmt: skip
    length = duration(start, *arguments, "alone.safetensors")
    (folder / "alone.safetensors").unlink()
    moments = random.Random(0)
    for _ in range(12):
        running = kill_after(start(*arguments, "m.safetensors"), length * moments.uniform(0.2, 1.1))
        if running:
            after = {name: digest(folder / name) for name in before}
            finished = after.pop("m.safetensors") != before["m.safetensors"]
            assert after == {k: v for k, v in before.items() if k != "m.safetensors"}
            if finished:  # between the rename and the end of the process
                cem.Model.load(old)
            old.write_bytes(model_file.read_bytes())
        assert cem.Model.load(old).classes == cem.Model.load(model_file).classes or not running


@pytest.mark.long
@pytest.mark.parametrize(("planes", "out"), [("xy", "o.tif"), ("ortho", "o.zarr")])
def test_a_killed_segmentation_goes_on_to_the_same_result(start, folder, model_file, planes, out):
    image = digest(folder / "image.tif")
    arguments = ("segment", "image.tif", "--model", model_file, "--planes", planes, "--out")
    straight = f"straight{out[1:]}"
    length = duration(start, *arguments, straight)
    moments = random.Random(1)
    kills = 0
    while kills < 8:
        options = ("--resume",) if (folder / f"{out}.partial").exists() else ()
        process = start(*arguments, out, *options)
        if not kill_after(process, length * moments.uniform(0.3, 0.8)):
            assert process.returncode == 0
            break
        kills += 1
        assert digest(folder / "image.tif") == image
        if (folder / out).exists():  # killed between the renaming and its end: it must be whole
            break
    if not (folder / out).exists():
        duration(start, *arguments, out, "--resume")
    first, second = (cem.open_volume(folder / name) for name in (straight, out))
    assert kills > 0
    assert all((first.slice(z) == second.slice(z)).all() for z in range(60))
    if out.endswith(".tif"):
        assert digest(folder / out) == digest(folder / straight)


def test_a_segmentation_killed_once_is_finished_by_resume(start, folder, model_file):
    import json

    arguments = ("segment", "image.tif", "--model", model_file, "--out")
    process = start(*arguments, "o.tif", "--json", "--threads", 1)
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["done"] >= 10:
            break
    process.kill()
    process.wait()
    assert not (folder / "o.tif").exists()
    process = start(*arguments, "o.tif", "--resume", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    done = [json.loads(line) for line in out.splitlines()]
    assert next(line["done"] for line in done if line["event"] == "progress") >= 10
    expected = cem.segment(folder / "image.tif", model_file)
    assert (tifffile.imread("o.tif") == expected).all()
