"""From a checkpoint to a .safetensors file: the tensors, and a card that says what they are."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from napari_cem.checkpoint import Checkpoint

__all__ = ["check_free", "convert", "read_card", "sha256"]


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The card of a file of weights or of a model, without its tensors; {} if it has none.

    Raises
    ------
    ValueError
        It is no safetensors file, or its card is no JSON object.
    OSError
        It cannot be read.
    """
    with Path(path).open("rb"):
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("card", "{}")
    except SafetensorError:
        raise ValueError(
            f"{path} is not a .safetensors file; if it is a PyTorch checkpoint, run: "
            f"napari-cem weights import {path}"
        ) from None
    try:
        card = json.loads(text)
    except (ValueError, RecursionError):
        card = None
    if not isinstance(card, dict):
        raise ValueError(f"{path} has a card that is no JSON object")
    return card


def _publish(temporary: Path, target: Path) -> None:
    """Gives a finished file its name, unless that is taken."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:
        # a file system without hard links
        if target.exists():
            raise _taken(target) from None
        temporary.rename(target)


def _taken(target: Path) -> FileExistsError:
    return FileExistsError(f"{target} exists already; remove it or choose another name")


def check_free(target: Path) -> None:
    """Refuses a name that is taken, before work is done for it."""
    if target.exists():
        raise _taken(target)


def _save(target: Path, tensors: dict[str, NDArray[Any]], card: dict[str, Any]) -> None:
    """Writes a safetensors file by atomic rename; the same content gives the same bytes."""
    text = json.dumps(card, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        save_file(tensors, temporary, metadata={"card": text})
        _publish(temporary, target)
    except SafetensorError as error:
        raise OSError(f"{target} cannot be written: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _model_fields(found: Checkpoint) -> dict[str, Any]:
    """What the card of a whole model says beyond that of an encoder."""
    from napari_cem.model import class_entries  # which itself imports this module

    count = max(2, found.outputs)
    return {
        "kind": "model",
        "architecture": "unet-resnet50",
        "classes": class_entries(["background", *(f"class {k}" for k in range(1, count))]),
        "widths": list(found.widths),
        "intensity_rule": "norms",
        "precision": "f32",
    }


def _one_output(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The same network of two classes with one logit, as the core keeps it.

    A softmax of two is the sigmoid of their difference.
    """
    heads = ("segmentation_head.0.weight", "segmentation_head.0.bias")
    return tensors | {
        name: np.ascontiguousarray(tensors[name][1:] - tensors[name][:1]) for name in heads
    }


def convert(
    found: Checkpoint, target: Path, name: str, digest: str, norms: tuple[float, float]
) -> None:
    """Writes a file of encoder weights, or a model if `found` is a whole U-Net.

    Parameters
    ----------
    found : Checkpoint
    target : Path
        A new file; it appears whole or not at all.
    name, digest : str
        What the checkpoint is called, and its SHA-256.
    norms : tuple of float
        Mean and deviation of the images it was trained on, in units of 0..1.

    Raises
    ------
    OSError
        `target` exists or cannot be written.
    """
    card: dict[str, Any] = {
        "format": "napari-cem",
        "version": 1,
        "kind": "encoder",
        "architecture": "resnet50",
        "norms": list(norms),
        "base": {"name": name, "sha256": digest},
    }
    tensors = found.tensors
    if found.outputs:
        card |= _model_fields(found)
        if found.outputs == 2:
            tensors = _one_output(tensors)
    _save(target, tensors, card)
