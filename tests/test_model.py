"""Models: made from weights, saved, loaded, and used on single images and stacks."""

import json
import subprocess
import sys

import numpy as np
import pytest
from samples import cells

import napari_cem as cem
from napari_cem import demo
from napari_cem.intensity import Intensity, looks_inverted, measure

NARROW = [32, 16, 16, 16, 16]


def scratch(classes=("background", "disk"), seed=0):
    return cem.Model.from_weights("scratch", classes, seed, widths=NARROW)


def test_the_same_seed_gives_the_same_model():
    assert scratch().fingerprint() == scratch().fingerprint()
    assert scratch().fingerprint() != scratch(seed=1).fingerprint()


def test_probabilities_of_an_image_sum_to_one(model):
    probabilities = model.predict(cells(1)[0])
    assert probabilities.shape == (2, 96, 96)
    assert probabilities.dtype == np.float32
    assert np.abs(probabilities.sum(axis=0) - 1).max() < 1e-6


def test_classes_stand_before_slices(model):
    assert model.predict(cells(3)).shape == (2, 3, 96, 96)


def test_a_slice_alone_is_as_in_its_stack(model):
    stack = cells(11)
    constants = measure(stack).intensity
    together = model.predict(stack, constants)
    for z in (0, 7, 8, 10):
        assert (model.predict(stack[z], constants) == together[:, z]).all()


def characters_read():
    """What this process has read from files so far, in bytes."""
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])


def test_a_model_is_read_once(model_file, tmp_path):
    copy = tmp_path / "m.safetensors"
    copy.write_bytes(model_file.read_bytes())
    model = cem.Model.load(copy)
    copy.unlink()
    first = model.predict(cells(1)[0])
    before = characters_read()
    again = [model.predict(cells(1)[0]), cem.segment(cells(1)[0], model, probabilities=True)]
    assert characters_read() - before < 10_000
    assert all((one[1] == first[1]).all() for one in again)


def test_probabilities_do_not_depend_on_threads(model):
    images = [model.predict(cells(2), threads=threads) for threads in (1, 2, 3)]
    assert (images[0] == images[1]).all() and (images[0] == images[2]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 65), (31, 7)])
def test_images_of_any_size_are_predicted(model, shape):
    pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    found = model.predict(pixels, Intensity(128, 0.02))
    assert found.shape == (2, *shape)
    assert np.isfinite(found).all()


def test_the_logit_of_two_classes_is_that_of_the_second(model):
    logit = model.logits(cells(1)[0])
    assert logit.shape == (1, 96, 96)
    expected = 1 / (1 + np.exp(-logit[0].astype(np.float64)))
    assert np.abs(model.predict(cells(1)[0])[1] - expected).max() < 1e-5


def test_several_classes_have_a_logit_each():
    model = scratch(["background", "a", "b"])
    logits = model.logits(cells(1)[0]).astype(np.float64)
    assert logits.shape == (3, 96, 96)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=0)
    assert np.abs(model.predict(cells(1)[0]) - softmax).max() < 1e-5


def test_labels_are_the_values_of_the_classes():
    model = cem.Model.from_weights("scratch", {0: "background", 127: "myelin", 255: "axon"})
    probabilities = np.zeros((3, 1, 3), np.float32)
    probabilities[[0, 1, 2], 0, [2, 1, 0]] = 1
    assert model.classify(probabilities).tolist() == [[255, 127, 0]]


def test_the_threshold_of_the_card_decides(model):
    probabilities = np.array([[[0.6, 0.8]], [[0.4, 0.2]]], np.float32)
    model.update_card(threshold=0.3)
    assert model.classify(probabilities).tolist() == [[2, 1]]
    model.update_card(threshold=None)
    assert model.classify(probabilities).tolist() == [[1, 1]]


def test_a_saved_model_is_the_same_model(model, tmp_path):
    model.update_card(remark="from the tests")
    model.save(tmp_path / "a.safetensors")
    again = cem.Model.load(tmp_path / "a.safetensors")
    assert again.card == model.card
    assert again.card["remark"] == "from the tests"
    assert again.fingerprint() == model.fingerprint()


def test_saving_does_not_replace_unless_it_is_told_to(model, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("precious")
    with pytest.raises(OSError, match=r"a\.safetensors"):
        model.save(path)
    assert path.read_text() == "precious"
    model.save(path, overwrite=True)
    assert cem.Model.load(path).classes == model.classes


def test_a_copy_is_independent(model):
    other = model.copy()
    other.update_card(remark="other")
    assert "remark" not in model.card


def test_the_card_tells_what_the_model_is(model):
    card = model.card
    assert card["base"] == {"name": "scratch", "sha256": None}
    assert [entry["name"] for entry in card["classes"]] == ["background", "disk"]
    assert all(entry["color"].startswith("#") for entry in card["classes"])
    assert card["widths"] == NARROW


@pytest.mark.parametrize(
    "classes", [["a"], [], ["a", "a"], [{"name": "a", "value": 1}, {"name": "b", "value": 1}]]
)
def test_classes_that_make_no_sense_are_refused(classes):
    with pytest.raises(ValueError, match="classes"):
        scratch(classes)


def test_missing_weights_say_what_there_is(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_CEM_CACHE", str(tmp_path))
    with pytest.raises(OSError, match="none-such is neither a file nor the name of weights"):
        cem.Model.from_weights("none-such")


def test_all_of_another_model_but_its_head_is_taken_over(model_file):
    model = cem.Model.from_weights(model_file, ["background", "a", "b"], seed=3, widths=NARROW)
    source = cem.Model.load(model_file)
    names = [name for name, _ in source.core.tensors()]
    for index, name in enumerate(names):
        same = (source.core.tensor_get(index).shape == model.core.tensor_get(index).shape) and (
            source.core.tensor_get(index) == model.core.tensor_get(index)
        ).all()
        if name.startswith(("encoder.", "decoder.")):
            assert same, name
    head = names.index("segmentation_head.0.weight")
    assert (
        source.core.tensor_get(head).shape != model.core.tensor_get(head).shape
        or (source.core.tensor_get(head) != model.core.tensor_get(head)).any()
    )


def test_intensity_does_not_depend_on_the_type_of_the_pixels():
    stack = cells(3).astype(np.float64)
    reference = (stack - measure(stack).intensity.offset) * measure(stack).intensity.scale
    for pixels in (
        cells(3),
        cells(3).astype(np.uint16) * 16,
        (cells(3).astype(np.int16) - 100),
        cells(3).astype(np.float32) / 255,
        cells(3).astype(np.float32) * 257,
        cells(3).astype(np.int32) * 100000,
    ):
        found = measure(pixels).intensity
        seen = (pixels.astype(np.float64) - found.offset) * found.scale
        assert np.abs(seen - reference).max() < 1e-5
    assert abs(reference.mean()) < 0.1 and abs(reference.std() - 1) < 0.1


def test_padding_and_saturation_do_not_shift_the_intensity():
    pixels = cells(1)[0]
    padded = np.zeros((200, 200), np.uint8)
    padded[:96, :96] = pixels
    plain, other = measure(pixels).intensity, measure(padded).intensity
    assert abs(plain.offset - other.offset) < 1
    assert abs(plain.scale / other.scale - 1) < 0.02


def test_contrast_that_looks_inverted_is_noticed():
    trained = measure(cells(3))
    card = {"intensity": {"contrast": trained.contrast.tolist()}}
    assert looks_inverted(card, measure(255 - cells(3)))
    assert not looks_inverted(card, measure(cells(3, seed=5)))
    for unknown in ({}, {"intensity": None}, {"intensity": {"contrast": [[1], [2, 3]]}}):
        assert not looks_inverted(unknown, measure(255 - cells(3)))


def test_the_contrast_of_real_slices_is_told_from_its_mirror_image():
    stack = demo.load().image
    card = {"intensity": {"contrast": measure(stack[::2]).contrast.tolist()}}
    assert looks_inverted(card, measure(255 - stack[1::2]))
    assert not looks_inverted(card, measure(stack[1::2]))
    assert not looks_inverted(card, measure(65535 - 257 * (255 - stack[1::2].astype(np.uint16))))


def test_importing_the_package_imports_no_napari_qt_or_torch():
    code = "import sys, napari_cem; napari_cem.Model; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0].lower() for name in done.stdout.split()}
    assert not loaded & {"napari", "qtpy", "torch", "pyqt5", "pyqt6", "pyside2", "pyside6"}


def test_cards_are_plain_json(model):
    assert json.loads(json.dumps(model.card)) == model.card
