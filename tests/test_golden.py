"""The core against PyTorch: logits, gradients and training runs of ten steps.

The fixtures in tests/golden/ say what PyTorch computes in float64 (tests/oracle/make_golden.py);
weights, images and labels come from a formula that both sides know (tests/oracle/formula.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from oracle import formula

from napari_cem import _core

GOLDEN = Path(__file__).parent / "golden"
PAIR, FOUR = (10, 11), (52, 53, 54, 55)  # images of a batch
CLASS_WEIGHTS = np.array([0.1, 1.0, 1.0, 3.0])
THREADS = 2


def golden(name: str) -> dict[str, np.ndarray]:
    """The arrays of a fixture file."""
    return formula.read(GOLDEN / f"{name}.safetensors")


def formula_model(outputs: int, widths: tuple[int, ...] | None = None) -> _core.Model:
    """A model with the formula's weights."""
    model = _core.Model(classes=max(2, outputs), widths=widths)
    for index, (name, shape) in enumerate(model.tensors()):
        model.tensor_set(index, formula.parameter(name, shape))
    return model


@pytest.fixture(scope="module", params=[1, 4])
def outputs(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def model(outputs: int) -> _core.Model:
    return formula_model(outputs)


def tensors(model: _core.Model) -> dict[str, np.ndarray]:
    """The state dict."""
    return {name: model.tensor_get(i) for i, (name, _) in enumerate(model.tensors())}


def dense_trainer(model: _core.Model, keys: tuple[int, ...], **options: object) -> _core.Trainer:
    """A trainer each of whose steps sees all the images, whole."""
    if model.outputs > 1:
        options["class_weights"] = CLASS_WEIGHTS
    trainer = _core.Trainer(
        model,
        _core.CEM500K,
        **({"crop": 64, "batch": len(keys), "augmentations": 0, "threads": THREADS} | options),
    )
    for key in keys:
        labels = formula.classes(key, model.classes, 64, 64) + 1
        trainer.set(key, formula.image(key, 64, 64), labels, formula.OFFSET, formula.SCALE)
    return trainer


def interactive_trainer(model: _core.Model, **options: object) -> _core.Trainer:
    """The same for strokes on the two images of PAIR."""
    trainer = _core.Trainer(
        model,
        _core.INTERACTIVE,
        **({"crop": 64, "batch": 2, "augmentations": 0, "restatistics": 0} | options),
    )
    for place, key in enumerate(PAIR):
        labels = formula.strokes(place, model.classes)
        trainer.set(key, formula.image(key, 64, 64), labels, formula.OFFSET, formula.SCALE)
    return trainer


# ---- logits ----


def check_logits(model: _core.Model, height: int, width: int, expected: np.ndarray) -> None:
    """Logits of image 0 are within 1e-4 of `expected`, relative to the largest."""
    out = np.empty((1, model.outputs, height, width), np.float32)
    pixels = formula.image(0, height, width)[None]
    options = {"output": _core.LOGITS, "threads": THREADS}
    model.predict(out, pixels, formula.OFFSET, formula.SCALE, **options)
    kept = out[0].reshape(model.outputs, -1)[:, :: formula.STEP]
    assert np.abs(kept - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("height, width", [(64, 64), (96, 160), (75, 101), (5, 7)])
def test_logits_are_pytorchs_at_any_size(model: _core.Model, height: int, width: int) -> None:
    check_logits(model, height, width, golden("logits")[f"{model.outputs}.{height}x{width}"])


def test_logits_are_pytorchs_with_other_decoder_widths() -> None:
    model = formula_model(1, (64, 48, 32, 24, 16))
    check_logits(model, 64, 64, golden("logits")["1.64x64.slim"])


# ---- gradients ----


def step_gradients(trainer: _core.Trainer, model: _core.Model, rate: float) -> dict:
    """Gradients of a step of plain gradient descent, what it subtracted over the rate, and how
    far the weights' own rounding may put them off."""
    before = tensors(model)
    trainer.step(1)
    trained = model.copy()
    trainer.commit(trained)
    after = tensors(trained)
    return {
        name: ((old.astype(float) - after[name]) / rate, np.spacing(np.abs(old).max()) / rate)
        for name, old in before.items()
    }


DESCENT = {
    "optimizer": _core.SGD,
    "schedule": _core.CONSTANT,
    "learning_rate": 512.0,  # large, so that the difference of the weights has most digits
    "momentum": 0.0,
    "weight_decay": 0.0,
    "threads": THREADS,
}


# Strokes of three in four classes are in tests/c/test_golden.c: a trainer wants all of them.
@pytest.mark.parametrize("recipe, outputs", [("dense", 1), ("dense", 4), ("interactive", 1)])
def test_a_step_follows_pytorchs_gradient_in_every_tensor(recipe: str, outputs: int) -> None:
    model = formula_model(outputs)
    if recipe == "dense":
        trainer = dense_trainer(model, PAIR, first_stage=0, **DESCENT)
    else:
        trainer = interactive_trainer(model, **DESCENT)
    gradients = step_gradients(trainer, model, DESCENT["learning_rate"])
    case = f"{recipe}.{model.outputs}."
    expected = {k.removeprefix(case): v for k, v in golden("gradients").items() if case in k}
    del expected["loss"]
    checked = 0
    for name, (gradient, rounding) in gradients.items():
        if name in expected and "running" not in name:
            size = expected[name][0] / gradient.size**0.5  # root mean square
            off = formula.deviation(name, gradient, expected[name])
            assert off <= 1e-4 + rounding / size, name
            checked += 1
        elif "running" not in name and "num_batches" not in name:
            assert not gradient.any(), name
    assert checked == (191 if recipe == "dense" else 32)


# ---- training runs ----

ALL, LAYER4, NONE = 0, 4, 5
TRACES = {
    "none": (1, {"first_stage": NONE}),
    "layer4": (1, {"first_stage": LAYER4}),
    "all": (1, {"first_stage": ALL}),
    "classes": (4, {"first_stage": NONE}),
    "norms": (1, {"first_stage": NONE, "train_norms": 1}),
    "sgd": (1, {"first_stage": LAYER4, "optimizer": _core.SGD}),
    "poly": (1, {"first_stage": NONE, "optimizer": _core.SGD, "schedule": _core.POLY}),
    "multistep": (
        1,
        {
            "first_stage": NONE,
            "schedule": _core.MULTISTEP,
            "milestones": np.array([3, 6]),
        },
    ),
    "interactive": (1, {}),
}


@pytest.mark.parametrize("name", TRACES)
def test_ten_steps_of_training_go_as_in_pytorch(name: str) -> None:
    outputs, options = TRACES[name]
    model = formula_model(outputs)
    if name == "interactive":
        trainer = interactive_trainer(model, steps=10, threads=THREADS)
    else:
        trainer = dense_trainer(model, FOUR, steps=10, **options)
    reports = [trainer.step(1) for _ in range(10)]
    trainer.commit(model)

    arrays = golden("traces")
    losses, rates = arrays[f"{name}.losses"], arrays[f"{name}.rates"]
    np.testing.assert_allclose([r["loss"] for r in reports], losses, rtol=1e-5)
    np.testing.assert_allclose([r["rate"] for r in reports], rates, rtol=1e-9)
    state = tensors(model)
    kept = [key for key in state if f"{name}.{key}" in arrays]
    assert len(kept) >= 30
    for key in kept:
        assert formula.deviation(key, state[key], arrays[f"{name}.{key}"]) <= 1e-4, key
