"""The filter of patches: what it rejects by the rule, its file, and one of the user's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_cem import _core, hashing, informative

sys.path.insert(0, str(Path(__file__).parent / "curation"))

import patches as labelled_patches
import train_filter


@pytest.fixture(scope="module")
def judge() -> informative.Filter:
    """The built-in filter."""
    return informative.load()


def test_every_figure_has_a_name() -> None:
    assert len(informative.NAMES) == len(set(informative.NAMES)) == _core.FEATURES


def test_figures_say_what_their_names_say() -> None:
    patch = np.zeros((64, 64), np.uint8)
    patch[:, 32:] = 200
    named = dict(zip(informative.NAMES, hashing.features(patch[None])[0].tolist(), strict=True))
    assert named["deviation"] == 100
    assert named["range_90"] == 200
    assert named["commonest"] == 0.5
    assert named["saturated"] == 0.5
    assert named["entropy"] == 1
    assert named["skewness"] == 0
    assert named["kurtosis"] == 1
    assert named["equal_neighbours"] == pytest.approx(62 / 63)
    assert named["blocks_8_q90"] == 0
    assert named["uniform_3"] == 1
    assert named["coherence_8"] == 1


@pytest.mark.parametrize("grey", [0, 100, 255])
@pytest.mark.parametrize("shape", [(224, 224), (112, 224), (17, 16)])
def test_a_constant_patch_is_rejected(judge, grey: int, shape: tuple[int, int]) -> None:
    assert judge.score(np.full((1, *shape), grey, np.uint8))[0] < informative.LIMIT


@pytest.mark.parametrize("kind", ["resin", "padded", "stripes"])
def test_what_is_uniform_by_construction_is_rejected(judge, kind: str) -> None:
    made = np.stack(
        [labelled_patches.pixels_of(f"made {kind} {n}", Path()) for n in range(1000, 1060)]
    )
    assert (judge.score(made) < informative.LIMIT).mean() >= 0.9


def test_the_built_in_filter_is_what_its_script_makes(judge, shared: Path) -> None:
    figures, labels, good = train_filter.training_set(shared)
    made = informative.fit(figures, labels, False, 0.001)
    made = train_filter.shifted(made, made.scores(figures[good]))
    assert np.allclose(made.weights, judge.weights, atol=1e-4)
    assert made.bias == pytest.approx(judge.bias, abs=1e-3)


def test_the_built_in_filter_on_patches_of_other_sources(judge, shared: Path) -> None:
    lines, labels = train_filter.read("test")
    scores = judge.scores(train_filter.figures_of(lines, shared))
    assert len(lines) == 400
    assert train_filter.auroc(scores, labels) > 0.98
    assert ((scores > informative.LIMIT) == labels).mean() > 0.93


def test_training_and_test_patches_have_no_source_in_common() -> None:
    sources = []
    for name in ("train", "test"):
        lines, _ = train_filter.read(name)
        sources.append({"/".join(line.split()[0].split("/")[:2]) for line in lines})
    assert not sources[0] & sources[1]


def test_a_filter_is_read_as_it_was_written(judge, tmp_path: Path) -> None:
    judge.save(tmp_path / "f.json")
    again = informative.load(tmp_path / "f.json")
    noise = np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    assert (again.score(noise) == judge.score(noise)).all()


@pytest.mark.parametrize(
    "change",
    [
        {"figures": ["deviation"]}, {"weights": [1.0]}, {"bias": None}, {"deviation": "x"},
        {"mean": [float("nan")] * 39}, {"deviation": [0.0] * 39},
    ],
)  # fmt: skip
def test_a_file_that_is_no_filter_is_refused(judge, tmp_path: Path, change: dict) -> None:
    path = tmp_path / "f.json"
    judge.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=r"f\.json is not a filter"):
        informative.load(path)
    path.write_text("[" * 5000)
    with pytest.raises(ValueError, match="is not a filter"):
        informative.load(path)


def test_a_filter_learns_what_the_user_accepts(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (30, 10, 10), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    fine = random.integers(0, 256, (30, 60, 80), dtype=np.uint8)
    accepted = [True] * 20 + [False] * 20
    own = informative.train([*coarse[:20], *fine[:20]], accepted)
    own.save(tmp_path / "own.json")
    again = informative.load(tmp_path / "own.json")
    assert (again.score(coarse[20:]) > 0.5).all()
    assert (again.score(fine[20:]) < 0.5).all()
    with pytest.raises(ValueError, match="accepted and some that were rejected"):
        informative.train(list(fine), [True] * 30)
