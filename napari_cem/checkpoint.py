"""Weights of the network from PyTorch checkpoints, without PyTorch.

What is looked for: a ResNet-50 encoder with one input channel, under any of the prefixes that MoCo,
PixPro, SwAV, DistributedDataParallel and plain torchvision give to its names; or a whole U-Net of
segmentation_models.pytorch.  Everything else in the file (second encoder, projection head, queue,
optimiser) is left unread.

A checkpoint is taken only if it fits completely.  Loading "what matches" would turn a file with
other names, another depth or another number of channels into a network that is partly random, and
nobody would notice.  :mod:`napari_cem.archive` says why a checkpoint cannot run code.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cem.archive import open_archive
from napari_cem.pickled import Placeholder, shown
from napari_cem.torch_objects import Tensor

__all__ = [
    "BLOCKS",
    "PREFIXES",
    "Checkpoint",
    "decoder_shapes",
    "encoder_shapes",
    "read",
    "read_stream",
]

PREFIXES = (
    "module.encoder_q.",
    "encoder_q.",
    "module.encoder.backbone.",
    "module.",
    "encoder.",
    "",
)
"""What may stand before torchvision's names of an encoder."""

STATE_DICTS = ("state_dict", "model_state_dict")
BLOCKS = 5
LARGEST_WIDTH = 4096
LARGEST_OUTPUTS = 255
FEATURES = (2048, 1024, 512, 256, 64)
"""Channels of the encoder's features, deepest first."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Checkpoint:
    """The weights in a checkpoint, under the names of the model.

    Attributes
    ----------
    tensors : dict of str to ndarray
        ``encoder.*``, and for a whole model ``decoder.*`` and ``segmentation_head.*``; float32,
        ``num_batches_tracked`` int64 of shape ().
    norms : tuple of float, or None
        Mean and deviation of the training images in units of 0..1, if the file tells.
    outputs : int
        Maps that the head puts out, 1..255; 0 if the file holds an encoder only.
    widths : tuple of int
        Channels of the decoder's five blocks; empty if the file holds an encoder only.
    """

    tensors: dict[str, NDArray[Any]]
    norms: tuple[float, float] | None
    outputs: int
    widths: tuple[int, ...]


def _norm(name: str, channels: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{part}": (channels,) for part in parts}, f"{name}.num_batches_tracked": ()}


def encoder_shapes() -> Shapes:
    """Names (torchvision's) and shapes of the encoder's 318 tensors, in order."""
    shapes: Shapes = {"conv1.weight": (64, 1, 7, 7), **_norm("bn1", 64)}
    channels = 64
    for layer, (blocks, middle) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            at = f"layer{layer}.{block}"
            shapes |= {f"{at}.conv1.weight": (middle, channels, 1, 1)} | _norm(f"{at}.bn1", middle)
            shapes |= {f"{at}.conv2.weight": (middle, middle, 3, 3)} | _norm(f"{at}.bn2", middle)
            out = 4 * middle
            shapes |= {f"{at}.conv3.weight": (out, middle, 1, 1)} | _norm(f"{at}.bn3", out)
            if block == 0:
                shapes[f"{at}.downsample.0.weight"] = (out, channels, 1, 1)
                shapes |= _norm(f"{at}.downsample.1", out)
            channels = out
    return shapes


def decoder_shapes(widths: tuple[int, ...], outputs: int) -> Shapes:
    """Names and shapes of the 62 tensors of decoder and head, in order."""
    shapes: Shapes = {}
    channels = FEATURES[0]
    for block, width in enumerate(widths):
        skip = FEATURES[block + 1] if block + 1 < len(FEATURES) else 0
        for part, into in (("conv1", channels + skip), ("conv2", width)):
            at = f"decoder.blocks.{block}.{part}"
            shapes |= {f"{at}.0.weight": (width, into, 3, 3)} | _norm(f"{at}.1", width)
        channels = width
    shapes["segmentation_head.0.weight"] = (outputs, channels, 3, 3)
    shapes["segmentation_head.0.bias"] = (outputs,)
    return shapes


def _first_placeholder(value: object) -> Placeholder | None:
    """A placeholder anywhere inside `value`."""
    waiting, seen = [value], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Placeholder):
            return value
        if isinstance(value, (list, tuple, dict)) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value)
            waiting.extend(value.values() if isinstance(value, dict) else ())
    return None


def _state_dict(content: object) -> Mapping[Any, Any]:
    """The dictionary of tensors in what was saved, all of it plain data."""
    if isinstance(content, Placeholder):
        raise ValueError(
            f"it holds an object of the class {content!r}, not tensors; save its state_dict()"
        )
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a dictionary of tensors")
    name = next((name for name in STATE_DICTS if name in content), None)
    state = content[name] if name else {k: v for k, v in content.items() if k != "norms"}
    if not name and not any(isinstance(value, Tensor) for value in state.values()):
        keys = ", ".join(shown(key) for key in list(content)[:5] if isinstance(key, str))
        raise ValueError(f"it holds no state_dict; its keys are: {keys or 'none'}")
    if not isinstance(state, dict):
        what = repr(state) if isinstance(state, Placeholder) else type(state).__name__
        raise ValueError(f"its {name} is a {what}, not a dictionary of tensors")
    for key, value in state.items():
        placeholder = _first_placeholder([key, value])
        if placeholder:
            where = shown(key) if isinstance(key, str) else "a key"
            raise ValueError(f"its state_dict has the object {placeholder!r} at {where}")
    return state


def _complaint(name: str, value: object, shape: tuple[int, ...]) -> str:
    """What is wrong with the tensor `name`, or nothing."""
    if value is None:
        return f"{name} is missing"
    if not isinstance(value, Tensor):
        return f"{name} is a {type(value).__name__}, not a tensor"
    if name.endswith("conv1.weight") and len(shape) == 4 and shape[1] == 1:
        if value.shape == (64, 3, 7, 7):
            return (
                f"{name} has 3 input channels, as ImageNet weights have, and grey images need 1: "
                "use weights made for grey images, such as cem500k"
            )
    if value.shape != shape:
        return f"{name} has the shape {list(value.shape)}, must be {list(shape)}"
    integer = name.endswith("num_batches_tracked")
    if integer == (value.kind in ("f2", "bf16", "f4", "f8")):
        return f"{name} holds {'real numbers' if integer else 'integers'}"
    return ""


def _complaints(state: Mapping[Any, Any], prefix: str, shapes: Shapes) -> list[str]:
    """What is wrong with the tensors of `shapes` under `prefix`, and the first one too many."""
    wrong = [_complaint(prefix + name, state.get(prefix + name), shapes[name]) for name in shapes]
    pattern = re.compile(re.escape(prefix) + r"((conv1|bn1|layer\d+)\.|decoder|segmentation_head)")
    for key in state:
        if isinstance(key, str) and pattern.match(key) and key[len(prefix) :] not in shapes:
            wrong.append(f"{shown(key)} is one too many: it is another network")
            break
    return [text for text in wrong if text]


def _refuse(complaints: list[str]) -> None:
    if complaints:
        more = f" (and {len(complaints) - 1} more complaints)" if len(complaints) > 1 else ""
        raise ValueError(complaints[0] + more)


def _find_encoder(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The 318 tensors of an encoder, by the model's names."""
    shapes = encoder_shapes()
    complaints = {prefix: _complaints(state, prefix, shapes) for prefix in PREFIXES}
    present = {prefix: sum(prefix + name in state for name in shapes) for prefix in PREFIXES}
    prefix = min(PREFIXES, key=lambda prefix: (len(complaints[prefix]), -present[prefix]))
    if not present[prefix]:
        first = next((shown(key) for key in state if isinstance(key, str)), "nothing")
        raise ValueError(f"it holds no ResNet-50 under a known prefix; its first tensor is {first}")
    _refuse(complaints[prefix])
    return {f"encoder.{name}": state[prefix + name] for name in shapes}


def _size(state: Mapping[Any, Any], name: str, largest: int) -> int:
    """The first size of a tensor, from 1 to `largest`."""
    tensor = state.get(name)
    if not isinstance(tensor, Tensor) or not tensor.shape:
        raise ValueError(f"{name} is missing")
    if not 1 <= tensor.shape[0] <= largest:
        raise ValueError(f"{name} has {tensor.shape[0]} channels, must be 1 to {largest}")
    return tensor.shape[0]


def _find_model(
    state: Mapping[Any, Any], prefix: str
) -> tuple[dict[str, Tensor], tuple[int, ...], int]:
    """The 380 tensors of a whole U-Net by the model's names, decoder widths, outputs."""
    widths = tuple(
        _size(state, f"{prefix}decoder.blocks.{block}.conv1.0.weight", LARGEST_WIDTH)
        for block in range(BLOCKS)
    )
    outputs = _size(state, f"{prefix}segmentation_head.0.bias", LARGEST_OUTPUTS)
    encoder = encoder_shapes()
    decoder = decoder_shapes(widths, outputs)
    _refuse(_complaints(state, f"{prefix}encoder.", encoder) + _complaints(state, prefix, decoder))
    names = [f"encoder.{name}" for name in encoder] + list(decoder)
    return {name: state[prefix + name] for name in names}, widths, outputs


def _norms(content: object) -> tuple[float, float] | None:
    norms = content.get("norms") if isinstance(content, dict) else None
    if norms is None:
        return None
    placeholder = _first_placeholder(norms)
    if placeholder:
        raise ValueError(f"its norms hold the object {placeholder!r}")
    numbers = norms if isinstance(norms, (list, tuple)) else [norms]
    if not all(type(number) in (int, float) for number in numbers):
        raise ValueError("its norms are no two numbers, must be a mean and a deviation")
    if len(numbers) != 2 or not all(0 < number < 1 for number in numbers):
        text = ", ".join(f"{number:.6g}" for number in numbers[:3])
        raise ValueError(f"its norms are [{text}], must be mean and deviation between 0 and 1")
    return float(numbers[0]), float(numbers[1])


def _converted(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """`array` as the model keeps it, checked for values that no network has."""
    if name.endswith("num_batches_tracked"):
        if array < 0:
            raise ValueError(f"{name} has a count below 0")
        return array.astype(np.int64)
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    if name.endswith("running_var") and array.min() < 0:
        raise ValueError(f"{name} has a variance below 0")
    return array


def read_stream(stream: io.BufferedIOBase) -> Checkpoint:
    """As `read`, from an open binary file; the text of an error does not name it.

    Parameters
    ----------
    stream : binary file
        Seekable; read from its begin.
    """
    archive = open_archive(stream)
    state = _state_dict(archive.content)
    whole = [p for p in ("", "module.") if f"{p}decoder.blocks.0.conv1.0.weight" in state]
    widths: tuple[int, ...] = ()
    outputs = 0
    if whole:
        wanted, widths, outputs = _find_model(state, whole[0])
    else:
        wanted = _find_encoder(state)
    norms = _norms(archive.content)
    arrays = archive.tensors(wanted)
    tensors = {name: _converted(name, array) for name, array in arrays.items()}
    return Checkpoint(tensors, norms, outputs, widths)


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads the weights of a ResNet-50 encoder, or of a whole U-Net, from a PyTorch checkpoint.

    Parameters
    ----------
    path : path
        A file of ``torch.save``, zip or stream: a MoCo checkpoint; a state dict of torchvision's
        resnet50 with one input channel; or one of segmentation_models.pytorch's
        ``Unet("resnet50", in_channels=1)``, any decoder widths.

    Returns
    -------
    Checkpoint

    Raises
    ------
    ValueError
        The content is not that; one line names the file and the first thing that is wrong.
    OSError
        The file cannot be read.
    """
    with Path(path).open("rb") as stream:
        try:
            return read_stream(stream)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
