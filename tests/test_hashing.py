"""Hashes to the bit as imagehash makes them, and the greedy rule as a plain loop says it."""

from __future__ import annotations

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import napari_cem as cem
from napari_cem import _core, hashing


def reference(patch: np.ndarray) -> int:
    """imagehash's difference hash of a patch brought to 224 x 224 by Pillow."""
    image = Image.fromarray(patch).resize((224, 224), Image.Resampling.BILINEAR)
    return int(str(imagehash.dhash(image, hash_size=8)), 16)


def content(kind: str, height: int, width: int, seed: int) -> np.ndarray:
    """A patch of some kind."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pictures = {
        "noise": lambda: random.integers(0, 256, (height, width)),
        "constant": lambda: np.full((height, width), random.integers(256)),
        "faint": lambda: random.normal(random.integers(256), 2, (height, width)),
        "ramp": lambda: (y * random.integers(5) + x * random.integers(5)) % 256,
        "black and white": lambda: 255 * (random.random((height, width)) > 0.5),
        "walk": lambda: 128 + np.cumsum(random.normal(0, 4, (height, width)), axis=1),
        "stripes": lambda: np.tile(random.integers(0, 256, width), (height, 1)),
        "steps": lambda: 255 * (x // random.integers(1, 30) % 2),
    }
    return np.clip(pictures[kind](), 0, 255).astype(np.uint8)


KINDS = ["noise", "constant", "faint", "ramp", "black and white", "walk", "stripes", "steps"]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(16, 224),
    st.integers(16, 224),
    st.integers(0, 2**32 - 1),
)
def test_hashes_are_those_of_imagehash(kind: str, height: int, width: int, seed: int) -> None:
    patch = content(kind, height, width, seed)
    assert int(hashing.dhash(patch)[0]) == reference(patch)


def test_ten_thousand_hashes_are_those_of_imagehash() -> None:
    random = np.random.default_rng(0)
    wrong = 0
    for number in range(10000):
        side = random.integers(16, 225, 2) if number % 4 else (224, 224)
        patch = content(KINDS[number % len(KINDS)], *map(int, side), number)
        wrong += int(hashing.dhash(patch, 1)[0]) != reference(patch)
    assert wrong == 0


@pytest.mark.parametrize("side", range(16, 225, 13))
def test_constant_patches_have_the_hash_that_imagehash_gives_them(side: int) -> None:
    for grey in range(0, 256, 15):
        patch = np.full((side, 240 - side), grey, np.uint8)
        assert int(hashing.dhash(patch)[0]) == reference(patch)


def test_many_patches_at_once_have_the_hashes_they_have_alone() -> None:
    random = np.random.default_rng(1)
    patches = random.integers(0, 256, (37, 50, 61), dtype=np.uint8)
    alone = np.array([cem.dhash(patch)[0] for patch in patches])
    assert (cem.dhash(patches) == alone).all()
    assert (cem.dhash(list(patches)) == alone).all()
    assert cem.dhash([patches[0], patches[1][:20]])[0] == alone[0]


def test_what_is_no_patch_is_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        cem.dhash(np.zeros((5, 5), np.uint16))
    with pytest.raises(TypeError, match="dimensions"):
        cem.dhash(np.zeros(5, np.uint8))
    with pytest.raises(ValueError, match="height is 0"):
        cem.dhash(np.zeros((1, 0, 5), np.uint8))


def plainly(hashes: np.ndarray, order: np.ndarray, distance: int) -> np.ndarray:
    """The rule as the paper words it."""
    exemplar = np.full(len(hashes), -1)
    for i in order:
        if exemplar[i] >= 0:
            continue
        for j in order:
            near = (int(hashes[i]) ^ int(hashes[j])).bit_count() <= distance
            if exemplar[j] < 0 and near:
                exemplar[j] = i
    return exemplar


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 120), st.integers(0, 64), st.integers(0, 2**64 - 1), st.integers(1, 3))
def test_de_duplication_is_that_of_a_plain_loop(
    count: int, distance: int, seed: int, threads: int
) -> None:
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, max(count // 4, 1), dtype=np.uint64)
    hashes = hashes[random.integers(0, len(hashes), count)]
    for _ in range(8):
        hashes ^= np.uint64(1) << random.integers(0, 64, count).astype(np.uint64)
    expected = plainly(hashes, hashing.order(count, seed), distance)
    assert (hashing.exemplars(hashes, distance, seed, threads) == expected).all()


def test_an_order_is_the_same_for_a_seed() -> None:
    assert hashing.order(6, 0).tolist() == hashing.order(6, 0).tolist()
    assert sorted(hashing.order(1000, 3)) == list(range(1000))
    assert (hashing.order(1000, 3) != hashing.order(1000, 4)).any()


def test_progress_is_told_block_by_block() -> None:
    told: list[tuple[int, int]] = []
    hashes = np.arange(hashing.BLOCK + 5, dtype=np.uint64)
    hashing.exemplars(hashes, 0, progress=lambda done, total: told.append((done, total)))
    assert told == [(hashing.BLOCK, len(hashes)), (len(hashes), len(hashes))]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 300))
def test_patches_are_counted_as_python_rounds(size: int, side: int) -> None:
    assert _core.patches_along(size, side) == max(1, round(size / side))


@pytest.mark.parametrize(
    ("dtype", "rule", "values", "expected"),
    [
        ("uint8", _core.IMAGE, [0, 7, 255], [0, 7, 255]),
        ("uint16", _core.IMAGE, [0, 257, 258, 65535], [0, 0, 1, 254]),
        ("int8", _core.IMAGE, [-128, 0, 127], [0, 127, 254]),
        ("int32", _core.IMAGE, [-(2**31), 0, 2**31 - 1], [0, 127, 254]),
        ("float32", _core.IMAGE, [-1, 0, 3], [0, 63, 255]),
        ("uint8", _core.VOLUME, [0, 7, 255], [0, 7, 255]),
        ("uint16", _core.VOLUME, [0, 256, 257, 258, 65535], [0, 0, 1, 1, 255]),
        ("int16", _core.VOLUME, [0, 16384, 32767], [0, 127, 255]),
        ("uint32", _core.VOLUME, [0, 2**31, 2**32 - 1], [0, 127, 255]),
        ("float32", _core.VOLUME, [0, 0.25, 1], [0, 63, 255]),
    ],
)
def test_8_bit_rules(dtype: str, rule: int, values: list, expected: list) -> None:
    out = np.empty(len(values), np.uint8)
    _core.eight_bit(out, np.array(values, dtype), rule)
    assert out.tolist() == expected


def test_every_16_bit_value_becomes_what_numpy_makes_of_it() -> None:
    values = np.arange(65536, dtype=np.uint16)
    out = np.empty(65536, np.uint8)
    _core.eight_bit(out, values, _core.VOLUME)
    assert (out == (values / 65535 * 255).astype(np.uint8)).all()
    _core.eight_bit(out, values, _core.IMAGE)
    assert (out == (values / 2**16 * 255).astype(np.uint8)).all()


@pytest.mark.parametrize(
    ("spacing", "pixel", "limit", "axes"),
    [(5, 4, 0.25, 3), (5, 4, 0.2499, 1), (3, 4, 0.25, 3), (10, 10, 0, 3), (50, 4, 0.2, 1)],
)
def test_anisotropy_at_the_threshold(spacing: float, pixel: float, limit: float, axes: int) -> None:
    assert _core.patches_axes(spacing, pixel, limit) == axes
