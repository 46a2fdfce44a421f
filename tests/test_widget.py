"""The dock widget in a real napari: each of its sections, as a user meets it."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas
import pytest
import zarr
from acts import INK, PLACE, draw, fingerprint, layer_names, open_stack, segment, train
from samples import cells, scribbles

import napari_cem as cem
from napari_cem.session import Session
from napari_cem.widget import layers

pytestmark = [pytest.mark.display, pytest.mark.filterwarnings("default")]

# ---- Data ----

KINDS = {
    "12 bits in 16": lambda: cells(3).astype(np.uint16) * 16,
    "float 0 to 1": lambda: cells(3) / np.float32(255),
    "signed": lambda: cells(3).astype(np.int16) - 128,
    "one image": lambda: cells(1)[0],
    "zarr": lambda: zarr.array(cells(3), chunks=(1, 48, 48)),
    "dask": lambda: __import__("dask.array").array.from_array(cells(3), chunks=(1, 48, 48)),
    "multiscale": lambda: [cells(3), cells(3)[:, ::2, ::2]],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_is_painted_trained_on_and_segmented(driver, kind):
    data = KINDS[kind]()
    flat = kind == "one image"
    place = {name: value[1:] for name, value in PLACE.items()} if flat else PLACE
    image = open_stack(driver, data, multiscale=kind == "multiscale", **place)
    assert driver.project.image == image
    train(driver, 60)
    result = segment(driver)
    shape = (96, 96) if flat else (3, 96, 96)
    assert np.asarray(result.data).shape == shape
    assert np.allclose(result.scale, image.scale) and np.allclose(result.translate, image.translate)
    assert [str(unit) for unit in result.units] == ["nanometer"] * len(shape)
    page = np.asarray(result.data) if flat else np.asarray(result.data)[0]
    disk = page[36:42, 44:52]
    assert (disk == 2).mean() > (page[2:12, 2:90] == 2).mean() + 0.5


@pytest.mark.parametrize(
    ("data", "line"),
    [(np.zeros((64, 64, 3), np.uint8), "colour image; convert it to grey"),
     (np.zeros((2, 3, 20, 30), np.uint8), "has 4 axes; give one image (y, x) or one stack")],
)  # fmt: skip
def test_what_is_no_grey_stack_is_refused_with_the_remedy(driver, data, line):
    driver.viewer.add_image(data, name="wrong")
    driver.wait(0.2)
    assert driver.project.image is None
    assert line in driver.widget.data.line.text()
    assert driver.widget.labels.line.text() == "needs an image"
    assert not driver.widget.labels.body.isEnabled()


def test_another_image_leaves_the_first_one_and_coming_back_finds_its_labels(driver):
    first = open_stack(driver)
    train(driver)
    second = driver.viewer.add_image(cells(4, seed=1), name="other", **PLACE)
    driver.wait(0.2)
    row = driver.widget.data.choice.findData(second.unique_id)
    driver.widget.data.choice.setCurrentIndex(row)
    driver.widget.data.choice.activated.emit(row)
    assert driver.project.image == second and driver.project.annotation.painting is None
    driver.wait(0.1)
    assert driver.widget.preview.line.text() == "needs a model: train first"
    driver.project.use_image(first)
    assert not driver.project.annotation.missing
    assert driver.until(lambda: driver.project.result is not None, 20)


def test_the_combo_follows_renamed_layers(driver):
    image = open_stack(driver)
    image.name = "renamed"
    assert driver.widget.data.choice.currentText() == "renamed"


# ---- Labels ----


def test_unpainted_pixels_teach_nothing_and_background_is_a_brush(driver):
    open_stack(driver)
    driver.widget.labels.new.click()
    assert driver.project.annotation.painting.layer.selected_label == 2
    draw(driver, ink=INK[2:])
    assert driver.until(lambda: driver.project.annotation.counts.get(2), 5)
    assert not driver.widget.labels.banner.isHidden()
    assert driver.widget.labels.banner.text() == "nothing painted of background: take its brush"
    driver.widget.labels.banner.click()
    assert driver.project.annotation.painting.layer.selected_label == 1
    assert driver.hears("paint some background too", 5)


def test_a_value_that_is_no_class_becomes_one_by_a_click(driver):
    open_stack(driver)
    driver.project.follows = False
    driver.widget.labels.new.click()
    draw(driver, ink=[*INK, (7, [(60, 10), (60, 20)])])
    driver.until(lambda: 7 in driver.project.annotation.counts, 5)
    train(driver)
    driver.wait(0.1)
    assert driver.widget.labels.banner.text() == "label 7 is painted: make it a class"
    driver.widget.labels.banner.click()
    assert [entry["value"] for entry in driver.project.annotation.classes] == [1, 2, 7]
    driver.wait(0.1)
    assert driver.widget.labels.banner.isHidden()
    train(driver)
    assert [c["value"] for c in driver.project.result.card["classes"]] == [1, 2, 7]


def test_classes_are_named_coloured_counted_and_removed(driver):
    open_stack(driver)
    labels = driver.widget.labels
    driver.project.follows = False
    labels.new.click()
    draw(driver)
    driver.until(lambda: len(driver.project.annotation.counts) == 2, 5)
    driver.wait(0.1)
    assert labels.table.item(1, 2).text() == str(driver.project.annotation.counts[2])
    labels.table.item(1, 1).setText("mitochondrion")
    labels.set_color(1, "#123456")
    assert driver.project.annotation.classes[1]["name"] == "mitochondrion"
    painted = driver.project.annotation.painting.layer
    assert np.allclose(painted.get_color(2)[:3], np.array([0x12, 0x34, 0x56]) / 255, atol=0.01)
    driver.project.annotation.add_class()
    assert driver.project.annotation.remove_class(2) == (
        f"erase the {driver.project.annotation.counts[2]} pixels of mitochondrion first"
    )
    assert driver.project.annotation.remove_class(3) is None
    assert driver.project.annotation.remove_class(1) == "background and one class have to stay"


def test_the_labels_layer_is_known_by_what_it_is_and_not_by_its_name(driver):
    open_stack(driver)
    driver.project.follows = False
    driver.widget.labels.new.click()
    driver.project.annotation.painting.layer.name = "stack"
    draw(driver)
    assert driver.until(lambda: not driver.project.annotation.missing, 5)


def test_an_existing_layer_is_taken_and_one_of_another_shape_refused(driver):
    open_stack(driver)
    driver.project.follows = False
    good = driver.viewer.add_labels(scribbles(3), name="mine", **PLACE)
    bad = driver.viewer.add_labels(scribbles(2), name="short", **PLACE)
    assert (
        driver.project.use_labels(bad) == "short has the shape (2, 96, 96), stack has (3, 96, 96)"
    )
    assert driver.project.use_labels(good) is None
    driver.wait(0.1)
    assert driver.project.annotation.slices == {0: int((scribbles(3) > 0).sum())}
    assert driver.widget.labels.slices.item(0).text().startswith("slice 0: ")


def test_annotated_slices_are_listed_and_a_click_goes_there(driver):
    open_stack(driver)
    driver.project.follows = False
    driver.widget.labels.new.click()
    draw(driver, 0)
    driver.wait(0.7)
    draw(driver, 2, INK[:1])
    driver.until(lambda: len(driver.project.annotation.slices) == 2, 5)
    driver.wait(0.1)
    listed = driver.widget.labels.slices
    assert [listed.item(k).text().split(":")[0] for k in range(2)] == ["slice 0", "slice 2"]
    listed.itemClicked.emit(listed.item(0))
    assert driver.project.slice == 0


def test_a_complete_box_makes_background_of_the_rest_and_undo_takes_it_back(driver):
    open_stack(driver)
    driver.project.follows = False
    driver.widget.labels.new.click()
    draw(driver, 1)
    driver.wait(0.7)
    before = driver.project.annotation.painting.page(1).copy()
    driver.widget.labels._box()
    (box,) = [layer for layer in driver.viewer.layers if layer.name == "CEM box"]
    box.add_rectangles(np.array([[1, 30, 40], [1, 30, 60], [1, 50, 60], [1, 50, 40]]))
    driver.widget.labels._box()
    page = driver.project.annotation.painting.page(1)
    inside = page[30:51, 40:61]
    assert (inside > 0).all() and ((inside == 2) == (before[30:51, 40:61] == 2)).all()
    assert (np.delete(page, range(30, 51), 0) == np.delete(before, range(30, 51), 0)).all()
    assert "CEM box" not in layer_names(driver)
    driver.project.annotation.painting.layer.undo()
    assert (driver.project.annotation.painting.page(1) == before).all()


def test_a_prediction_becomes_labels_to_correct_where_nothing_is_painted(driver):
    open_stack(driver)
    train(driver, 60)
    before = driver.project.annotation.painting.page(0).copy()
    driver.widget.labels._from_prediction()
    page = driver.project.annotation.painting.page(0)
    assert (page > 0).all()
    assert (page[before > 0] == before[before > 0]).all()


def test_undoing_a_stroke_takes_it_out_of_what_is_learned(driver):
    open_stack(driver)
    driver.project.follows = False
    driver.widget.labels.new.click()
    draw(driver, 0)
    driver.wait(0.7)
    draw(driver, 1, INK[2:3])
    driver.until(lambda: len(driver.project.annotation.slices) == 2, 5)
    train(driver)
    assert len([d for d in driver.project.result.card["data"] if d["labels"]]) == 2
    driver.project.annotation.painting.layer.undo()
    driver.until(lambda: len(driver.project.annotation.slices) == 1, 5)
    train(driver)
    assert len([d for d in driver.project.result.card["data"] if d["labels"]]) == 1
    driver.project.annotation.painting.layer.redo()
    driver.until(lambda: len(driver.project.annotation.slices) == 2, 5)
    train(driver)
    assert len([d for d in driver.project.result.card["data"] if d["labels"]]) == 2


def test_what_to_label_next_is_listed_shown_and_struck_off_when_it_is_painted(driver):
    from napari.utils.key_bindings import coerce_keybinding

    driver.widget.data.open_sample()
    driver.viewer.reset_view()
    driver.wait(0.3)
    driver.project.follows = False
    from qtpy.QtWidgets import QListWidget, QPushButton

    driver.widget.labels.findChild(QPushButton, "suggest").click()
    shown = driver.widget.labels.findChild(QListWidget, "suggestions")
    assert driver.until(shown.count, 60), driver.said
    suggesting = driver.project.suggesting
    first, second = suggesting.found[:2]
    assert shown.item(0).text() == f"slice {first.z}: {first.reason}"
    assert not shown.item(0).icon().isNull() and driver.project.slice == first.z
    driver.viewer.keymap[coerce_keybinding("N")](driver.viewer)
    driver.wait(0.2)
    assert driver.project.slice == second.z and shown.currentRow() == 1
    (box,) = [layer for layer in driver.viewer.layers if layer.name == "CEM suggestion"]
    assert box.data[0][:, 0].tolist() == [second.z] * 4
    assert np.allclose(np.ptp(box.data[0], axis=0)[1:], (second.height, second.width))
    driver.shot("suggestions")
    count = shown.count()
    driver.widget.labels.new.click()
    driver.stroke(2, [(second.y + 40, second.x + 40), (second.y + 60, second.x + 60)])
    assert driver.until(lambda: shown.count() == count - 1, 5)
    assert second not in suggesting.found
    driver.viewer.layers.remove(driver.project.image)
    assert "CEM suggestion" not in layer_names(driver) and not shown.count()


# ---- Train ----


def test_a_first_run_offers_what_to_start_from(driver):
    open_stack(driver)
    driver.wait(0.1)
    train_section = driver.widget.train
    offers = [train_section.fetch, train_section.load, train_section.scratch]
    assert driver.project.base is None
    assert all(not offer.isHidden() for offer in offers)
    assert train_section.line.text() == "choose what to start from"
    driver.widget.labels.new.click()
    draw(driver)
    assert driver.hears("choose what to start from, in the section Train", 5)
    driver.project.budget = 0.3
    train_section.scratch.click()
    assert driver.until(lambda: len(driver.project.rounds) == 1, 60)
    assert all(offer.isHidden() for offer in offers)


def test_own_weights_are_imported_in_place(driver, tmp_path):
    cem.Model.from_weights("scratch").save(tmp_path / "model.safetensors")
    open_stack(driver)
    driver.project.follows, driver.project.budget = False, 0.3
    driver.widget.labels.new.click()
    draw(driver)
    driver.until(lambda: not driver.project.annotation.missing, 5)
    driver.widget.train.import_file(tmp_path / "model.safetensors")
    assert driver.until(lambda: bool(driver.project.rounds), 60), driver.said
    assert driver.project.base == str(tmp_path / "model.safetensors")


def test_cancel_keeps_the_model_and_a_round_can_be_reverted(driver):
    open_stack(driver)
    train(driver)
    first = fingerprint(driver)
    driver.project.budget = None
    driver.project.train()
    driver.until(lambda: driver.said.startswith("training"), 20)
    driver.widget.footer.button.click()
    assert driver.hears("cancelled", 5)
    assert driver.idle(5)
    assert fingerprint(driver) == first
    train(driver)
    assert fingerprint(driver) != first
    driver.wait(0.1)
    driver.widget.train.back.click()
    assert driver.hears("reverted", 10)
    assert fingerprint(driver) == first
    driver.wait(0.1)
    assert not driver.widget.train.back.isEnabled()


def test_the_first_round_cancelled_leaves_no_model_and_no_prediction(driver):
    open_stack(driver)
    driver.project.base, driver.project.follows, driver.project.budget = "scratch", False, None
    driver.widget.labels.new.click()
    draw(driver)
    driver.until(lambda: not driver.project.annotation.missing, 5)
    driver.project.train()
    live = driver.project.training
    assert driver.until(lambda: live.live is not None and live.live.trained, 60)
    driver.widget.footer.button.click()
    assert driver.hears("cancelled", 5) and driver.idle()
    driver.wait(0.3)
    assert driver.project.result is None
    assert driver.widget.segment.line.text() == "needs a model: train first"


def test_a_model_is_saved_opened_and_compared_with_the_image(driver, tmp_path):
    open_stack(driver)
    train(driver, 60)
    driver.widget.train.save_model(tmp_path / "m.safetensors")
    assert driver.hears(f"saved {tmp_path / 'm.safetensors'}", 20)
    saved = cem.Model.load(tmp_path / "m.safetensors")
    assert saved.fingerprint() == fingerprint(driver)
    assert saved.card["pixel_nm"] == 8
    inverted = driver.viewer.add_image(
        255 - cells(3), name="inverted", scale=(30, 20, 20), units=("nm",) * 3
    )
    driver.project.use_image(inverted)
    driver.viewer.reset_view()
    driver.viewer.dims.set_point(0, 30)
    driver.widget.train.open_model(tmp_path / "m.safetensors")
    assert driver.until(lambda: len(driver.project.differences) > 0, 20), driver.said
    driver.wait(0.1)
    shown = driver.widget.train.differs
    assert not shown.isHidden()
    assert "the pixels of inverted are 20 nm, those of the model's training 8 nm" in shown.text()
    assert driver.idle()
    driver.wait(0.3)
    assert "CEM prediction" in layer_names(driver)
    assert driver.widget.train.line.text() == "model m.safetensors"


def test_a_file_that_is_no_model_says_so(driver, tmp_path):
    open_stack(driver)
    (tmp_path / "m.safetensors").write_bytes(b"nothing of the kind")
    driver.widget.train.open_model(tmp_path / "m.safetensors")
    assert driver.until(lambda: "m.safetensors" in driver.said and "reading" not in driver.said, 10)
    assert "\n" not in driver.said and not driver.widget.footer.button.isVisible()


# ---- Preview ----


def overlay(driver):
    (layer,) = [layer for layer in driver.viewer.layers if layer.name == "CEM prediction"]
    return layer


def test_the_prediction_lies_on_the_image_whatever_its_scale(driver):
    image = open_stack(driver)
    train(driver, 60)
    driver.viewer.dims.set_point(0, image.data_to_world([2, 0, 0])[0])
    driver.idle()
    driver.wait(0.3)
    layer = overlay(driver)
    assert np.allclose(layer.data_to_world([0, 0, 0]), image.data_to_world([2, 0, 0]))
    assert np.allclose(layer.scale, image.scale)
    assert layer.data.shape == (1, 96, 96)
    image.rotate = [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]
    image.translate = (0, 5, 5)
    driver.idle()
    driver.wait(0.3)
    for place in ([0, 0, 0], [0, 50, 80]):
        there = image.data_to_world([2, *place[1:]])
        assert np.allclose(layer.data_to_world(place), there)


def test_threshold_and_opacity_act_at_once_without_predicting(driver):
    open_stack(driver)
    train(driver, 60)
    asked = []
    driver.project.training.predicted.connect(asked.append)
    counts = []
    for value in (0.1, 0.5, 0.9):
        driver.widget.preview.threshold.setValue(value)
        counts.append(int((overlay(driver).data == 2).sum()))
    driver.widget.preview.opacity.setValue(0.3)
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[2]
    assert overlay(driver).opacity == pytest.approx(0.3)
    assert not asked
    assert driver.project.export()().card["threshold"] == pytest.approx(0.9, abs=0.01)


def test_a_deleted_preview_stays_away_until_it_is_asked_for(driver):
    open_stack(driver)
    train(driver)
    driver.viewer.layers.remove(overlay(driver))
    driver.viewer.dims.set_point(0, 630)
    driver.idle()
    driver.wait(0.3)
    assert "CEM prediction" not in layer_names(driver)
    assert driver.widget.preview.shown.currentText() == "off"
    driver.widget.preview.shown.setCurrentText("probability")
    driver.wait(0.2)
    assert "CEM probability" in layer_names(driver)


def test_a_closed_eye_stays_closed(driver):
    open_stack(driver)
    train(driver)
    overlay(driver).visible = False
    driver.viewer.dims.set_point(0, 630)
    driver.idle()
    driver.wait(0.3)
    assert not overlay(driver).visible
    assert driver.widget.preview.shown.currentText() == "off"
    overlay(driver).visible = True
    driver.wait(0.2)
    assert driver.widget.preview.shown.currentText() == "labels"


def test_the_preview_says_why_it_is_off(driver):
    open_stack(driver)
    train(driver)
    driver.viewer.dims.ndisplay = 3
    driver.wait(0.3)
    assert driver.widget.preview.line.text() == "the preview needs the 2D view"
    driver.viewer.dims.ndisplay = 2
    driver.viewer.dims.order = (1, 0, 2)
    driver.wait(0.3)
    assert "roll the axes back" in driver.widget.preview.line.text()
    driver.viewer.dims.order = (0, 1, 2)


def test_a_larger_window_shows_more_and_that_is_predicted(driver):
    open_stack(driver, cells(1, 1200), scale=(1, 1, 1), translate=(0, 0, 0))
    driver.viewer.window._qt_window.resize(900, 600)
    driver.wait(0.3)
    driver.viewer.scene.camera.zoom = 1
    driver.viewer.scene.camera.center = (0, 300, 300)
    driver.project.base, driver.project.follows = "scratch", False
    driver.widget.labels.new.click()
    draw(driver, ink=[(1, [(280, 250), (280, 300)]), (2, [(320, 250), (320, 300)])])
    driver.until(lambda: not driver.project.annotation.missing, 5)
    train(driver, 3)
    before = driver.project.viewport.view(driver.project.image)
    asked = []
    driver.project.viewport.moved.connect(lambda: asked.append(True))
    driver.viewer.window._qt_window.resize(1400, 950)
    assert driver.until(lambda: asked, 5)
    now = driver.project.viewport.view(driver.project.image)
    assert now.rows[1] > before.rows[1] and driver.project.training.live._view == now
    driver.idle()
    driver.wait(0.5)
    asked.clear()
    driver.wait(1)
    assert not asked


def test_results_never_land_on_another_image(driver):
    first = open_stack(driver)
    train(driver)
    driver.project.budget = None
    driver.project.train()
    driver.until(lambda: driver.said.startswith("training"), 20)
    second = driver.viewer.add_image(cells(3, seed=5), name="other")
    driver.project.use_image(second)
    first.name = "other"
    driver.wait(1.5)
    assert not [layer for layer in driver.viewer.layers if layer.name == "CEM prediction"]
    assert driver.project.result is None and not driver.project.rounds
    driver.viewer.layers.remove(second)
    driver.wait(0.5)
    assert driver.project.image is None or driver.project.image == first


def test_an_image_that_is_deleted_while_training_ends_it(driver):
    image = open_stack(driver)
    driver.project.base, driver.project.budget = "scratch", None
    driver.widget.labels.new.click()
    draw(driver)
    assert driver.until(lambda: driver.said.startswith("training"), 60)
    driver.viewer.layers.remove(image)
    driver.wait(0.5)
    assert driver.project.image is None and not driver.project.training.running
    assert driver.said == "stack was removed; its session is saved"


# ---- Segment ----


def test_a_cancelled_segmentation_resumes_from_its_file(driver, tmp_path):
    open_stack(driver, cells(40))
    train(driver)
    out = tmp_path / "out.tif"
    driver.widget.segment.out.setText(str(out))
    driver.widget.segment.run.click()
    assert driver.until(lambda: "slices" in driver.said and "segmenting, 0" not in driver.said, 60)
    driver.widget.segment.hold.click()
    assert driver.until(lambda: driver.said == "paused", 10)
    driver.wait(0.7)
    driver.widget.segment.hold.click()
    driver.widget.footer.button.click()
    assert driver.hears("cancelled", 5)
    assert not out.exists() and not driver.widget.objects.results()
    driver.wait(0.1)
    assert driver.widget.segment.again.isEnabled()
    driver.widget.segment.again.click()
    assert driver.hears(f"segmented into {out}"), driver.said
    (layer,) = driver.widget.objects.results()
    whole = cem.segment(cells(40), driver.project.export()())
    assert (np.asarray(layer.data) == whole).all()
    assert (cem.segment(cells(40), driver.project.export()()) == whole).all()


@pytest.mark.parametrize("planes", ["xz", "yz", "ortho"])
def test_other_planes_give_a_layer_like_the_image(driver, planes):
    image = open_stack(driver, cells(40))
    train(driver)
    driver.widget.segment.planes.setCurrentText(planes)
    assert "about" in driver.widget.segment.costs.text()
    layer = segment(driver)
    assert layer.data.shape == image.data.shape and np.allclose(layer.scale, image.scale)


def test_the_region_on_screen_is_segmented_where_it_is(driver):
    image = open_stack(driver, cells(3, 384))
    train(driver)
    driver.viewer.scene.camera.zoom *= 3
    driver.wait(0.3)
    driver.widget.segment.region.setCurrentText("the region on screen")
    layer = segment(driver)
    view = driver.project.viewport.view(image)
    assert 0 < view.rows[0] and view.rows[1] < 384
    assert layer.data.shape == (3, view.rows[1] - view.rows[0], view.columns[1] - view.columns[0])
    corner = image.data_to_world([0, view.rows[0], view.columns[0]])
    assert np.allclose(layer.data_to_world([0, 0, 0]), corner)


def test_an_existing_file_is_not_overwritten(driver, tmp_path):
    open_stack(driver)
    train(driver)
    out = tmp_path / "out.tif"
    out.write_text("precious")
    driver.widget.segment.out.setText(str(out))
    driver.widget.segment.run.click()
    assert driver.until(lambda: "exists" in driver.said, 10), driver.said
    assert out.read_text() == "precious" and not driver.widget.objects.results()


def test_what_was_done_is_python_that_runs(driver, tmp_path, capsys):
    np.save(tmp_path / "stack.npy", cells(3))
    driver.viewer.open(str(tmp_path / "stack.npy"), layer_type="image")
    driver.wait(0.3)
    train(driver, 150)
    driver.project.budget = 5
    text = driver.widget.segment.python().replace("seconds=5", "steps=3")
    here = tmp_path / "run"
    here.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        exec(compile(text, "copied", "exec"), {})
    assert (here / "segmentation.tif").exists() and (here / "model.safetensors").exists()
    assert len(capsys.readouterr().out.splitlines()) == 3


# ---- Objects ----


def test_objects_are_listed_selected_and_edited(driver, tmp_path):
    open_stack(driver)
    train(driver)
    made = np.zeros((3, 96, 96), np.uint8)
    made[:, 10:20, 10:20], made[1:, 40:60, 40:80], made[:, 70:72, 5:7] = 2, 2, 2
    driver.viewer.add_labels(
        made, name="seg", metadata=layers.marked(layers.RESULT, driver.project.image), **PLACE
    )
    driver.wait(0.1)
    section = driver.widget.objects
    section.update_all()
    section.least.setValue(50)
    section.search()
    assert driver.until(lambda: section.frame is not None, 20)
    assert list(section.frame["voxels"]) == [300, 1600]
    assert section.frame["volume_nm3"].iat[0] == pytest.approx(300 * 30 * 8 * 8)
    section.table.selectRow(1)
    assert section.layer.selected_label == 2 and driver.project.slice == 1
    section.layer.selected_label = 1
    assert section.selected() == [1]
    section.table.selectRow(1)
    section.split()
    for point in ((1, 50, 45), (1, 50, 75)):
        section.split_at(point)
    assert driver.until(lambda: len(section.frame) == 3, 10), section.told.text()
    assert section.frame["voxels"].sum() == 1900
    section.table.selectAll()
    section.merge()
    assert driver.until(lambda: len(section.frame) == 1, 10)
    whole = cem.measure_objects(
        section.layer.data, (30, 8, 8), image=cells(3), class_of={1: 2}, class_names={2: "class 1"}
    )
    pandas.testing.assert_frame_equal(section.frame, whole, check_exact=False)
    for count in (2, 3, 2):
        (section.undo if count == 2 else section.redo)() if count != 3 else section.undo()
        driver.wait(0.5)
    section.table.selectRow(0)
    section.delete()
    driver.wait(0.5)
    section.save_table(tmp_path / "t.csv")
    written = pandas.read_csv(tmp_path / "t.csv")
    assert list(written["object"]) == list(section.frame["object"])
    assert set(written["object"]) == set(np.unique(section.layer.data)) - {0}


# ---- Session ----


def test_objects_are_found_the_moment_a_segmentation_is_there(driver):
    open_stack(driver)
    train(driver, 60)
    objects = driver.widget.objects
    driver.project.told.connect(lambda line: line == "segmented" and objects.search())
    driver.widget.segment.run.click()
    assert driver.until(lambda: objects.frame is not None), driver.heard
    assert len(objects.frame) >= 1


def test_a_session_is_autosaved_and_reopened_as_it_was(driver, make_napari_viewer_proxy, tmp_path):
    from driver import Driver

    np.save(tmp_path / "stack.npy", cells(3))
    driver.viewer.open(str(tmp_path / "stack.npy"), layer_type="image")
    driver.wait(0.3)
    driver.project.image.scale = (30, 8, 8)
    train(driver)
    driver.project.annotation.set_classes(
        [driver.project.annotation.classes[0],
         {**driver.project.annotation.classes[1], "name": "disk", "color": "#112233"}]
    )  # fmt: skip
    driver.project.set_threshold(0.37)
    made = fingerprint(driver)
    labels = driver.project.annotation.painting.layer.data.copy()
    driver.close()
    assert Session.open(tmp_path / "stack.npy.cem").annotated() == [0]
    again = Driver(make_napari_viewer_proxy(show=True))
    again.viewer.open(str(tmp_path / "stack.npy.cem"), plugin="napari-cem")
    assert again.until(lambda: again.project.result is not None, 20), again.said
    assert fingerprint(again) == made
    assert (again.project.annotation.painting.layer.data == labels).all()
    assert [entry["name"] for entry in again.project.annotation.classes] == ["background", "disk"]
    assert again.project.own_threshold == pytest.approx(0.37)
    assert tuple(again.project.image.scale) == (30, 8, 8)
    again.idle()
    again.wait(0.3)
    assert "CEM prediction" in layer_names(again)
    again.close()


def test_the_same_image_opened_again_goes_on_with_its_session(driver, tmp_path):
    np.save(tmp_path / "stack.npy", cells(3))
    driver.viewer.open(str(tmp_path / "stack.npy"), layer_type="image")
    driver.wait(0.3)
    train(driver)
    labels = driver.project.annotation.painting.layer.data.copy()
    driver.viewer.layers.clear()
    driver.wait(0.3)
    driver.viewer.open(str(tmp_path / "stack.npy"), layer_type="image")
    driver.wait(0.3)
    assert driver.widget.labels.new.text() == "Go on with the session"
    driver.widget.labels.new.click()
    assert (driver.project.annotation.painting.layer.data == labels).all()
    assert driver.until(lambda: driver.project.result is not None, 20)


def test_labels_of_a_huge_image_are_painted_on_disk(driver, tmp_path):
    big = zarr.create_array(
        str(tmp_path / "big.zarr"), shape=(1200, 1024, 1024), chunks=(1, 512, 512), dtype="u1"
    )
    big[600, :96, :96] = cells(1)[0]
    driver.viewer.add_image(big, name="big", contrast_limits=(0, 255))
    driver.wait(0.5)
    driver.project.follows = False
    driver.widget.labels.new.click()
    driver.viewer.dims.set_point(0, 600)
    driver.wait(0.3)
    driver.stroke(2, [(400, 400), (400, 500)], 9)
    assert driver.until(lambda: driver.project.annotation.slices, 10)
    driver.project.annotation.keeper.flush()
    kept = Session.open(driver.project.annotation.keeper.session.folder)
    assert kept.annotated() == [600]
    assert int((kept.labels[600] == 2).sum()) == sum(driver.project.annotation.slices.values())


# ---- Keys, palette, tour, preferences ----


def test_keys_work_while_the_widget_is_open_and_are_given_back(driver):
    from napari.utils.key_bindings import coerce_keybinding

    open_stack(driver)
    train(driver)
    project, keymap = driver.project, driver.viewer.keymap
    taken = {coerce_keybinding(key) for key in ("Shift-T", "J", "U", "H", "K", "Q", "W", "N")}
    assert taken <= set(keymap)
    keymap[coerce_keybinding("J")](driver.viewer)
    assert project.overlay.shown == "off"
    keymap[coerce_keybinding("U")](driver.viewer)
    driver.wait(0.2)
    shown = [layer.name for layer in driver.viewer.layers if layer.visible]
    assert "CEM uncertainty" in shown and "CEM prediction" not in shown
    keymap[coerce_keybinding("U")](driver.viewer)
    assert project.overlay.shown == "labels"
    keymap[coerce_keybinding("K")](driver.viewer)
    assert project.follows
    project.follows = False
    before = project.annotation.painting.layer.selected_label
    keymap[coerce_keybinding("W")](driver.viewer)
    assert project.annotation.painting.layer.selected_label != before
    held = keymap[coerce_keybinding("H")](driver.viewer)
    next(held)
    assert [layer.name for layer in driver.viewer.layers if layer.visible] == ["stack"]
    assert next(held, None) is None and project.annotation.painting.layer.visible
    driver.close()
    assert not taken & set(driver.viewer.keymap)


def test_the_palette_has_our_commands_and_they_work(driver, npe2pm):
    from napari_cem.widget import commands

    open_stack(driver)
    assert commands.widget_of(driver.viewer) is driver.widget
    commands.new_labels(driver.viewer)
    assert driver.project.annotation.painting is not None
    commands.segment(driver.viewer)
    assert driver.said == "needs a model: train first"
    commands.find_objects(driver.viewer)
    assert driver.said == "needs a segmentation"
    commands.train(driver.viewer)
    assert "paint some" in driver.said


def test_the_tour_leads_through_the_sample(driver):
    driver.project.budget = 1.0
    tour = driver.widget.tour
    tour.begin()
    assert not tour.isHidden() and tour.text.text().startswith("1/5")
    tour.show_me.click()
    driver.wait(0.3)
    assert tour.text.text().startswith("2/5") and driver.project.image is not None
    tour.show_me.click()
    driver.wait(0.3)
    assert tour.text.text().startswith("3/5")
    driver.project.budget = 1.0
    tour.show_me.click()
    assert driver.until(lambda: tour.text.text().startswith("4/5"), 60), driver.said
    assert driver.project.annotation.classes[1]["name"] == "membrane"
    tour.show_me.click()
    driver.wait(0.3)
    driver.shot("tour")
    assert tour.text.text().startswith("5/5")
    tour.show_me.click()
    assert driver.until(lambda: tour.text.text().startswith("That is all"), 120)
    driver.widget.cancel()
    driver.idle()


KNOWN = """
import napari
from napari._app_model import get_app_model
from napari.settings import get_plugin_settings
from napari_cem.widget import preferences

viewer = napari.Viewer(show=False)
names = {str(name) for name, _ in get_app_model().commands}
for name in ("segment", "new_labels", "train", "segment_volume", "find_objects", "cancel", "tour"):
    assert f"napari-cem.{name}" in names, name
settings = get_plugin_settings("napari-cem").widget
settings.threads, settings.memory_mb = 1, 64
assert preferences.load() == preferences.Preferences(1, 64 << 20)
(image, labels) = viewer.open_sample("napari-cem", "fly_medulla")
assert image.data.shape == labels.data.shape == (64, 250, 250)
viewer.close()
"""


def test_napari_knows_our_commands_sample_and_preferences(tmp_path):
    env = {**os.environ, "NAPARI_CONFIG": str(tmp_path / "settings.yaml"), "HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KNOWN], capture_output=True, text=True, env=env
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_preferences_are_what_the_widget_computes_with(driver, monkeypatch):
    from napari_cem.widget import preferences

    assert preferences.Preferences() == preferences.load()
    monkeypatch.setattr(preferences, "load", lambda: preferences.Preferences(1, 64 << 20))
    open_stack(driver)
    train(driver)
    assert driver.project.training.live.threads == 1
    assert driver.project.training.live.feature_bytes == 64 << 20


def test_the_dock_is_narrow_and_its_sections_stand_in_the_order_of_the_work(driver):
    from qtpy.QtWidgets import QScrollArea

    titles = [section.title for section in driver.widget.sections]
    assert titles == ["Data", "Labels", "Train", "Preview", "Segment", "Objects"]
    assert driver.widget.width() <= 380
    area = driver.widget.findChild(QScrollArea)
    for section in driver.widget.sections:
        section.body.setVisible(True)
    driver.viewer.add_image(cells(2), name="a stack with a very long name, as files often have")
    driver.wait(0.2)
    assert area.widget().width() <= area.viewport().width()
    driver.viewer.layers.clear()
    driver.wait(0.2)
    for section in driver.widget.sections[1:]:
        assert section.line.text().startswith("needs") and not section.body.isEnabled()


def test_what_an_error_says_reaches_the_footer_and_the_bar_goes_away(driver):
    data = cells(3).astype(np.float32)
    data[1, 5, 5] = np.nan
    open_stack(driver, data)
    driver.project.base, driver.project.follows = "scratch", False
    driver.widget.labels.new.click()
    draw(driver)
    driver.until(lambda: not driver.project.annotation.missing, 5)
    driver.project.train()
    assert driver.until(lambda: "nan" in driver.said, 60), driver.said
    assert driver.idle(5) and not driver.widget.footer.button.isVisible()
    assert json.dumps(driver.said)


def test_closing_the_dock_ends_the_work_and_gives_the_keys_back(driver):
    from napari.utils.key_bindings import coerce_keybinding

    open_stack(driver)
    train(driver)
    driver.project.budget = None
    driver.project.train()
    driver.until(lambda: driver.said.startswith("training"), 20)
    driver.viewer.window.remove_dock_widget(driver.widget)
    assert driver.until(lambda: not driver.project.training.running, 5)
    assert coerce_keybinding("Shift-T") not in driver.viewer.keymap
    assert "CEM prediction" not in layer_names(driver)


def test_a_layer_that_is_taken_is_saved_and_not_written_to(driver):
    image = open_stack(driver)
    driver.project.follows = False
    driver.widget.labels.new.click()
    draw(driver)
    assert driver.until(lambda: not driver.project.annotation.missing, 5)
    mine = driver.viewer.add_labels(scribbles(3, annotated=2), name="mine", **PLACE)
    before = mine.data.copy()
    assert driver.project.use_labels(mine) is None
    keeper = driver.project.annotation.keeper
    keeper.flush()
    assert (mine.data == before).all()
    assert (keeper.session.labels[...] == before).all()
    assert (keeper.session.folder / "labels-1.zarr").exists() and driver.project.image == image
