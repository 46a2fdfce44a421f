"""Suggestions: never blank, never twice the same, never what is labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_cem as cem
from napari_cem import hashing, informative, suggestion


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    """Membranes of the bundled sample beside as much resin."""
    sample = Path(cem.__file__).parent / "sample" / "raw_64x250x250.tif"
    volume = cem.open_volume(sample)
    pages = np.stack([volume.slice(z) for z in range(0, 64, 4)])
    resin = np.random.default_rng(0).normal(180, 2, pages.shape)
    return np.concatenate([pages, resin.astype(np.uint8)], axis=2)


def bits(one: np.ndarray, other: np.ndarray) -> int:
    """Bits in which the hashes of two patches differ."""
    return (int(hashing.dhash(one)[0]) ^ int(hashing.dhash(other)[0])).bit_count()


def test_blank_boxes_never_come_up(tissue: np.ndarray) -> None:
    found = cem.suggest(tissue, n=50, side=64)
    assert found
    judge = informative.load()
    for box in found:
        assert box.x + box.width <= 320  # none lies within the resin
        assert judge.score(box.thumbnail[None])[0] > informative.LIMIT


def test_no_two_boxes_are_near_duplicates(tissue: np.ndarray) -> None:
    found = cem.suggest(np.repeat(tissue, 2, axis=0), n=50, side=64)
    for i, box in enumerate(found):
        assert all(bits(box.thumbnail, other.thumbnail) > 12 for other in found[:i])


def test_a_box_shows_its_own_place_and_says_why(tissue: np.ndarray) -> None:
    for box in cem.suggest(tissue, n=5, side=64):
        inside = tissue[box.z, box.y : box.y + box.height, box.x : box.x + box.width]
        assert (box.thumbnail == inside).all()
        assert "shows structure" in box.reason
        assert box.uncertainty is None


def test_the_best_comes_first_and_no_more_than_asked_for(tissue: np.ndarray) -> None:
    found = cem.suggest(tissue, n=7, side=64)
    assert len(found) == 7
    assert [b.score for b in found] == sorted((b.score for b in found), reverse=True)
    fewer = cem.suggest(tissue, n=3, side=64)
    assert [(b.z, b.y, b.x) for b in fewer] == [(b.z, b.y, b.x) for b in found[:3]]


def test_what_is_labelled_and_what_looks_like_it_does_not_come_up(tissue: np.ndarray) -> None:
    doubled = np.repeat(tissue, 2, axis=0)
    first = cem.suggest(doubled, n=4, side=64)
    labels = np.zeros(doubled.shape, np.uint8)
    for box in first:
        labels[box.z, box.y + 5, box.x + 5] = 1
    found = cem.suggest(doubled, labels=labels, n=50, side=64)
    assert found
    for box in found:
        assert not labels[box.z, box.y : box.y + box.height, box.x : box.x + box.width].any()
        assert all(bits(box.thumbnail, seen.thumbnail) > 12 for seen in first)
    assert "unlike what is labelled" in found[0].reason


def test_labels_on_slices_between_those_looked_at_count(
    tissue: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggestion, "SLICES", 2)
    labels = np.zeros(tissue.shape, np.uint8)
    labels[7, :64, :64] = 2
    found = cem.suggest(tissue, labels=labels, n=50, side=64)
    assert all(bits(box.thumbnail, tissue[7, :64, :64]) > 12 for box in found)


def test_with_a_model_the_undecided_come_first(tissue: np.ndarray, model) -> None:
    found = cem.suggest(tissue[:4], model, n=10, side=64)
    assert found
    assert all(0 <= box.uncertainty <= 1 for box in found)
    assert "the model is undecided on" in found[0].reason


def test_16_bit_volumes_are_looked_at_over_their_own_range(tissue: np.ndarray) -> None:
    small = cem.suggest(tissue, n=3, side=64)
    large = cem.suggest(tissue.astype(np.uint16) * 16, n=3, side=64)
    assert {(b.z, b.y, b.x) for b in small} & {(b.z, b.y, b.x) for b in large}


def test_a_blank_volume_has_nothing_to_suggest() -> None:
    assert cem.suggest(np.full((3, 128, 128), 9, np.uint8)) == []


def test_arguments_that_do_not_fit_are_refused(tissue: np.ndarray) -> None:
    with pytest.raises(ValueError, match="labels are"):
        cem.suggest(tissue, labels=np.zeros((1, 2, 2), np.uint8))
    for options in ({"n": 0}, {"side": 3}):
        with pytest.raises(ValueError, match="n must be"):
            cem.suggest(tissue, **options)
