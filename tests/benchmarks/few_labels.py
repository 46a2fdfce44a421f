"""From a few strokes to a segmentation: IoU against seconds, ours and a pixel classifier's.

The classifier is what the scribble tools do: scikit-image's multiscale features of a slice and a
random forest.  All get the same strokes, and all are judged on slices at least four away from a
slice with strokes.  Strokes come from `scribbler.py` (two slices, at most 3,000 pixels, by seeds)
or were drawn by hand once, from the images alone: nobody looked at the truth or at a score.
Seconds are those from the strokes to a trained model, everything included but the reading of the
files.  The IoU is that at the threshold the method stores (the classifier: 0.5), then at 0.5, then
at the best threshold, which needs the truth.  None of these images trained the starter.

    python tests/benchmarks/few_labels.py [--seconds 3 20 60] [--targets mitochondria ...]
        [--seeds 5] [--pixels 3000] [--data FOLDER] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from scribbler import PIXELS, scribble  # noqa: E402
from strokes import paint  # noqa: E402

import napari_cem as cem  # noqa: E402
from napari_cem import weights  # noqa: E402
from napari_cem.intensity import measure  # noqa: E402

MOST_PIXELS = 1 << 22
BY_HAND = "by hand"
STACKS = [  # folder in b_dev, target, image, truth, whether strokes of it were drawn by hand
    ("epfl_training", "mitochondria", "raw_80x512x512.tif", "mito_80x512x512.tif", True),
    ("vnc_stack1", "mitochondria", "raw_20x1024x1024.tif", "mitochondria_20x1024x1024.tif", True),
    ("vnc_stack1", "membranes", "raw_20x1024x1024.tif", "membranes_20x1024x1024.tif", False),
    ("vnc_stack1", "synapses", "raw_20x1024x1024.tif", "synapses_20x1024x1024.tif", False),
    ("isbi2012", "membranes", "raw_30x512x512.tif", "membrane_30x512x512.tif", True),
]


@dataclass(frozen=True)
class Task:
    """A stack, its strokes, and the truth on the slices that count."""

    name: str
    target: str
    seed: str
    image: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    slices: list[int]


def read(path: Path) -> np.ndarray:
    """A whole stack."""
    volume = cem.open_volume(path)
    return np.stack([volume.slice(z) for z in range(volume.shape[0])])


def far_slices(labels: np.ndarray) -> list[int]:
    """Slices evenly taken from those at least four away from any stroke, MOST_PIXELS in all."""
    annotated = np.flatnonzero(labels.any(axis=(1, 2)))
    far = [z for z in range(len(labels)) if np.abs(annotated - z).min() >= 4]
    most = MOST_PIXELS // labels[0].size
    step = max(1, -(-len(far) // most))
    return far[::step]


def tasks(data: Path, targets: list[str], seeds: int, pixels: int) -> Iterator[Task]:
    """What of the development data is there, with the strokes of every seed."""
    for name, target, image_file, truth_file, drawn in STACKS:
        folder = data / "b_dev" / name
        if target not in targets:
            continue
        if not folder.is_dir():
            print(f"{name}: not in {data}, left out", file=sys.stderr)
            continue
        image, truth = read(folder / image_file), read(folder / truth_file) > 0
        strokes = {str(seed): scribble(truth, seed, pixels) for seed in range(seeds)}
        if drawn:
            drawing = json.loads((HERE / "strokes" / f"{name}.json").read_text())
            strokes[BY_HAND] = paint(drawing)
        for seed, labels in strokes.items():
            yield Task(name, target, seed, image, labels, truth, far_slices(labels))


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def best_iou(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """IoU at the threshold that is best for this very data, which no method knows."""
    return max(iou(probabilities > t, truth) for t in np.linspace(0.05, 0.95, 19))


def scores(probability: np.ndarray, threshold: float, truth: np.ndarray) -> tuple[float, ...]:
    """IoU at a threshold, at 0.5 and at the best one."""
    at = [iou(probability >= t, truth) for t in (threshold, 0.5)]
    return (*at, best_iou(probability, truth))


def forest(task: Task, threads: int) -> tuple[float, tuple[float, ...]]:
    """Seconds and scores of the pixel classifier."""
    from skimage.feature import multiscale_basic_features
    from sklearn.ensemble import RandomForestClassifier

    def features(page: np.ndarray) -> np.ndarray:
        return multiscale_basic_features(page, sigma_max=16)

    start = time.perf_counter()
    annotated = np.flatnonzero(task.labels.any(axis=(1, 2)))
    inputs, outputs = [], []
    for z in annotated:
        where = task.labels[z] > 0
        inputs.append(features(task.image[z])[where])
        outputs.append(task.labels[z][where])
    model = RandomForestClassifier(100, n_jobs=threads, random_state=0, class_weight="balanced")
    model.fit(np.concatenate(inputs), np.concatenate(outputs))
    seconds = time.perf_counter() - start
    found = np.stack(
        [
            model.predict_proba(features(task.image[z]).reshape(task.image[z].size, -1))[:, 1]
            for z in task.slices
        ]
    ).reshape(len(task.slices), *task.image.shape[1:])
    return seconds, scores(found, 0.5, task.truth[task.slices])


def ours(
    task: Task, base: str, budgets: list[float], threads: int
) -> Iterator[tuple[float, int, tuple[float, ...]]]:
    """Seconds, steps and scores after each budget of one training that goes on."""
    start = time.perf_counter()
    seed = 0 if task.seed == BY_HAND else int(task.seed)
    model = cem.Model.from_weights(base, ["background", task.target], seed)
    trainer = cem.Trainer(model, seed=seed, threads=threads)
    found = measure(task.image)
    trainer.add(task.image, task.labels, intensity=found)
    spent = time.perf_counter() - start
    for budget in budgets:
        start = time.perf_counter()
        for _ in trainer.run(seconds=max(budget - spent, 0.1)):
            pass
        spent += time.perf_counter() - start
        probabilities = model.predict(task.image[task.slices], found.intensity, threads)
        threshold = model.card.get("threshold") or 0.5
        yield spent, trainer.step, scores(probabilities[1], threshold, task.truth[task.slices])


def compare(
    task: Task, budgets: list[float], bases: list[str], threads: int
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Prints a line for each method and budget, and yields its name and scores."""
    row = f"{task.name:14} {task.target:13} {task.seed:8}"

    def line(method: str, seconds: float, steps: object, found: tuple[float, ...]) -> None:
        shown = "  ".join(f"{score:.3f}" for score in found)
        print(f"{row} {method:18} {seconds:6.1f} {steps:>6}  {shown}", flush=True)

    seconds, found = forest(task, threads)
    line("pixel classifier", seconds, "-", found)
    yield "pixel classifier", found
    for base in bases:
        trained = ours(task, base, budgets, threads)
        for budget, (seconds, steps, found) in zip(budgets, trained, strict=True):
            line(base, seconds, steps, found)
            yield f"{base}, {budget:g} s", found


def main() -> None:
    """Prints every score, then means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[3, 20, 60])
    parser.add_argument("--targets", nargs="+", default=["mitochondria", "membranes", "synapses"])
    parser.add_argument("--bases", nargs="+", default=["scratch", "starter"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pixels", type=int, default=PIXELS, help="painted at most")
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    bases = [*options.bases, *(name for name in weights.KNOWN if weights.cached(name))]
    print(f"{cem.__version__}, {cem._core.backend()}, {options.threads} threads")
    columns = "stored    0.5   best"
    print(f"{'data':14} {'target':13} {'strokes':8} {'method':18} {'s':>6} {'steps':>6} {columns}")
    means: dict[tuple[str, str, str], list[tuple[float, ...]]] = defaultdict(list)
    for task in tasks(options.data, options.targets, options.seeds, options.pixels):
        for method, found in compare(task, options.seconds, bases, options.threads):
            if task.seed != BY_HAND:
                means[task.name, task.target, method].append(found)
    print("\n| data | target | method | IoU | at 0.5 | best | least | most |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, target, method), each in means.items():
        stored, half, best = (f"{value:.3f}" for value in np.mean(each, axis=0))
        firsts = [scores[0] for scores in each]
        extremes = f"{min(firsts):.3f} | {max(firsts):.3f}"
        print(f"| {name} | {target} | {method} | {stored} | {half} | {best} | {extremes} |")


if __name__ == "__main__":
    main()
