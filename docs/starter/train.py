"""Trains the starter on the pages, everything trainable; a killed run goes on.

python docs/starter/train.py PAGES.npz OUT.safetensors [--steps 2600] [--base FILE]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from pages import CLASSES

import napari_cem as cem
from napari_cem.intensity import measure

WEIGHTS = [0.5, 1.0, 2.0, 0.5, 0.5, 2.0, 0.5]
OPTIONS = {"freeze": "none", "dense": 0, "batch": 6, "crop": 192, "class_weights": WEIGHTS}


def main() -> None:
    """Trains, saving the state every hundred steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--base", default="scratch", help="weights to start from, or a model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    base = Path(options.base)
    if options.base != "scratch" and "classes" in cem.weights.read_card(base):
        model = cem.Model.load(base)
    else:
        model = cem.Model.from_weights(options.base, list(CLASSES), options.seed)
    state = options.out.with_suffix(".state")
    make = {"recipe": "cem500k", "seed": options.seed, "steps": options.steps,
            "learning_rate": options.rate, **OPTIONS}  # fmt: skip
    trainer = (
        cem.Trainer.load(model, state, **make) if state.exists() else cem.Trainer(model, **make)
    )
    with np.load(options.pages) as pages:
        for number in range(len(pages.files) // 2):
            image = pages[f"image{number:04d}"]
            trainer.add(image, pages[f"labels{number:04d}"], intensity=measure(image))
    losses, begun = [], time.monotonic()
    for report in trainer.run(until=options.steps):
        losses.append(report.loss)
        if report.step % 100 == 0:
            rate = len(losses) / (time.monotonic() - begun)
            print(
                f"{report.step}  loss {np.mean(losses[-100:]):.3f}  {rate:.2f} steps/s", flush=True
            )
            trainer.save(state)
    model.save(options.out, overwrite=True)


if __name__ == "__main__":
    main()
