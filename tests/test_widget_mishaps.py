"""The dock widget when things go otherwise than planned: cancelled, damaged, swapped."""

import numpy as np
import pytest
from acts import INK, PLACE, draw, fingerprint, learn, open_stack, train
from samples import cells, scribbles

import napari_cem as cem
from napari_cem.session import MODEL, PREVIOUS
from napari_cem.widget import layers

pytestmark = [pytest.mark.display, pytest.mark.filterwarnings("default")]


def session_of(driver):
    keeper = driver.project.annotation.keeper
    keeper.flush()
    return keeper.session


def begin_segmentation(driver, slices=60):
    """Starts to segment a stack; returns when the first slices are there."""
    open_stack(driver, cells(slices))
    train(driver)
    driver.widget.segment.run.click()
    assert driver.until(lambda: "slices" in driver.said and "segmenting, 0" not in driver.said, 60)


# ---- Segment ----


def test_pause_and_go_on_within_a_block_segments_all(driver):
    begin_segmentation(driver)
    for _ in range(2):
        driver.widget.segment.hold.click()
    assert driver.hears("segmented", 60), driver.said


def test_cancel_while_paused_within_a_block_ends_at_once(driver):
    begin_segmentation(driver)
    driver.widget.segment.hold.click()
    driver.widget.footer.button.click()
    assert driver.hears("cancelled", 5), driver.said
    assert driver.idle(5) and not driver.widget.objects.results()


def test_a_segmentation_asked_for_in_a_round_takes_the_model_of_its_end(driver):
    open_stack(driver)
    train(driver)
    driver.project.budget = None
    before = fingerprint(driver)
    driver.project.train()
    assert driver.until(lambda: driver.said.startswith("training"), 20)
    driver.widget.segment.run.click()
    assert driver.hears("segmented", 60), driver.said
    assert len(driver.project.rounds) == 2 and fingerprint(driver) != before
    (result,) = driver.widget.objects.results()
    whole = cem.segment(cells(3), driver.project.export()())
    assert (np.asarray(result.data) == whole).all()


# ---- Labels ----


def test_labels_taken_after_a_round_are_those_that_are_learned(driver):
    open_stack(driver)
    train(driver)
    drawn = driver.project.annotation.painting.layer
    mine = np.zeros((3, 96, 96), np.uint8)
    mine[2] = scribbles(1)[0]
    assert driver.project.use_labels(driver.viewer.add_labels(mine, name="mine", **PLACE)) is None
    assert learn(driver, driver.project.train, 5) and driver.idle()
    learned = [data["labels"] for data in driver.project.result.card["data"] if data["labels"]]
    assert [sum(counts.values()) for counts in learned] == [int((mine > 0).sum())]
    driver.viewer.layers.remove(driver.project.annotation.painting.layer)
    driver.project.train()
    assert driver.heard[-1] == "add labels first"
    assert driver.project.use_labels(drawn) is None
    assert learn(driver, driver.project.train, 5)


# ---- Sessions ----


def test_a_session_whose_model_is_damaged_says_so_and_keeps_it(driver, tmp_path):
    np.save(tmp_path / "stack.npy", cells(3))
    driver.viewer.open(str(tmp_path / "stack.npy"), layer_type="image")
    driver.wait(0.3)
    train(driver)
    model = session_of(driver).folder / MODEL
    driver.viewer.layers.clear()
    driver.wait(0.3)
    model.write_bytes(b"damaged")
    driver.viewer.open(str(tmp_path / "stack.npy"), layer_type="image")
    driver.wait(0.3)
    driver.widget.labels.new.click()
    assert driver.hears(f"'{model}' is not a safetensors file", 20), driver.heard
    driver.project.train()
    assert driver.hears(f"'{model}' is not a safetensors file", 20), driver.heard
    assert model.read_bytes() == b"damaged" and not driver.project.rounds
    driver.project.start_anew("scratch")
    assert learn(driver, driver.project.train, 3)
    assert session_of(driver).load_model().fingerprint() == fingerprint(driver)
    assert (model.with_name(PREVIOUS)).read_bytes() == b"damaged"


def test_a_class_more_puts_the_model_aside_and_says_so(driver):
    open_stack(driver)
    train(driver)
    made, session = fingerprint(driver), session_of(driver)
    driver.project.annotation.add_class()
    assert driver.until(lambda: "put aside" in driver.said, 5)
    assert not session_of(driver).has_model
    aside = cem.Model.load(session.folder / PREVIOUS)
    assert aside.fingerprint() == made


def test_a_first_round_that_is_taken_back_leaves_no_model_to_go_on_with(driver):
    open_stack(driver)
    train(driver)
    assert session_of(driver).has_model
    driver.wait(0.1)
    driver.widget.train.back.click()
    assert driver.hears("reverted", 10)
    assert driver.project.result is None and not session_of(driver).has_model
    driver.wait(0.3)
    assert not [
        layer.name
        for layer in driver.viewer.layers
        if layer.name == "CEM prediction" and layer.visible
    ]


def test_the_budget_is_that_of_the_session(driver, tmp_path):
    np.save(tmp_path / "stack.npy", cells(3))
    driver.viewer.open(str(tmp_path / "stack.npy"), layer_type="image")
    driver.wait(0.3)
    driver.project.follows = False
    driver.widget.labels.new.click()
    driver.widget.train.budget.setCurrentText("Best (60 s)")
    draw(driver, ink=INK)
    driver.until(lambda: not driver.project.annotation.missing, 5)
    driver.wait(0.8)
    driver.viewer.layers.clear()
    driver.widget.train.budget.setCurrentText("Quick (5 s)")
    driver.viewer.open(str(tmp_path / "stack.npy"), layer_type="image")
    driver.wait(0.3)
    driver.widget.labels.new.click()
    driver.wait(0.2)
    assert driver.project.budget == 60
    assert driver.widget.train.budget.currentText() == "Best (60 s)"


# ---- Data ----


def test_a_grey_image_beside_a_colour_image_is_found(driver):
    driver.viewer.add_image(np.zeros((64, 64, 3), np.uint8), name="colour", rgb=True)
    driver.wait(0.1)
    assert "colour image" in driver.widget.data.line.text()
    grey = open_stack(driver)
    assert driver.project.image == grey
    assert "colour" not in driver.widget.data.line.text()


# ---- Objects ----


def test_objects_are_merged_by_clicks_and_an_edit_is_not_cut_short(driver):
    image = open_stack(driver)
    made = np.zeros((3, 96, 96), np.uint8)
    made[:, 10:20, 10:20], made[:, 40:60, 40:80] = 2, 2
    driver.viewer.add_labels(
        made, name="seg", metadata=layers.marked(layers.RESULT, image), **PLACE
    )
    driver.wait(0.1)
    section = driver.widget.objects
    section.update_all()
    section.search()
    assert driver.until(lambda: section.frame is not None, 20)
    driver.viewer.layers.selection.active = section.layer
    section.table.selectRow(0)

    class Click:
        position, modifiers = section.layer.data_to_world((0, 50, 50)), ("Shift",)

    section._click(section.layer, Click)
    assert section.selected() == [1, 2]
    section.merge()
    driver.widget.cancel()
    assert driver.until(lambda: len(section.frame) == 1, 10)
    assert section.frame["voxels"].iat[0] == 2700 == (section.layer.data == 1).sum()


def test_a_line_that_is_told_while_something_runs_hides_neither_the_bar_nor_the_line(driver):
    open_stack(driver)
    train(driver)
    driver.project.budget = None
    driver.project.train()
    assert driver.until(lambda: driver.said.startswith("training"), 20)
    driver.project.told.emit("by the way")
    driver.wait(0.2)
    assert driver.widget.footer.text.text() == "by the way"
    assert driver.widget.footer.button.isVisible()
    driver.widget.cancel()
    assert driver.idle(5)
    driver.wait(0.2)
    assert not driver.widget.footer.button.isVisible()
