"""Training: what is learned, what is left alone, and what two runs have in common."""

import json
import threading

import numpy as np
import pytest
from samples import cells, scribbles

import napari_cem as cem
from napari_cem.intensity import measure

NARROW = [32, 16, 16, 16, 16]
SMALL = {"crop": 96, "batch": 2}


def scratch(classes=("background", "disk"), seed=0):
    return cem.Model.from_weights("scratch", classes, seed, widths=NARROW)


def trained(steps=4, threads=0, seed=0, **options):
    model = scratch()
    trainer = cem.Trainer(model, seed=seed, threads=threads, **SMALL, **options)
    trainer.add(cells(1)[0], scribbles(1)[0])
    reports = list(trainer.run(steps=steps))
    return model, reports, trainer


def encoder(model):
    return {
        name: model.core.tensor_get(index)
        for index, (name, _) in enumerate(model.core.tensors())
        if name.startswith("encoder.")
    }


def test_strokes_on_one_slice_are_enough_to_find_the_object():
    model = scratch()
    trainer = cem.Trainer(model, **SMALL)
    stack = cells(6)
    trainer.add(stack, scribbles(6))
    losses = [report.loss for report in trainer.run(steps=60)]
    labels = cem.segment(stack, model)
    y, x = np.mgrid[:96, :96]
    disk = (y - 96 * 0.4 - 4) ** 2 + (x - 48) ** 2 < (96 * 0.2) ** 2
    assert losses[-1] < losses[0]
    scores = cem.evaluate(labels[4], disk.astype(np.uint8), classes={"disk": (2, 1)})
    assert scores["disk"].iou > 0.5


def test_one_stroke_a_class_is_enough_to_begin():
    labels = np.zeros((96, 96), np.uint8)
    labels[5, 10:80], labels[40, 40:56] = 1, 2
    trainer = cem.Trainer(scratch(), **SMALL)
    trainer.add(cells(1)[0], labels)
    reports = list(trainer.run(steps=2))
    assert [report.step for report in reports] == [1, 2]
    assert np.isfinite(reports[-1].loss)
    assert reports[-1].held_out == 0 and reports[-1].held_out_iou is None


def test_reports_tell_step_speed_and_held_out_iou():
    _, reports, trainer = trained(11)
    last = reports[-1]
    assert [report.step for report in reports] == list(range(1, 12))
    assert last.steps_per_second > 0 and last.seconds > 0
    assert last.held_out > 0
    assert last.held_out_iou and set(last.held_out_iou) <= {"background", "disk"}
    assert trainer.held_out_iou is not None


@pytest.mark.parametrize("steps", [1, 15, 16])
def test_any_number_of_steps_is_done_to_the_last(steps):
    _, reports, _ = trained(steps)
    assert len(reports) == steps


def test_a_time_budget_does_at_least_one_step():
    trainer = cem.Trainer(scratch(), **SMALL)
    trainer.add(cells(1)[0], scribbles(1)[0])
    assert len(list(trainer.run(seconds=1e-6))) == 1


def test_two_runs_and_any_number_of_threads_give_equal_bytes(tmp_path):
    for name, threads in (("a", 0), ("b", 0), ("c", 1), ("d", 3)):
        trained(5, threads)[0].save(tmp_path / f"{name}.safetensors")
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1


def test_another_seed_gives_another_model():
    assert trained(2)[0].fingerprint() != trained(2, seed=1)[0].fingerprint()


def test_the_frozen_encoder_is_the_same_before_and_after():
    model = scratch()
    trainer = cem.Trainer(model, **SMALL, restatistics=0)
    trainer.add(cells(1)[0], scribbles(1)[0])
    before = encoder(model)
    list(trainer.run(steps=3))
    after = encoder(model)
    assert all((before[name] == after[name]).all() for name in before)


def test_re_estimated_statistics_are_the_same_for_any_number_of_steps():
    one, many = encoder(trained(1)[0]), encoder(trained(4)[0])
    assert all((one[name] == many[name]).all() for name in one)


def test_statistics_are_not_estimated_from_a_single_value(tmp_path):
    model = scratch()
    before = encoder(model)
    trainer = cem.Trainer(model, crop=32, batch=1)
    trainer.add(cells(1, 32)[0], scribbles(1, 32)[0])
    list(trainer.run(steps=1))
    after = encoder(model)
    assert all((before[name] == after[name]).all() for name in before)
    model.save(tmp_path / "m.safetensors")
    cem.Model.load(tmp_path / "m.safetensors")


def test_pixels_without_labels_are_not_taught_as_background():
    stack = cells(1, 192)
    stack[0, :, 96:] = stack[0, ::-1, 95::-1]  # a second disk, which nobody labels
    disk = stack[0] < 115
    labels = np.zeros_like(stack[0])
    labels[:, :96] = scribbles(1, 192)[0, :, :96]
    model = scratch()
    trainer = cem.Trainer(model, **SMALL)
    trainer.add(stack[0], labels)
    list(trainer.run(steps=60))
    found = cem.segment(stack[0], model) == 2
    assert found[:, 96:][disk[:, 96:]].mean() > 0.8
    assert found[~disk].mean() < 0.5


def test_labels_that_are_wiped_teach_nothing():
    stack, results = cells(2), []
    for wiped in (False, True):
        trainer = cem.Trainer(model := scratch(), restatistics=0, **SMALL)
        both = scribbles(2) + scribbles(2, annotated=1)
        key = trainer.add(stack, both if wiped else scribbles(2))
        trainer.add(stack, scribbles(2), key=key)
        list(trainer.run(steps=2))
        results.append([model.core.tensor_get(k) for k in range(len(model.core.tensors()))])
    assert all((a == b).all() for a, b in zip(*results, strict=True))


def test_only_slices_with_labels_are_used():
    trainer = cem.Trainer(scratch(), **SMALL)
    trainer.add(cells(5), scribbles(5, annotated=3))
    list(trainer.run(steps=1))
    alone = cem.Trainer(model := scratch(), **SMALL)
    measured = measure(cells(5))
    alone.add(cells(5)[3], scribbles(5, annotated=3)[3], intensity=measured)
    list(alone.run(steps=1))
    first = model.core.tensors()
    assert all(
        (trainer.model.core.tensor_get(k) == model.core.tensor_get(k)).all()
        for k in range(len(first))
    )


def test_new_labels_for_a_known_image_replace_the_old_ones():
    trainer = cem.Trainer(scratch(), **SMALL)
    key = trainer.add(cells(1)[0], scribbles(1)[0])
    list(trainer.run(steps=1))
    labels = scribbles(1)[0]
    labels[60:62, 10:80] = 1
    assert trainer.add(cells(1)[0], labels, key=key) == key
    assert [report.step for report in trainer.run(steps=1)] == [2]
    assert len(trainer.model.card["data"]) == 1


def test_the_same_key_with_another_image_is_refused():
    trainer = cem.Trainer(scratch(), **SMALL)
    key = trainer.add(cells(1)[0], scribbles(1)[0])
    with pytest.raises(ValueError):
        trainer.add(cells(1, seed=9)[0], scribbles(1)[0], key=key)


def test_revert_puts_back_what_the_model_was():
    model = scratch()
    before = [model.core.tensor_get(k) for k in range(len(model.core.tensors()))]
    trainer = cem.Trainer(model, **SMALL)
    trainer.add(cells(1)[0], scribbles(1)[0])
    card = model.card
    list(trainer.run(steps=2))
    trainer.revert()
    known = {name: value for name, value in card.items() if value is not None}
    assert model.card == known
    after = [model.core.tensor_get(k) for k in range(len(model.core.tensors()))]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_a_snapshot_shows_the_run_and_changes_nothing_of_it():
    image, labels = cells(1)[0], scribbles(1)[0]
    results = []
    for looking in (False, True):
        model = scratch()
        trainer = cem.Trainer(model, **SMALL)
        trainer.add(image, labels)
        shown, pictures = model.copy(), []
        for _ in trainer.run(steps=3):
            if looking:
                trainer.snapshot(shown)
                pictures.append(shown.predict(image, slice=1)[1])
        if looking:
            assert not (pictures[0] == pictures[1]).all()
            assert not (pictures[1] == pictures[2]).all()
            assert (pictures[2] == model.predict(image)[1]).all()
        results.append(model.fingerprint())
    assert results[0] == results[1]


def test_a_cancelled_run_leaves_the_model_as_it_was():
    model = scratch()
    before = model.fingerprint()
    trainer = cem.Trainer(model, **SMALL)
    trainer.add(cells(1)[0], scribbles(1)[0])
    with pytest.raises(cem.Cancelled):
        for report in trainer.run(steps=1000):
            if report.step == 2:
                threading.Timer(0.05, trainer.cancel).start()
    assert model.fingerprint() == before
    assert trainer.step >= 2
    trainer.commit()
    assert model.fingerprint() != before


def test_a_training_that_was_saved_goes_on_with_the_same_bits(tmp_path):
    straight, _, _ = trained(6)
    model = scratch()
    trainer = cem.Trainer(model, **SMALL)
    trainer.add(cells(1)[0], scribbles(1)[0])
    run = trainer.run(steps=6)
    for _ in range(3):
        next(run)
    trainer.save(tmp_path / "state")
    again = cem.Trainer.load(model := scratch(), tmp_path / "state", **SMALL)
    again.add(cells(1)[0], scribbles(1)[0])
    reports = list(again.run(steps=3))
    assert reports[-1].step == 6
    assert model.fingerprint() == straight.fingerprint()


def test_the_card_records_the_training_without_times_or_paths(tmp_path):
    model, _, _ = trained(3)
    card = model.card
    assert card["training"]["recipe"] == "interactive"
    assert card["training"]["steps_done"] == 3
    assert card["training"]["restatistics"] == 1
    assert card["intensity"]["dtype"] == "uint8"
    assert card["intensity_rule"] == "volume"
    assert card["data"][0]["labels"] == {"1": 560, "2": 128}
    text = json.dumps(card)
    assert "/" not in text.replace("https://", "")
    assert "threads" not in text


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (np.zeros((96, 96), np.uint8), "no annotated pixel"),
        (np.zeros((96, 95), np.uint8), "have the shape"),
        (np.full((96, 96), 9, np.uint8), "has the label 9"),
    ],
)
def test_labels_that_cannot_be_right_are_refused(labels, complaint):
    trainer = cem.Trainer(scratch(), **SMALL)
    with pytest.raises(ValueError, match=complaint):
        trainer.add(cells(1)[0], labels)


def test_one_class_alone_is_refused_when_training_begins():
    trainer = cem.Trainer(scratch(), **SMALL)
    labels = scribbles(1)[0]
    trainer.add(cells(1)[0], np.where(labels == 2, 2, 0))
    with pytest.raises(ValueError, match=r"only the value 2; paint background \(1\) too"):
        next(trainer.run(steps=1))


@pytest.mark.parametrize(
    "options", [{"recipe": "other"}, {"freeze": "stage4"}, {"optimizer": "lamb"}, {"batch": 0}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError):
        cem.Trainer(scratch(), **options)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match=r"there is no option nonsense; there are .*batch"):
        cem.Trainer(scratch(), nonsense=3)


def test_dense_labels_train_with_zero_as_a_class():
    labels = (cells(1)[0] < 110).astype(np.uint8) * 255
    model = cem.Model.from_weights("scratch", {0: "background", 255: "disk"}, widths=NARROW)
    trainer = cem.Trainer(model, dense=1, **SMALL)
    trainer.add(cells(1)[0], labels)
    list(trainer.run(steps=2))
    assert set(np.unique(cem.segment(cells(1)[0], model))) <= {0, 255}


def test_the_paper_recipe_records_the_norms_it_used():
    labels = (cells(2) < 110).astype(np.uint8)
    model = cem.Model.from_weights("scratch", {0: "background", 1: "disk"}, widths=NARROW)
    trainer = cem.Trainer(model, "cem500k", steps=2, crop=64, batch=2)
    trainer.add(cells(2).astype(np.uint16) * 200, labels)
    reports = list(trainer.run())
    card = model.card
    assert len(reports) == 2
    assert card["intensity_rule"] == "norms"
    mean, deviation = card["norms"]
    assert 0.3 < mean < 0.8 and 0.05 < deviation < 0.5
    assert cem.segment(cells(2), model).shape == (2, 96, 96)


@pytest.mark.parametrize(
    ("freeze", "numbers"),
    [
        ("all", 9_013_073),
        ("layer4", 23_977_809),
        pytest.param("layer3", 31_076_177, marks=pytest.mark.long),
        pytest.param("layer2", 32_295_761, marks=pytest.mark.long),
        pytest.param("layer1", 32_511_569, marks=pytest.mark.long),
        ("none", 32_514_833),
    ],
)
def test_each_choice_of_layers_trains_as_many_numbers_as_published(freeze, numbers):
    model = cem.Model.from_weights("scratch")
    before = [model.core.tensor_get(k) for k in range(len(model.core.tensors()))]
    trainer = cem.Trainer(model, "cem500k", freeze=freeze, crop=32, batch=2)
    trainer.add(cells(1)[0], np.where(cells(1)[0] < 110, 2, 1))
    list(trainer.run(steps=1))
    changed = {
        name: old.size
        for k, ((name, _), old) in enumerate(zip(model.core.tensors(), before, strict=True))
        if (model.core.tensor_get(k) != old).any()
    }
    statistics = [name for name in changed if "running_" in name or "num_batches" in name]
    assert sum(changed.values()) - sum(changed[name] for name in statistics) == numbers
