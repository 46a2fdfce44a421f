"""Packs a model into the starter that ships: weights in 8 bits, a factor for each output channel.

    python docs/starter/pack.py MODEL.safetensors OUT.safetensors

Batch norms, which are few, stay in 32 bits.  The card gets the name and the SHA-256 of the model
that was packed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from napari_cem import weights


def eight_bit(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers from -127 to 127 and, per output channel, what one of them is worth."""
    factor = np.abs(kernel).max(axis=(1, 2, 3)) / 127
    factor[factor == 0] = 1
    return np.rint(kernel / factor[:, None, None, None]).astype(np.int8), factor.astype(np.float32)


def main(model: str, out: str) -> None:
    """Writes the packed file."""
    packed = {}
    for name, tensor in load_file(model).items():
        if tensor.ndim == 4:
            packed[name], packed[f"{name}.scale"] = eight_bit(tensor)
        else:
            packed[name] = tensor
    card = weights.read_card(model)
    kept = {key: card[key] for key in ("format", "version", "architecture", "classes", "widths")}
    base = {"name": "starter", "sha256": weights.sha256(model), "decoder": True}
    text = json.dumps({**kept, "kind": "model", "base": base}, sort_keys=True)
    save_file(packed, out, metadata={"card": text})
    print(f"{out}: {Path(out).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
