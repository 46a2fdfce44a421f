"""The weights that come with the package, and files of 8-bit weights in general."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import napari_cem as cem
from napari_cem import _core, weights

WIDTHS = [32, 16, 16, 16, 16]
KERNEL = "decoder.blocks.4.conv2.0.weight"


def tensors(model):
    """The model's tensors by name, the counts of batches left out."""
    return {
        name: model.core.tensor_get(index)
        for index, (name, _) in enumerate(model.core.tensors())
        if not name.endswith("num_batches_tracked")
    }


def pack(path, out, change=None):
    """Writes a model in 8 bits; `change` may spoil what is written."""
    packed = {}
    for name, tensor in load_file(path).items():
        packed[name] = tensor
        if tensor.ndim == 4:
            factor = np.abs(tensor).max(axis=(1, 2, 3)) / 127
            packed[name] = np.rint(tensor / factor[:, None, None, None]).astype(np.int8)
            packed[f"{name}.scale"] = factor.astype(np.float32)
    if change is not None:
        change(packed)
    save_file(packed, out, metadata={"card": json.dumps(weights.read_card(path))})
    return out


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    cem.Model.from_weights("scratch", ["background", "a", "b"], 3, widths=WIDTHS).save(path)
    return path


# ---- the starter ----


def test_the_starter_is_in_the_package_and_small(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_CEM_CACHE", str(tmp_path))
    path = weights.resolve("starter")
    assert path.stat().st_size < 36e6
    assert weights.best() == "starter"
    entry = weights.listing()[0]
    assert (entry.name, entry.state, entry.path) == ("starter", "in the package", path)
    assert entry.sha256


def test_a_model_from_the_starter_has_its_encoder_and_decoder_and_a_new_head():
    whole = tensors(cem.Model.load(weights.PACKAGED))
    model = cem.Model.from_weights("starter", ["background", "mitochondria"])
    for name, tensor in tensors(model).items():
        if name.startswith("segmentation_head"):
            assert tensor.shape[0] == 1
        else:
            np.testing.assert_array_equal(tensor, whole[name])
    assert model.card["base"]["name"] == "starter"
    assert model.card["base"]["decoder"] is True


def test_with_another_decoder_only_the_encoder_of_the_starter_is_taken():
    whole = tensors(cem.Model.load(weights.PACKAGED))
    model = cem.Model.from_weights("starter", widths=WIDTHS)
    random = tensors(cem.Model.from_weights("scratch", widths=WIDTHS))
    for name, tensor in tensors(model).items():
        expected = whole if name.startswith("encoder.") else random
        np.testing.assert_array_equal(tensor, expected[name])
    assert model.card["base"]["decoder"] is False


def test_a_decoder_that_was_trained_before_learns_slower_than_its_new_head(tmp_path):
    rates = ("learning_rate", "body_rate")
    starter = cem.Model.from_weights("starter")
    assert [cem.Trainer(starter).options[name] for name in rates] == [0.02, 0.005]
    assert [cem.Trainer(starter, body_rate=1).options[name] for name in rates] == [0.02, 1]
    starter.save(tmp_path / "m.safetensors")
    again = cem.Trainer(cem.Model.load(tmp_path / "m.safetensors"))
    assert again.options["body_rate"] == 0.005
    scratch = cem.Model.from_weights("scratch")
    assert [cem.Trainer(scratch).options[name] for name in rates] == [0.003, 1]
    paper = cem.Trainer(starter, recipe="cem500k")
    assert [paper.options[name] for name in rates] == [0.003, 1]


def test_a_body_rate_of_0_trains_the_head_alone():
    model = cem.Model.from_weights("scratch", widths=WIDTHS)
    before = tensors(model)
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    labels = np.ones((64, 64), np.uint8)
    labels[20:40, 20:40] = 2
    trainer = cem.Trainer(model, body_rate=0, crop=64, batch=1)
    trainer.add(image, labels)
    for _ in trainer.run(2):
        pass
    for name, tensor in tensors(model).items():
        running = name.endswith(("running_mean", "running_var"))
        changed = not np.array_equal(tensor, before[name])
        assert changed == (name.startswith("segmentation_head") or running), name


# ---- weights in 8 bits ----


def test_weights_in_8_bits_are_whole_numbers_times_a_factor_per_channel(model_file, tmp_path):
    packed = pack(model_file, tmp_path / "packed.safetensors")
    model = tensors(cem.Model.load(packed))
    for name, tensor in load_file(packed).items():
        if tensor.dtype == np.int8:
            factor = load_file(packed)[f"{name}.scale"][:, None, None, None]
            np.testing.assert_array_equal(model[name], factor * tensor.astype(np.float32))
        elif name in model:
            np.testing.assert_array_equal(model[name], tensor)
    with safe_open(packed, "numpy") as file:
        assert file.get_slice(KERNEL).get_dtype() == "I8"


def test_an_encoder_alone_may_be_in_8_bits_too(model_file, tmp_path):
    def encoder_only(packed):
        for name in [name for name in packed if not name.startswith("encoder.")]:
            del packed[name]

    packed = pack(model_file, tmp_path / "whole.safetensors", encoder_only)
    card = {"format": "napari-cem", "version": 1, "kind": "encoder", "architecture": "resnet50"}
    path = tmp_path / "encoder.safetensors"
    save_file(load_file(packed), path, metadata={"card": json.dumps(card)})
    name = "encoder.layer4.2.conv3.weight"
    kernel, factor = (load_file(path)[key] for key in (name, f"{name}.scale"))
    found = tensors(cem.Model.from_weights(path))[name]
    np.testing.assert_array_equal(found, factor[:, None, None, None] * kernel.astype(np.float32))


def drop(name):
    return lambda packed: packed.pop(name)


def put(name, value):
    return lambda packed: packed.update({name: value})


def spoil(value):
    def change(packed):
        packed[f"{KERNEL}.scale"][3] = value

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (drop(f"{KERNEL}.scale"), f"lacks tensor '{KERNEL}.scale'"),
        (put(f"{KERNEL}.scale", np.ones(3, np.float32)), r"has shape \[3\], must be \[16\]"),
        (put(f"{KERNEL}.scale", np.ones(16)), "has the wrong type, must be F32"),
        (spoil(np.nan), "has the value -?nan, must be 0 to 1e"),
        (spoil(-1), "has the value -1, must be 0 to 1e"),
        (spoil(np.inf), "has the value inf, must be 0 to 1e"),
        (put("encoder.bn1.weight", np.ones(64, np.int8)), "wrong type, must be F32"),
        (put("encoder.bn1.weight.scale", np.ones(64, np.float32)), "does not belong"),
        (put(f"{KERNEL}.scale.scale", np.ones(64, np.float32)), "does not belong"),
    ],
)
def test_damaged_8_bit_files_are_refused_with_a_line(model_file, tmp_path, change, line):
    packed = pack(model_file, tmp_path / "packed.safetensors", change)
    with pytest.raises(ValueError, match=line):
        _core.Model.load(str(packed))


# ---- sizes ----


@pytest.mark.parametrize("shape", [(224, 224), (224, 64), (224, 416), (138, 224)])
def test_patches_of_the_size_of_cem500k_are_segmented(shape):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    found = cem.Model.from_weights("scratch", widths=WIDTHS).predict(image)
    assert np.isfinite(found).all()
    assert found.shape[-2:] == shape
