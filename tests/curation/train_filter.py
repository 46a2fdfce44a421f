"""Makes the built-in filter of patches out of its labelled ones, and judges it on others.

    python tests/curation/train_filter.py [--data FOLDER] [--write] [--mistakes FILE.png]

The labels in ``train.txt`` and ``test.txt`` were given by eye on contact sheets (``choose.py``),
by the rule: 0 if at least four fifths of the area are uniform, if there is hardly any contrast, if
it is an artefact, or if it shows no cells; else 1.  The two lists have no source in common.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from choose import sheet
from patches import pixels_of

from napari_cem import hashing, informative

HERE = Path(__file__).parent
REJECTED = 0.05
SOURCES = [
    "FIB-SEM data of the Drosophila medulla, FlyEM, Janelia Research Campus, CC BY",
    "example data of cem-dataset, Copyright (c) 2020, volume-em, BSD-3",
    "Copyright (c) 2025 AxonDeepSeg, MIT",
    "Copyright (c) NEUBIAS, from NEUBIAS training-resources, CC BY 4.0",
    "photographs of scikit-image",
]
CHANGED = {"faint": 0, "blurred": 0, "inverted": 1, "bright": 1, "dark": 1}


def read(name: str) -> tuple[list[str], np.ndarray]:
    """The patches of a list, and their labels."""
    lines = (HERE / f"{name}.txt").read_text().splitlines()
    return [line[2:] for line in lines], np.array([line[0] == "1" for line in lines])


def figures_of(lines: list[str], data: Path) -> np.ndarray:
    """The figures of patches."""
    return np.concatenate([hashing.features(pixels_of(line, data)[None]) for line in lines])


def training_set(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Figures and labels, changed patches included, and which are images' own worth having."""
    lines, labels = read("train")
    good = np.flatnonzero(labels)
    for line, label in list(zip(lines, labels, strict=True)):
        if label:
            lines += [f"{line} {change}" for change in CHANGED]
            labels = np.append(labels, [bool(after) for after in CHANGED.values()])
    return figures_of(lines, data), labels, good


def shifted(made: informative.Filter, own: np.ndarray) -> informative.Filter:
    """The filter with its bias moved so that it rejects `REJECTED` of the scores `own`.

    How many bad patches there are for every good one is a matter of choice in the training set, so
    the fitted bias means nothing; the good ones are those of real images.
    """
    limit = np.quantile(own.astype(np.float64), REJECTED)
    return replace(made, bias=made.bias - float(np.log(limit / (1 - limit))))


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the receiver's curve: how often a good patch has the higher score."""
    good, bad = scores[labels], scores[~labels]
    above = (good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean()
    return float(above)


def judge(filter_: informative.Filter, data: Path, mistakes: Path | None) -> float:
    """Prints how the test patches are judged; returns the AUROC."""
    lines, labels = read("test")
    scores = filter_.scores(figures_of(lines, data))
    kept = scores > informative.LIMIT
    area = auroc(scores, labels)
    print(f"test: {len(lines)} patches, AUROC {area:.3f}")
    print(f"  worth having: {kept[labels].sum()} kept, {(~kept)[labels].sum()} rejected")
    print(f"  not:          {kept[~labels].sum()} kept, {(~kept)[~labels].sum()} rejected")
    sources = np.array(["/".join(line.split()[0].split("/")[:2]) for line in lines])
    for source in dict.fromkeys(sources):
        here = sources == source
        print(f"  {source:28} {kept[here].sum():3d} of {here.sum():3d} kept")
    wrong = np.flatnonzero(kept != labels)
    if mistakes is not None and len(wrong):
        sheet([f"? {lines[i]}" for i in wrong], data, 0).save(mistakes)  # type: ignore[attr-defined]
    return area


def main() -> None:
    """Trains, judges, and with --write replaces the built-in filter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--squares", action="store_true")
    parser.add_argument("--strength", type=float, default=0.001)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--mistakes", type=Path)
    options = parser.parse_args()
    features, labels, good = training_set(options.data)
    made = informative.fit(features, labels, options.squares, options.strength)
    made = shifted(made, made.scores(features[good]))
    own = made.scores(features)
    print(f"training: {len(labels)} patches, AUROC {auroc(own, labels):.3f}")
    area = judge(made, options.data, options.mistakes)
    made.about.update(
        script="tests/curation/train_filter.py", sources=SOURCES, test_auroc=round(area, 3)
    )
    if options.write:
        made.save(informative.BUILTIN)


if __name__ == "__main__":
    main()
