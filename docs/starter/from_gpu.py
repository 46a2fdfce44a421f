"""Joins what `gpu.py` wrote to a model of the core's.

python docs/starter/from_gpu.py FOLDER MODEL.safetensors
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pages import CLASSES

import napari_cem as cem


def main(folder: str, out: str) -> None:
    """Writes the model."""
    state = {}
    for part in sorted(Path(folder).glob("part*.npz")):
        with np.load(part) as arrays:
            state |= dict(arrays)
    model = cem.Model.from_weights("scratch", list(CLASSES))
    for index, (name, shape) in enumerate(model.core.tensors()):
        if not name.endswith("num_batches_tracked"):
            model.core.tensor_set(index, state[name].astype(np.float32).reshape(shape))
    model.update_card(base={"name": "scratch", "sha256": None})
    model.save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
