"""A biologist's session in a real napari: strokes with the mouse, and what comes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_cem import demo
from napari_cem.evaluation import evaluate

pytestmark = [pytest.mark.display, pytest.mark.filterwarnings("default")]

FIRST, FEW, STEPS = 6, 12, 40  # strokes before the first round; steps of it, and of the last one


def strokes(root):
    drawing = json.loads((root / "tests/benchmarks/strokes/fly_medulla_fibsem.json").read_text())
    return drawing["brush"], drawing["strokes"]


def score(model, sample):
    """IoU of the membrane on every fourth slice that has no strokes."""
    far = sample.slices(4)[::4]
    labels = model.classify(model.predict(sample.image[far]))
    return evaluate(labels, sample.truth[far], classes=demo.MEMBRANE)["membrane"].iou


def workers():
    """Threads of workers that run."""
    from qtpy.QtCore import QThreadPool

    return QThreadPool.globalInstance().activeThreadCount()


def fixed_round(driver, steps):
    """A round of so many steps, however fast the machine is."""
    count = []
    driver.project.reported.connect(lambda report: count.append(report.step))
    driver.project.follows = False
    driver.project.budget = None
    driver.project.train()
    assert driver.until(lambda: len(count) >= steps, 240)
    driver.project.training.stop()
    assert driver.idle()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_more_strokes_make_a_better_segmentation(driver, root, seed):
    sample = demo.load()
    image = driver.viewer.add_image(
        sample.image, scale=(10, 10, 10), units=("nm",) * 3, name="fly medulla"
    )
    driver.wait(0.3)
    assert driver.project.image is not None
    widget, project = driver.widget, driver.project
    project.follows = False
    project.base = "scratch"
    project.seed = seed
    widget.labels.new.click()
    brush, drawn = strokes(root)
    by_class = {value: [s for s in drawn if s["value"] == value] for value in (1, 2)}
    order = [s for pair in zip(by_class[2], by_class[1], strict=False) for s in pair]
    driver.viewer.dims.set_point(0, 160)
    driver.wait(0.3)
    first = [s for s in order if s["slice"] == 16][:FIRST]
    for stroke in first:
        driver.stroke(stroke["value"], stroke["points"], brush[str(stroke["value"])])
    assert driver.until(lambda: not project.annotation.missing, 5)
    if seed == 0:
        driver.shot("1-first-strokes")
    fixed_round(driver, FEW)
    before = score(project.export()(), sample)
    if seed == 0:
        driver.shot("2-first-prediction")
    for stroke in order:
        if stroke in first:
            continue
        driver.viewer.dims.set_point(0, 10.0 * stroke["slice"])
        driver.stroke(stroke["value"], stroke["points"], brush[str(stroke["value"])])
    driver.wait(1)
    fixed_round(driver, STEPS)
    after = score(project.export()(), sample)
    if seed == 0:
        driver.viewer.dims.set_point(0, 200)
        driver.idle()
        driver.wait(0.5)
        driver.shot("3-another-slice")
        driver.widget.segment.run.click()
        assert driver.hears("segmented", 120), driver.said
        driver.widget.objects.least.setValue(500)
        driver.widget.objects.search()
        found = driver.until(lambda: driver.widget.objects.frame is not None, 120)
        assert found, (driver.said, driver.heard, project.errands.running, workers())
        driver.widget.objects.table.selectRow(0)
        driver.show(driver.widget.objects)
        driver.shot("6-objects-of-the-stack")
    assert image.data is not None
    print(f"seed {seed}: IoU {before:.3f} -> {after:.3f}")
    assert after >= before + 0.05
    assert (np.asarray(image.data) == sample.image).all()


def test_ten_clicks_lead_from_an_image_to_a_segmentation_with_objects(driver, tmp_path):
    sample = demo.load()
    driver.viewer.add_image(sample.image[10:26], scale=(10, 10, 10), units=("nm",) * 3, name="fly")
    driver.wait(0.2)
    widget, project = driver.widget, driver.project
    clicks = [widget.labels.new, widget.train.scratch]
    widget.train.budget.setCurrentText("Quick (5 s)")
    for click in clicks:
        click.click()
    driver.viewer.dims.set_point(0, 60)
    driver.wait(0.2)
    for k in range(4):
        driver.stroke(2, [(60 + k, 1 + 8 * k), (66 + k, 8 + 8 * k)])
        driver.stroke(1, [(190 + 4 * k, 150), (190 + 4 * k, 190)])
    assert driver.until(lambda: bool(project.rounds), 90), widget.footer.text.text()
    assert "trained" in widget.footer.text.text()
    driver.idle()
    widget.preview.threshold.setValue(0.5)
    driver.shot("4-preview")
    out = tmp_path / "out.zarr"
    widget.segment.out.setText(str(out))
    widget.segment.run.click()
    assert driver.until(lambda: out.exists() and not widget.segment.job.running, 120)
    driver.wait(0.3)
    widget.objects.search()
    assert driver.until(lambda: widget.objects.frame is not None, 60)
    driver.wait(0.3)
    driver.shot("5-objects")
    assert len(widget.objects.frame) >= 1
    assert "volume_nm3" in widget.objects.frame.columns
    (result,) = [layer for layer in driver.viewer.layers if layer.name == "fly segmented"]
    assert tuple(result.scale) == (10, 10, 10) and result.data.shape == (16, 250, 250)
