"""Boxes that `suggest` chose against boxes chosen at random: IoU after as many of them.

Both begin with the same two random boxes, labelled by the truth.  Each round adds four more, by
`suggest` with the model of now or at random, and trains on all of them from the same start.  The
IoU is that of mitochondria on slices of another part of the volume, at the best threshold, so that
the choice of the threshold plays no part.

    python tests/benchmarks/suggest.py [--data FOLDER] [--rounds 2] [--seeds 5] [--steps 120]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import napari_cem as cem

HERE = Path(__file__).parent
SIDE, FIRST, EACH = 128, 2, 4
LEAST = 0.05  # of the first boxes' pixels are mitochondria, or there would be nothing to learn
METHODS = ("random", "suggest")


@dataclass
class Task:
    """A volume, its truth, where boxes may be labelled, and the slices that are judged."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    pool: slice
    judged: list[int]


def tasks(data: Path) -> Iterator[Task]:
    """The two volumes."""
    for name, image, truth, pool, judged in (
        ("epfl_training", "raw_80x512x512", "mito_80x512x512", slice(0, 48), [58, 67, 76]),
        ("vnc_stack1", "raw_20x1024x1024", "mitochondria_20x1024x1024", slice(0, 12), [14, 18]),
    ):
        folder = data / "b_dev" / name
        volumes = [cem.open_volume(folder / f"{stem}.tif") for stem in (image, truth)]
        pixels = [np.stack([v.slice(z) for z in range(v.shape[0])]) for v in volumes]
        yield Task(name, pixels[0], pixels[1], pool, judged)


def random_boxes(task: Task, labels: np.ndarray, count: int, random: np.random.Generator) -> list:
    """Boxes of the grid that have no labels yet."""
    depth, height, width = labels.shape
    found: list[tuple[int, int, int]] = []
    while len(found) < count:
        z = int(random.integers(depth))
        y = int(random.integers(height // SIDE)) * SIDE
        x = int(random.integers(width // SIDE)) * SIDE
        if (z, y, x) not in found and not labels[z, y : y + SIDE, x : x + SIDE].any():
            found.append((z, y, x))
    return found


def label(task: Task, labels: np.ndarray, boxes: list) -> None:
    """Fills boxes with the truth."""
    truth = task.truth[task.pool]
    for z, y, x in boxes:
        here = np.s_[z, y : y + SIDE, x : x + SIDE]
        labels[here] = 1 + truth[here]


def trained(task: Task, labels: np.ndarray, steps: int, seed: int, base: str) -> cem.Model:
    """A model after some steps on what is labelled."""
    model = cem.Model.from_weights(base, ["background", "mitochondria"], seed=seed)
    trainer = cem.Trainer(model, seed=seed, crop=SIDE)
    trainer.add(task.image[task.pool], labels)
    for _ in trainer.run(steps=steps):
        pass
    return model


def iou(task: Task, model: cem.Model) -> float:
    """IoU on the slices that are judged, at the best threshold."""
    constants = cem.measure(task.image).intensity
    found = np.stack([model.predict(task.image[z], constants)[1] for z in task.judged])
    true = task.truth[task.judged] == 1
    scores = []
    for threshold in np.linspace(0.05, 0.95, 19):
        over = found >= threshold
        scores.append((over & true).sum() / max((over | true).sum(), 1))
    return float(max(scores))


def curves(task: Task, options: argparse.Namespace, seed: int) -> dict[str, list[float]]:
    """IoU after every round, by each method; the first round is the same."""
    pool = task.image[task.pool]
    first = np.zeros(pool.shape, np.uint8)
    draw = np.random.default_rng(seed)
    while (first == 2).sum() < LEAST * (first > 0).sum() or not first.any():
        first[:] = 0
        label(task, first, random_boxes(task, first, FIRST, draw))
    start = trained(task, first, options.steps, seed, options.base)
    found = {}
    for method in METHODS:
        random = np.random.default_rng([seed, 1])
        model, labels = start, first.copy()
        found[method] = [iou(task, start)]
        for _ in range(options.rounds - 1):
            if method == "random":
                boxes = random_boxes(task, labels, EACH, random)
            else:
                chosen = cem.suggest(pool, model, labels, n=EACH, side=SIDE, seed=seed)
                boxes = [(s.z, s.y, s.x) for s in chosen]
            label(task, labels, boxes)
            model = trained(task, labels, options.steps, seed, options.base)
            found[method].append(iou(task, model))
    return found


def main() -> None:
    """Prints the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--base", default="scratch")
    options = parser.parse_args()
    heads = "  ".join(f"{FIRST + EACH * k:2d} boxes" for k in range(options.rounds))
    print(f"{'data':14} {'method':8} seed  {heads}")
    for task in tasks(options.data):
        rows: dict[str, list[list[float]]] = {method: [] for method in METHODS}
        for seed in range(options.seeds):
            for method, scores in curves(task, options, seed).items():
                rows[method].append(scores)
                text = "  ".join(f"{score:8.3f}" for score in scores)
                print(f"{task.name:14} {method:8} {seed:4d}  {text}", flush=True)
        for method in METHODS:
            text = "  ".join(f"{score:8.3f}" for score in np.mean(rows[method], axis=0))
            print(f"{task.name:14} {method:8} mean  {text}", flush=True)


if __name__ == "__main__":
    main()
