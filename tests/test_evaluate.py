"""Scores of a segmentation against the truth."""

import json
import math

import numpy as np
import pytest
import tifffile

from napari_cem.evaluation import evaluate, parse_classes, table


def squares(shape=(2, 10, 10)):
    """A prediction of 20 pixels a slice and a truth of 10, 5 in both; none on slice 1's truth."""
    prediction = np.ones(shape, np.uint8)
    truth = np.zeros(shape, np.uint8)
    prediction[:, :2] = 2
    truth[0, 1:3, :5] = 1
    return prediction, truth


def test_iou_and_dice_are_those_of_the_definition():
    prediction, truth = squares()
    scores = evaluate(prediction, truth, classes={"mito": (2, 1)})["mito"]
    assert scores.iou == 5 / (40 + 10 - 5)
    assert scores.dice == 2 * 5 / (40 + 10)
    assert (scores.predicted, scores.true) == (40, 10)


def test_slices_are_scored_one_by_one():
    prediction, truth = squares()
    scores = evaluate(prediction, truth, classes={"mito": (2, 1)})["mito"]
    assert scores.slice_iou == [5 / 25, 0.0]
    assert scores.slice_dice == [2 * 5 / 30, 0.0]


def test_random_labels_agree_with_a_count_by_hand():
    random = np.random.default_rng(0)
    prediction, truth = random.integers(0, 4, (2, 3, 20, 20), np.uint8)
    scores = evaluate(prediction, truth)
    assert [entry.name for entry in scores.classes] == ["1", "2", "3"]
    for entry in scores.classes:
        a, b = prediction == int(entry.name), truth == int(entry.name)
        assert math.isclose(entry.iou, (a & b).sum() / (a | b).sum())
        assert math.isclose(entry.dice, 2 * (a & b).sum() / (a.sum() + b.sum()))


def test_only_pixels_of_the_mask_count():
    prediction, truth = squares()
    mask = np.zeros(truth.shape, bool)
    mask[0, 1, :5] = True
    scores = evaluate(prediction, truth, mask, {"mito": (2, 1)})
    assert scores.counted == 5
    assert scores["mito"].iou == 1.0
    assert math.isnan(scores["mito"].slice_iou[1])


def test_a_class_that_is_nowhere_has_no_score():
    prediction, truth = squares()
    assert math.isnan(evaluate(prediction, truth, classes={"none": (9, 9)})["none"].iou)


def test_several_values_make_one_class():
    prediction = np.array([[1, 2, 3, 4]], np.uint8)
    truth = np.array([[0, 255, 255, 255]], np.uint8)
    assert evaluate(prediction, truth, classes="organelle=2+3:255")["organelle"].iou == 2 / 3


def test_values_that_do_not_belong_together_are_not_guessed():
    prediction, truth = squares()
    with pytest.raises(ValueError, match=r"has the values 1, 2 and .* 0, 1; say which belong"):
        evaluate(prediction, truth)


@pytest.mark.parametrize("text", ["mito", "mito=2", "mito=2:x", "=2:1", "mito=2:1,", "a:1=2"])
def test_a_mapping_that_cannot_be_read_shows_how_to_write_it(text):
    with pytest.raises(ValueError, match="NAME=PREDICTED:TRUE"):
        parse_classes(text)


def test_shapes_must_agree():
    with pytest.raises(
        ValueError, match=r"prediction is 2 x 3 x 3 uint8 but truth is 2 x 3 x 4 uint8"
    ):
        evaluate(np.ones((2, 3, 3), np.uint8), np.ones((2, 3, 4), np.uint8))


def test_a_mask_that_is_empty_is_refused():
    ones = np.ones((3, 3), np.uint8)
    with pytest.raises(ValueError, match="nothing counts"):
        evaluate(ones, ones, np.zeros((3, 3), np.uint8))


def test_a_truth_without_any_class_is_refused():
    zeros = np.zeros((3, 3), np.uint8)
    with pytest.raises(ValueError, match="has no class"):
        evaluate(zeros, zeros)


def test_probabilities_are_no_prediction():
    with pytest.raises(ValueError, match="labels are whole numbers"):
        evaluate(np.zeros((3, 3)), np.ones((3, 3), np.uint8))


def test_the_table_shows_a_missing_score_as_a_dash():
    prediction, truth = squares()
    text = table(evaluate(prediction, truth, classes={"mito": (2, 1), "none": (9, 9)}))
    lines = text.splitlines()
    assert lines[1].split() == ["mito", "0.111", "0.200", "40", "10"]
    assert lines[2].split() == ["none", "-", "-", "0", "0"]
    assert lines[-2].split() == ["0", "0.200", "0.333", "-", "-"]


def test_the_command_prints_the_same_numbers_as_json(command, tmp_path):
    prediction, truth = squares()
    for name, pixels in (("p", prediction), ("t", truth)):
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels, photometric="minisblack")
    status, out, err = command(
        "evaluate", tmp_path / "p.tif", tmp_path / "t.tif", "--classes", "mito=2:1", "--json"
    )
    assert (status, err) == (0, "")
    result = json.loads(out)
    assert result["event"] == "result"
    assert result["classes"][0]["iou"] == 5 / 45
    assert result["classes"][0]["slice_iou"] == [0.2, 0.0]
