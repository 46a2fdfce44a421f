"""The extension module: what it refuses, what it raises, and that it lets other threads run."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_cem import Cancelled, _core

WIDTHS = (16, 16, 16, 16, 16)
INTENSITY = (128.0, 0.02)


@pytest.fixture(scope="module")
def model() -> _core.Model:
    """A model of three classes, slim so that tests are quick."""
    return _core.Model(3, 1, WIDTHS)


@pytest.fixture
def pixels() -> np.ndarray:
    """Two slices of noise."""
    return np.random.default_rng(0).integers(0, 256, (2, 40, 50), np.uint8)


@pytest.fixture
def out() -> np.ndarray:
    """Room for the probabilities of `pixels`."""
    return np.full((2, 3, 40, 50), -1, np.float32)


class LongCall:
    """A prediction that would take half a minute or more."""

    def __init__(self, model: _core.Model) -> None:
        self.model = model
        self.pixels = np.zeros((60, 512, 512), np.uint8)
        self.out = np.full((60, 3, 512, 512), -1, np.float32)

    def __call__(self) -> None:
        self.model.predict(self.out, self.pixels, *INTENSITY, tile=256, threads=1)

    def under_way(self) -> bool:
        """Whether the first tile is there."""
        return bool(self.out[0, 0, 0, 0] != -1)


@contextmanager
def in_thread(call: Callable[[], Any]) -> Iterator[list[BaseException]]:
    """Runs `call` in another thread and keeps what it raises."""
    raised: list[BaseException] = []

    def body() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    if isinstance(call, LongCall):
        while thread.is_alive() and not call.under_way():
            pass
    try:
        yield raised
    except BaseException:
        if isinstance(call, LongCall):
            call.model.cancel()
        raise
    finally:
        thread.join()


# ---- Arrays ----


def test_a_prediction_fills_every_pixel(
    model: _core.Model, pixels: np.ndarray, out: np.ndarray
) -> None:
    assert model.predict(out, pixels, *INTENSITY) is None
    assert np.allclose(out.sum(axis=1), 1, atol=1e-5)
    logits = np.empty_like(out)
    model.predict(logits, pixels, *INTENSITY, output=_core.LOGITS)
    assert np.array_equal(logits.argmax(axis=1), out.argmax(axis=1))


def read_only(array: np.ndarray) -> np.ndarray:
    """A copy that may not be written."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def misaligned(array: np.ndarray) -> np.ndarray:
    """A copy whose numbers start at an odd address."""
    room = np.empty(array.nbytes + 1, np.uint8)
    copy = room[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda out, pixels: (out, pixels.astype(np.int64)), "pixels is int64"),
        (lambda out, pixels: (out, pixels.astype(np.float16)), "pixels is float16"),
        (lambda out, pixels: (out, pixels.astype(bool)), "pixels is bool"),
        (lambda out, pixels: (out, pixels.astype(">u2")), "native byte order"),
        (lambda out, pixels: (out, pixels[:, ::2]), "C-contiguous"),
        (lambda out, pixels: (out, np.asfortranarray(pixels)), "C-contiguous"),
        (lambda out, pixels: (out, misaligned(pixels.astype(np.float64))), "aligned"),
        (lambda out, pixels: (out, pixels[0]), "pixels has 2 dimensions, must have 3"),
        (lambda out, pixels: (out, pixels.tolist()), "pixels must be a NumPy array"),
        (lambda out, pixels: (out.astype(np.float64), pixels), "out is float64, must be float32"),
        (lambda out, pixels: (out[0], pixels), "out has 3 dimensions, must have 4"),
        (lambda out, pixels: (out[:, ::-1], pixels), "C-contiguous"),
        (lambda out, pixels: (read_only(out), pixels), "out is read-only"),
        (lambda out, pixels: (None, pixels), "out must be a NumPy array"),
    ],
)
def test_arrays_of_another_kind_are_refused(
    model: _core.Model,
    pixels: np.ndarray,
    out: np.ndarray,
    change: Callable[..., Any],
    words: str,
) -> None:
    with pytest.raises(TypeError, match=words):
        model.predict(*change(out, pixels), *INTENSITY)
    assert np.all(out == -1)


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("difference", [-1, 1])
def test_an_output_of_another_size_is_refused(
    model: _core.Model, pixels: np.ndarray, axis: int, difference: int
) -> None:
    shape = [2, 3, 40, 50]
    wanted = shape[axis]
    shape[axis] += difference
    with pytest.raises(ValueError, match=f"along axis {axis}, must be {wanted}"):
        model.predict(np.empty(shape, np.float32), pixels, *INTENSITY)


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64"]
)
def test_every_pixel_type_gives_the_same_picture(model: _core.Model, dtype: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 128, (1, 33, 31)).astype(dtype)
    out = np.empty((1, 3, 33, 31), np.float32)
    expected = np.empty_like(out)
    model.predict(out, pixels, 64.0, 0.05)
    model.predict(expected, pixels.astype(np.uint8), 64.0, 0.05)
    assert np.array_equal(out, expected)


def test_pixels_that_are_not_finite_are_refused(model: _core.Model) -> None:
    pixels = np.zeros((1, 32, 32), np.float32)
    pixels[0, 5, 7] = np.nan
    with pytest.raises(ValueError, match="finite"):
        model.predict(np.empty((1, 3, 32, 32), np.float32), pixels, *INTENSITY)


def test_classify_takes_any_shape_and_refuses_others(model: _core.Model) -> None:
    probabilities = np.zeros((2, 3, 4, 5, 6), np.float32)
    probabilities[:, 2] = 1
    labels = np.zeros((2, 4, 5, 6), np.uint16)
    model.classify(labels, probabilities)
    assert np.all(labels == 3)
    with pytest.raises(ValueError, match="probabilities is 2 along axis 1, must be 3"):
        model.classify(labels, probabilities[:, :2].copy())
    with pytest.raises(TypeError, match="labels is int32, must be uint16"):
        model.classify(labels.astype(np.int32), probabilities)
    with pytest.raises(TypeError, match="labels has 0 dimensions"):
        model.classify(np.zeros((), np.uint16), probabilities)


# ---- Options ----


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"tiles": "3"}, TypeError, "integer"),
        ({"tile": 64.5}, TypeError, "integer"),
        ({"threads": 2**40}, ValueError, "threads is 1099511627776"),
        ({"tile": 2**80}, ValueError, "tile is 1208925819614629174706176"),
        ({"tyle": 64}, TypeError, "there is no option 'tyle'"),
        ({"tile": 33}, ValueError, "33"),
        ({"halo": -32}, ValueError, "-32"),
        ({"threads": -1}, ValueError, "-1"),
        ({"output": 7}, ValueError, "7|shape|along"),
    ],
)
def test_options_out_of_range_are_named(
    model: _core.Model,
    pixels: np.ndarray,
    out: np.ndarray,
    options: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        model.predict(out, pixels, *INTENSITY, **options)


def test_none_is_the_default(model: _core.Model) -> None:
    assert _core.predict_tiles(3, 2000, 2000, tile=None) == _core.predict_tiles(3, 2000, 2000)
    assert _core.predict_tiles(3, 2000, 2000, tile=256) > _core.predict_tiles(3, 2000, 2000)
    assert _core.Model(None, None, WIDTHS).classes == _core.model_defaults()["classes"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((1,), ValueError, "classes is 1"),
        ((256,), ValueError, "classes is 256"),
        ((2, -1), ValueError, "seed is -1, must be from 0"),
        ((2, 2**64), ValueError, "seed is 18446744073709551616"),
        ((2, 0, (16, 16)), ValueError, "widths must be 5"),
        ((2, 0, 16), TypeError, "int"),
        ((2, 0, (16, 16, 16, 16, 0)), ValueError, "0"),
        ((2, 0, (16, 16, 16, 16, "16")), TypeError, "integer"),
    ],
)
def test_models_that_cannot_be_are_refused(
    arguments: tuple[Any, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        _core.Model(*arguments)


def test_trainer_arrays_have_the_size_that_is_read(model: _core.Model) -> None:
    with pytest.raises(ValueError, match="class_weights is 2 along axis 0, must be 3"):
        _core.Trainer(model, class_weights=np.ones(2))
    with pytest.raises(TypeError, match="class_weights is float32, must be float64"):
        _core.Trainer(model, class_weights=np.ones(3, np.float32))
    with pytest.raises(TypeError, match="milestones is int32, must be int64"):
        _core.Trainer(model, milestones=np.ones(3, np.int32))
    with pytest.raises(ValueError, match="recipe is 9"):
        _core.Trainer(model, recipe=9)
    with pytest.raises(TypeError, match="Model"):
        _core.Trainer(None)  # type: ignore[arg-type]


# ---- Files ----


def test_files_that_are_not_there_raise_oserror(tmp_path: Path, model: _core.Model) -> None:
    missing = tmp_path / "no such file"
    for call in (
        lambda: _core.Model.load(missing),
        lambda: model.load_encoder(missing),
        lambda: _core.Tiff(missing),
        lambda: _core.Trainer.load(model, missing),
    ):
        with pytest.raises(OSError, match="no such file"):
            call()


def test_files_of_another_content_raise_valueerror(tmp_path: Path, model: _core.Model) -> None:
    text = tmp_path / "a text.txt"
    text.write_text("not a model, not a picture, but long enough to have a header of some kind")
    for call in (
        lambda: _core.Model.load(text),
        lambda: model.load_encoder(text),
        lambda: _core.Tiff(text),
    ):
        with pytest.raises(ValueError, match=r"a text\.txt"):
            call()


def test_paths_may_be_text_bytes_or_path_and_hold_any_letter(
    tmp_path: Path, model: _core.Model
) -> None:
    path = tmp_path / "mitochondrien ü 線粒體.safetensors"
    model.save(path)
    for form in (path, str(path), os.fsencode(path)):
        assert _core.Model.load(form).classes == 3
    with pytest.raises(ValueError, match="null"):
        model.save("a\0b")


def test_an_existing_model_is_kept_unless_told(tmp_path: Path, model: _core.Model) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        model.save(path)
    assert path.read_bytes() == b"mine"
    model.save(path, overwrite=True)
    assert _core.Model.load(path).card() == model.card()


def test_a_tiff_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    pages = np.arange(2 * 3 * 4, dtype=np.uint16).reshape(2, 3, 4)
    writer = _core.TiffWriter(path, 2, 3, 4, np.uint16, pixel_nm=8.0, spacing_nm=30.0)
    for page in pages:
        writer.write(page)
    assert not path.exists()
    writer.finish()
    reader = _core.Tiff(path)
    assert (reader.pages, reader.height, reader.width, reader.dtype) == (2, 3, 4, "uint16")
    assert (reader.pixel_nm, reader.spacing_nm) == pytest.approx((8.0, 30.0))
    out = np.empty((3, 4), np.uint16)
    for number, page in enumerate(pages):
        reader.read(number, out)
        assert np.array_equal(out, page)
    with pytest.raises(ValueError, match="2"):
        reader.read(2, out)
    with pytest.raises(TypeError, match="out is uint8, must be uint16"):
        reader.read(0, out.astype(np.uint8))
    with pytest.raises(ValueError, match="out is 4 along axis 0, must be 3"):
        reader.read(0, np.empty((4, 3), np.uint16))


def test_a_tiff_that_is_not_finished_vanishes(tmp_path: Path) -> None:
    writer = _core.TiffWriter(tmp_path / "stack.tif", 2, 3, 4, "uint8")
    writer.write(np.zeros((3, 4), np.uint8))
    with pytest.raises(ValueError, match="1"):
        writer.finish()
    writer.close()
    del writer
    assert list(tmp_path.iterdir()) == []


def test_a_closed_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "one.tif"
    writer = _core.TiffWriter(path, 1, 2, 2, "uint8")
    writer.write(np.zeros((2, 2), np.uint8))
    writer.finish()
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(np.zeros((2, 2), np.uint8))
    reader = _core.Tiff(path)
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read(0, np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize("dtype", ["complex64", "int64", ">u2", "bool", "S4"])
def test_a_tiff_of_another_type_is_refused(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(TypeError, match="dtype is"):
        _core.TiffWriter(tmp_path / "x.tif", 1, 2, 2, dtype)
    assert list(tmp_path.iterdir()) == []


# ---- Tensors and the card ----


def test_tensors_go_out_and_in(model: _core.Model) -> None:
    copy = model.copy()
    names = [name for name, _ in copy.tensors()]
    index = names.index("segmentation_head.0.weight")
    shape = copy.tensors()[index][1]
    before = copy.tensor_get(index)
    assert before.shape == shape == (3, 16, 3, 3)
    copy.tensor_set(index, before + 1)
    assert np.array_equal(copy.tensor_get(index), before + 1)
    assert np.array_equal(model.tensor_get(index), before)
    counter = names.index("encoder.bn1.num_batches_tracked")
    assert copy.tensors()[counter][1] == ()
    copy.tensor_set(counter, np.array(7, np.float32))
    assert copy.tensor_get(counter) == 7
    with pytest.raises(ValueError, match="must be 3"):
        copy.tensor_set(index, np.zeros((16, 3, 3, 3), np.float32))
    with pytest.raises(TypeError, match="float64, must be float32"):
        copy.tensor_set(index, np.zeros(shape))
    for outside in (-1, len(names)):
        with pytest.raises(ValueError, match=str(outside)):
            copy.tensor_get(outside)


def test_the_card_is_merged_or_left_alone(model: _core.Model) -> None:
    copy = model.copy()
    copy.set_card('{"mine": [1, 2.5, "ü"]}')
    assert '"mine":[1,2.5,"ü"]' in copy.card()
    card = copy.card()
    for bad in ('{"widths": [1, 2]}', "[]", "{", '{"a": 1'):
        with pytest.raises(ValueError):
            copy.set_card(bad)
        assert copy.card() == card
    copy.set_card('{"mine": null}')
    assert copy.card() == model.card()


# ---- Statistics ----


def test_statistics_add_up_over_calls() -> None:
    pages = np.random.default_rng(2).integers(0, 60000, (5, 30, 20)).astype(np.uint16)
    state = _core.statistics_new()
    for page in pages:
        _core.statistics_add(state, page)
    found = _core.statistics_get(state)
    assert found["count"] == pages.size
    assert (found["minimum"], found["maximum"]) == (pages.min(), pages.max())
    offset, scale = _core.intensity_measure(state)
    inside = pages[(pages > pages.min()) & (pages < pages.max())].astype(float)
    assert offset == pytest.approx(inside.mean())
    assert scale == pytest.approx(1 / inside.std())


def test_statistics_refuse_another_state() -> None:
    page = np.zeros((2, 2), np.uint8)
    for bad in (_core.statistics_new()[:-1], _core.statistics_new()[:0]):
        with pytest.raises(ValueError, match="state is"):
            _core.statistics_add(bad, page)
    with pytest.raises(TypeError, match="read-only"):
        _core.statistics_add(read_only(_core.statistics_new()), page)
    with pytest.raises(ValueError):
        _core.intensity_measure(_core.statistics_new())


# ---- Threads, cancelling, Ctrl-C ----


def test_another_thread_runs_during_a_prediction(model: _core.Model) -> None:
    ticks = 0
    with in_thread(LongCall(model)) as raised:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            ticks += 1
        model.cancel()
    assert ticks > 1000
    assert isinstance(raised[0], Cancelled)


def test_a_model_in_use_refuses_a_second_call(
    model: _core.Model, pixels: np.ndarray, out: np.ndarray
) -> None:
    with in_thread(LongCall(model)) as raised:
        for call in (
            lambda: model.predict(out, pixels, *INTENSITY),
            lambda: model.set_card("{}"),
            lambda: model.tensor_get(0),
            model.card,
            model.copy,
        ):
            with pytest.raises(RuntimeError, match="another call"):
                call()
        assert model.classes == 3
        model.cancel()
    assert isinstance(raised[0], Cancelled)
    model.predict(out, pixels, *INTENSITY)


def test_cancel_stops_within_a_third_of_a_second(model: _core.Model) -> None:
    with in_thread(LongCall(model)) as raised:
        start = time.monotonic()
        model.cancel()
    # The machine may be busy with something else.
    assert time.monotonic() - start < 2
    assert isinstance(raised[0], Cancelled)


def labelled(trainer: _core.Trainer) -> None:
    """Gives a trainer an image with two strokes a class."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (96, 96), np.uint8)
    labels = np.zeros((96, 96), np.int32)
    for value in (1, 2, 3):
        labels[20 * value, 10:40] = value
        labels[20 * value, 50:90] = value
    trainer.set(0, image, labels, *INTENSITY)


def test_a_cancelled_trainer_goes_on(model: _core.Model) -> None:
    trainer = _core.Trainer(model, batch=1, crop=64, threads=1)
    labelled(trainer)
    before = trainer.step(1)["step"]
    with in_thread(lambda: trainer.step(10**6)) as raised:
        trainer.cancel()
    assert isinstance(raised[0], Cancelled)
    assert trainer.step(1)["step"] > before


CTRL_C = """
import os, signal, threading, time
import numpy as np
from napari_cem import _core
model = _core.Model(3, 1, (16, 16, 16, 16, 16))
pixels = np.zeros((60, 512, 512), np.uint8)
out = np.full((60, 3, 512, 512), -1, np.float32)
def interrupt():
    while out[0, 0, 0, 0] == -1:
        pass
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
start = time.monotonic()
try:
    model.predict(out, pixels, 128.0, 0.02, tile=256, threads=1)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - start < 5)
small = np.empty((1, 3, 32, 32), np.float32)
model.predict(small, pixels[:1, :32, :32].copy(), 128.0, 0.02)
print("usable", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_ctrl_c_stops_a_prediction_and_python_keeps_its_handler() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == ["interrupted True", "usable True"]


def test_ctrl_c_reaches_a_handler_of_ones_own(model: _core.Model) -> None:
    seen = []
    old = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        call = LongCall(model)

        def interrupt() -> None:
            while not call.under_way():
                pass
            os.kill(os.getpid(), signal.SIGINT)

        with in_thread(interrupt), pytest.raises(Cancelled):
            call()
    finally:
        signal.signal(signal.SIGINT, old)
    assert seen == [signal.SIGINT]


# ---- Memory ----


def test_references_are_given_back(
    tmp_path: Path, model: _core.Model, pixels: np.ndarray, out: np.ndarray
) -> None:
    path = tmp_path / "page.tif"
    writer = _core.TiffWriter(path, 1, 2, 2, "uint8")
    writer.write(np.zeros((2, 2), np.uint8))
    writer.finish()
    state = _core.statistics_new()
    path_text = str(path)
    weights = np.ones(3)

    def everything() -> None:
        model.predict(out, pixels, *INTENSITY, threads=1)
        _core.Tiff(path_text).read(0, np.empty((2, 2), np.uint8))
        _core.statistics_add(state, pixels)
        _core.Trainer(model, class_weights=weights)
        model.tensors()
        for bad in (
            lambda: model.predict(out, pixels[0], *INTENSITY),
            lambda: _core.Model.load(path_text),
            lambda: _core.Trainer(model, class_weights=weights, tyle=3),
            lambda: _core.TiffWriter(path_text, 1, 2, 2, "uint8"),
        ):
            with pytest.raises((TypeError, ValueError, OSError)):
                bad()

    everything()
    watched = [model, pixels, out, state, path_text, weights, np.dtype("uint8")]
    watched += [_core.Model, _core.Trainer, _core.Tiff, _core.TiffWriter]
    gc.collect()
    before = [sys.getrefcount(thing) for thing in watched]
    for _ in range(5):
        everything()
    gc.collect()
    assert [sys.getrefcount(thing) for thing in watched] == before


LEAK = """
import resource
import numpy as np
from napari_cem import _core
pixels = np.zeros((1, 64, 64), np.uint8)
out = np.empty((1, 2, 64, 64), np.float32)
def once():
    model = _core.Model(2, 1, (16, 16, 16, 16, 16))
    model.predict(out, pixels, 1.0, 1.0)
    model.copy()
    model.tensors()
for _ in range(3):
    once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(10):
    once()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_models_are_freed() -> None:
    done = subprocess.run([sys.executable, "-c", LEAK], check=True, capture_output=True, text=True)
    # One model is 100 MB; twenty were made.
    assert int(done.stdout) < 150_000
