"""The bundled sample and the demo that runs on it."""

import json
import math

import numpy as np
import pytest
import tifffile
from PIL import Image
from strokes import paint

from napari_cem import demo, picture


def test_the_scribbles_are_few_and_leave_most_slices_alone():
    sample = demo.load()
    assert sample.image.shape == sample.scribbles.shape == sample.truth.shape == (64, 250, 250)
    assert (sample.scribbles > 0).mean() <= 0.002
    assert sample.annotated == [16, 48]
    assert len(sample.slices(1)) == 62
    assert set(sample.slices(4)) == {z for z in range(64) if min(abs(z - 16), abs(z - 48)) > 3}


def test_the_bundled_scribbles_are_the_strokes_that_were_drawn(root):
    strokes = root / "tests" / "benchmarks" / "strokes" / "fly_medulla_fibsem.json"
    assert (paint(json.loads(strokes.read_text())) == demo.load().scribbles).all()


def test_the_sample_is_small_and_brings_its_licence(root):
    files = [path for path in (root / "napari_cem" / "sample").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5e6
    names = {path.name for path in files}
    assert {"ATTRIBUTION.md", "neuroproof_examples_CC-BY.txt"} <= names


@pytest.fixture
def small(monkeypatch):
    """A corner of the sample, so that the demo takes seconds."""
    whole = demo.load()
    parts = (a[11:21, :128, :128] for a in (whole.image, whole.scribbles, whole.truth))
    sample = demo.Sample(*(np.ascontiguousarray(a) for a in parts))
    monkeypatch.setattr(demo, "load", lambda: sample)
    return sample


def test_the_demo_writes_labels_and_a_picture_and_tells_how_good_they_are(
    command, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_CEM_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "demo"
    status, text, err = command("demo", "--out", out, "--steps", 3)
    assert status == 0, err
    assert "starting from starter" in err
    assert "IoU of the membrane on slices without scribbles: 0." in text
    labels = tifffile.imread(out / "membrane.tif")
    assert labels.shape == small.image.shape
    assert set(np.unique(labels)) <= {1, 2}
    slices = small.slices(1)
    a, b = labels[slices] == 2, small.truth[slices] == 255
    iou = (a & b).sum() / (a | b).sum()
    assert f"without scribbles: {iou:.3f}" in text
    with Image.open(out / "demo.png") as image:
        width, height = image.size
    assert width > 4 * 256 and height > 256
    assert command("demo", "--out", out, "--steps", 3)[0] == 2
    assert (tifffile.imread(out / "membrane.tif") == labels).all()


@pytest.mark.long
def test_the_whole_demo_learns_membranes_in_a_minute(tmp_path):
    outcome = demo.run(tmp_path / "demo", seconds=60)
    assert outcome.iou > 0.15  # everything called membrane has 0.10
    assert outcome.iou_far > 0.15
    assert not math.isnan(outcome.iou)


def test_overlays_colour_only_what_is_labelled():
    page = np.arange(100, dtype=np.uint8).reshape(10, 10)
    labels = np.zeros((10, 10), np.uint8)
    labels[2, 3] = 2
    shown = picture.overlay(page, labels, {2: "#ff0000"}, 1.0)
    assert shown[2, 3].tolist() == [255, 0, 0]
    rest = np.delete(shown.reshape(100, 3), 23, axis=0)
    assert (rest == picture.grey(page).reshape(100, 3)[np.arange(100) != 23]).all()
