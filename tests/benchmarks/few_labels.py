"""From a few strokes to a segmentation: IoU against seconds, ours and a pixel classifier's.

The classifier is what the scribble tools do: scikit-image's multiscale features of a slice and a
random forest.  Both get the same strokes, and both are judged on slices at least four away from a
slice with strokes.  The strokes were drawn once, from the images alone: nobody looked at the truth
or at a score.  Seconds are those from the strokes to a trained model, everything included but the
reading of the files.  The IoU is that at the threshold the method stores (the classifier: 0.5),
then at 0.5, then at the best threshold, which needs the truth.

    python tests/benchmarks/few_labels.py [--seconds 10 20 60] [--data FOLDER] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from strokes import paint  # noqa: E402

import napari_cem as cem  # noqa: E402
from napari_cem import demo, weights  # noqa: E402
from napari_cem.intensity import measure  # noqa: E402

MOST_SLICES = 16
TRUTH = {
    "epfl_training": "mito_80x512x512.tif",
    "vnc_stack1": "mitochondria_20x1024x1024.tif",
    "isbi2012": "membrane_30x512x512.tif",
}


@dataclass(frozen=True)
class Task:
    """A stack, its strokes, and the truth on the slices that count."""

    name: str
    target: str
    image: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    slices: list[int]


def read(path: Path) -> np.ndarray:
    """A whole stack."""
    volume = cem.open_volume(path)
    return np.stack([volume.slice(z) for z in range(volume.shape[0])])


def far_slices(labels: np.ndarray) -> list[int]:
    """At most 16 slices, evenly taken from those at least four away from any stroke."""
    annotated = np.flatnonzero(labels.any(axis=(1, 2)))
    far = [z for z in range(len(labels)) if np.abs(annotated - z).min() >= 4]
    step = max(1, -(-len(far) // MOST_SLICES))
    return far[::step]


def tasks(data: Path) -> Iterator[Task]:
    """The sample of the demo, and what of the development data is there."""
    sample = demo.load()
    far = far_slices(sample.scribbles)
    yield Task(
        "fly_medulla_fibsem", "membrane", sample.image, sample.scribbles, sample.truth > 0, far
    )
    for name, truth in TRUTH.items():
        drawing = json.loads((HERE / "strokes" / f"{name}.json").read_text())
        image = data / "b_dev" / drawing["image"]
        if not image.is_file():
            print(f"{name}: not in {data}, left out", file=sys.stderr)
            continue
        labels = paint(drawing)
        true = read(image.with_name(truth)) > 0
        yield Task(name, drawing["classes"]["2"], read(image), labels, true, far_slices(labels))


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def best_iou(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """IoU at the threshold that is best for this very data, which no method knows."""
    return max(iou(probabilities > t, truth) for t in np.linspace(0.05, 0.95, 19))


def scores(probability: np.ndarray, threshold: float, truth: np.ndarray) -> str:
    """IoU at a threshold, at 0.5 and at the best one, as columns of the table."""
    at = [iou(probability >= t, truth) for t in (threshold, 0.5)]
    return "  ".join(f"{score:.3f}" for score in (*at, best_iou(probability, truth)))


def forest(task: Task, threads: int) -> tuple[float, str]:
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
) -> Iterator[tuple[float, int, str]]:
    """Seconds, steps and scores after each budget of one training that goes on."""
    start = time.perf_counter()
    model = cem.Model.from_weights(base, ["background", task.target])
    trainer = cem.Trainer(model, threads=threads)
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


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 20, 40, 60])
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(f"{cem.__version__}, {cem._core.backend()}, {options.threads} threads")
    print(f"{'data':18}  {'target':12}  {'method':18}seconds  steps    IoU  at 0.5   best")
    for task in tasks(options.data):
        row = f"{task.name:18}  {task.target:12}"
        seconds, score = forest(task, options.threads)
        print(f"{row}  {'pixel classifier':16}  {seconds:7.1f}      -  {score}")
        bases = ["scratch", *(name for name in weights.KNOWN if weights.cached(name))]
        for base in bases:
            for seconds, steps, score in ours(task, base, options.seconds, options.threads):
                method = f"napari-cem {base}"
                print(f"{row}  {method:18}{seconds:7.1f}  {steps:5d}  {score}", flush=True)


if __name__ == "__main__":
    main()
