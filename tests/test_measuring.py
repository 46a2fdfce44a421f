"""What the core measures on volumes and does with planes, against NumPy, bit for bit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cffi
import numpy as np
import pytest
from abi import LIBRARY, declarations

from napari_cem import _core, contrast
from napari_cem.images import ArrayVolume
from napari_cem.intensity import EightBit

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")


@pytest.fixture(scope="module")
def ffi_lib() -> tuple[Any, Any]:
    """cffi and the library."""
    ffi = cffi.FFI()
    ffi.cdef(declarations())
    return ffi, ffi.dlopen(str(LIBRARY))


def box_mean(page: np.ndarray, size: int) -> np.ndarray:
    """Mean over the square of side `size` around each pixel, mirrored beyond the edge."""
    for axis in (0, 1):
        length = page.shape[axis]
        places = np.arange(-(size // 2) - 1, length + size // 2) % (2 * length)
        places = np.minimum(places, 2 * length - 1 - places)
        total = np.cumsum(page.take(places, axis), axis=axis)
        ends = np.arange(size, total.shape[axis])
        page = (total.take(ends, axis) - total.take(ends - size, axis)) / size
    return page


def signature(page: np.ndarray) -> np.ndarray:
    """Quantiles of the middle of a page and of three bands of detail."""
    y, x = (max(length - 512, 0) // 2 for length in page.shape)
    page = page[y : y + 512, x : x + 512].astype(np.float64)
    means = [page, *(box_mean(page, size) for size in (3, 7, 15))]
    bands = [page, *(fine - coarse for fine, coarse in pairwise(means))]
    return np.stack([np.quantile(band, QUANTILES) for band in bands])


def pages(random: np.random.Generator, dtype: str) -> list[np.ndarray]:
    """Some slices of one type: noise, few values, one value or waves."""
    height, width = random.integers(1, 60, 2)
    kind = random.integers(4)
    if kind == 0:
        page = random.normal(60, 20, (height, width))
    elif kind == 1:
        page = random.integers(0, 3, (height, width))
    elif kind == 2:
        page = np.full((height, width), 7)
    else:
        page = np.cumsum(random.normal(0, 1, (height, width)), axis=0)
    signed = dtype[0] in "if"
    page = np.clip(page, -128 if signed else 0, 127).astype(dtype)
    return [np.roll(page, shift, axis=0) for shift in range(random.integers(1, 6))]


@pytest.mark.parametrize("dtype", TYPES)
def test_contrast_is_that_of_numpy(dtype: str) -> None:
    random = np.random.default_rng(TYPES.index(dtype))
    for _ in range(40):
        slices = pages(random, dtype)
        offset, scale = random.normal(60, 3), random.random() + 0.01
        expected = np.mean([signature(page) for page in slices], axis=0) * scale
        expected[0] -= offset * scale
        state = _core.contrast_new()
        for page in slices:
            _core.contrast_add(state, page)
        found = contrast.mean(state, offset, scale)
        assert found.tobytes() == expected.round(4).tobytes()


def test_contrast_looks_at_the_middle_of_large_slices() -> None:
    page = np.random.default_rng(1).integers(0, 65535, (700, 531)).astype(np.uint16)
    assert (contrast.signature(page) == signature(page).round(4)).all()


def test_contrast_refuses_what_is_not_finite() -> None:
    page = np.ones((5, 5), np.float32)
    page[2, 2] = np.nan
    state = _core.contrast_new()
    with pytest.raises(ValueError, match="nan"):
        _core.contrast_add(state, page)
    assert not state.any()


@pytest.mark.parametrize(("depth", "most"), [(1, 2), (9, 64), (64, 64), (65, 64), (1000, 7)])
def test_the_sample_is_evenly_spaced(depth: int, most: int) -> None:
    count = min(depth, most)
    expected = [round(k * (depth - 1) / max(count - 1, 1)) for k in range(count)]
    assert _core.sample(depth, most) == expected


def test_norms_are_those_of_numpy() -> None:
    random = np.random.default_rng(2)
    for _ in range(50):
        page = random.integers(0, random.integers(1, 257), random.integers(1, 80, 2))
        state = _core.statistics_new()
        _core.statistics_add(state, page.astype(np.uint8))
        values = page / 255
        expected = (round(float(values.mean()), 6), round(float(values.std()), 6))
        assert _core.norms_measure(state) == expected


@pytest.mark.parametrize("dtype", TYPES[1:])
def test_pixels_are_stretched_to_eight_bits_as_numpy_does(dtype: str) -> None:
    random = np.random.default_rng(3)
    page = random.integers(0, 127, (30, 41)).astype(dtype)
    low, high = (-3.5, 100.0) if dtype[0] == "f" else (5.0, 99.0)
    wanted = np.rint((page.astype(np.float64) - low) * (255.0 / (high - low)))
    stretched = EightBit(ArrayVolume(page), low, high).slice(0)
    assert (stretched == np.clip(wanted, 0, 255).astype(np.uint8)).all()


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("count", [1, 3])
def test_the_mean_of_planes_is_that_of_numpy(classes: int, count: int) -> None:
    random = np.random.default_rng(classes)
    sums = random.random((classes - 1, 9, 11)).astype(np.float32) * np.float32(count / classes)
    out = np.empty((classes, 9, 11), np.float32)
    _core.planes_mean(out, sums, count)
    mean = sums / np.float32(count)
    background = np.maximum(np.float32(1) - mean.sum(axis=0), np.float32(0))
    assert out.tobytes() == np.concatenate([background[None], mean]).tobytes()


def test_the_planes_of_a_volume_are_cut_and_added_as_numpy_does(ffi_lib: Any) -> None:
    ffi, lib = ffi_lib
    random = np.random.default_rng(4)
    volume = random.integers(0, 65535, (4, 5, 6)).astype(np.uint16)
    sums = np.zeros((4, 2, 5, 6), np.float32)
    expected = np.zeros_like(sums)
    for plane, axes in enumerate([(0, 1, 2), (1, 0, 2), (2, 0, 1)]):
        turned = np.ascontiguousarray(volume.transpose(axes))[1:3]
        out = np.empty_like(turned)
        place = (4, 5, 6, plane, 1, 2)
        assert not lib.cem_planes_gather(
            ffi.from_buffer(out), ffi.from_buffer(volume), lib.CEM_U16, *place
        )
        assert (out == turned).all()
        maps = random.random((2, 3, *turned.shape[1:])).astype(np.float32)
        assert not lib.cem_planes_add(
            ffi.from_buffer("float[]", sums), ffi.from_buffer("float[]", maps), 3, *place
        )
        view = expected.transpose(0, 2, 3, 1).transpose([*axes, 3])
        view[1:3] += maps[:, 1:].transpose(0, 2, 3, 1)
    assert (sums == expected).all()
    assert lib.cem_planes_gather(
        ffi.from_buffer(out), ffi.from_buffer(volume), lib.CEM_U16, 4, 5, 6, 1, 4, 2
    )


@pytest.mark.parametrize(
    ("length", "unit", "nm"),
    [(0.00512, "micron", 5.12), (5, "nm", 5), (1, "pixel", 0), (2e-6, "cm", 20), (1, "cm", 0)],
)
def test_a_pixel_size_is_in_nanometres(ffi_lib: Any, length: float, unit: str, nm: float) -> None:
    ffi, lib = ffi_lib
    out = ffi.new("double *")
    assert lib.cem_pixel_nm(out, length, unit.encode()) == 0
    assert out[0] == pytest.approx(nm)
