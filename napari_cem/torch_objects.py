"""What a PyTorch checkpoint's pickle may mention, and the plain data made of it.

Tensors become :class:`Tensor`, a description of where the numbers are; containers, sizes and the
numbers in ``norms`` become Python's own.  Every other name stays a placeholder
(:mod:`napari_cem.pickled`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from napari_cem import pickled
from napari_cem.pickled import Machine, Placeholder

__all__ = ["BUILDERS", "Storage", "Tensor", "persistent"]

LARGEST = 1 << 48
"""No size, stride or offset in a checkpoint is beyond this."""

STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "u1",
}
"""Kind of number in each of PyTorch's storages."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers in the file, `numel` of the kind `kind`; `start` counts from its begin."""

    key: str
    kind: str
    numel: int
    start: int = 0

    @property
    def itemsize(self) -> int:
        return 2 if self.kind == "bf16" else int(self.kind[1:])


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage, not read yet; sizes, strides and offset count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def kind(self) -> str:
        return self.storage.kind

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.storage.itemsize

    def end(self) -> int:
        """One past the last number of the storage that the tensor touches."""
        if not all(self.shape):
            return self.offset
        reach = sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        return self.offset + reach + 1


def _sizes(value: object) -> tuple[int, ...] | None:
    """`value` as a tuple of sizes, or None if it is none."""
    if not isinstance(value, (tuple, list)) or len(value) > 8:
        return None
    if not all(type(n) is int and 0 <= n <= LARGEST for n in value):
        return None
    return tuple(value)


def _build_tensor(_: Machine, arguments: tuple[Any, ...]) -> object:
    """torch._utils._rebuild_tensor and _rebuild_tensor_v2: storage, offset, size, stride, ..."""
    if len(arguments) >= 4 and isinstance(arguments[0], Storage):
        offset = _sizes([arguments[1]])
        shape, stride = _sizes(arguments[2]), _sizes(arguments[3])
        if offset and shape is not None and stride is not None and len(shape) == len(stride):
            return Tensor(arguments[0], offset[0], shape, stride)
    return Placeholder("torch._utils", "_rebuild_tensor_v2 with arguments that make no tensor")


def _build_parameter(_: Machine, arguments: tuple[Any, ...]) -> object:
    """torch._utils._rebuild_parameter: the tensor itself."""
    if arguments and isinstance(arguments[0], Tensor):
        return arguments[0]
    return Placeholder("torch._utils", "_rebuild_parameter of what is no tensor")


def _build_dictionary(machine: Machine, arguments: tuple[Any, ...]) -> object:
    """collections.OrderedDict, empty or (as Python 2 wrote it) of a list of pairs."""
    pairs = arguments[0] if arguments else []
    if not isinstance(pairs, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs
    ):
        return Placeholder("collections", "OrderedDict of what are no pairs")
    machine.spend(2 * len(pairs))
    return pickled.dictionary([value for pair in pairs for value in pair])


def _build_sizes(_: Machine, arguments: tuple[Any, ...]) -> object:
    """torch.Size."""
    sizes = _sizes(arguments[0]) if arguments else ()
    return Placeholder("torch", "Size of what are no sizes") if sizes is None else sizes


def _build_dtype(_: Machine, arguments: tuple[Any, ...]) -> object:
    """numpy.dtype, as a placeholder that is named by its kind."""
    kind = arguments[0] if arguments and isinstance(arguments[0], str) else ""
    return Placeholder("numpy.dtype", kind)


def _build_bytes(_: Machine, arguments: tuple[Any, ...]) -> object:
    """_codecs.encode, in which protocol 2 wraps bytes."""
    match arguments:
        case (str(text), "latin1") if len(text) <= 16 and all(ord(c) < 256 for c in text):
            return text.encode("latin1")
    return Placeholder("_codecs", "encode")


def _build_number(_: Machine, arguments: tuple[Any, ...]) -> object:
    """A NumPy scalar of type float32 or float64; others stay placeholders."""
    match arguments:
        case (Placeholder(module="numpy.dtype", name="f4" | "f8") as dtype, bytes(raw)):
            state = dtype.state if isinstance(dtype.state, tuple) else ()
            order = ">" if state[1:2] == (">",) else "<"
            if len(raw) == int(dtype.name[1]):
                return float(np.frombuffer(raw, order + dtype.name)[0])
    return Placeholder("numpy.core.multiarray", "scalar")


BUILDERS: dict[tuple[str, str], pickled.Builder] = {
    ("torch._utils", "_rebuild_tensor"): _build_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _build_tensor,
    ("torch._utils", "_rebuild_parameter"): _build_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _build_parameter,
    ("collections", "OrderedDict"): _build_dictionary,
    ("torch", "Size"): _build_sizes,
    ("numpy", "dtype"): _build_dtype,
    ("_codecs", "encode"): _build_bytes,
    ("numpy.core.multiarray", "scalar"): _build_number,
    ("numpy._core.multiarray", "scalar"): _build_number,
}
"""The names that a checkpoint may "call", with what is done instead."""


def persistent(found: dict[str, Storage]) -> Callable[[object], object]:
    """Makes storages of persistent ids and notes them, by key, in `found`."""

    def load(identity: object) -> object:
        match identity:
            case ("module", content, _, _):
                return content
            case ("storage", Placeholder() as kind, str(key), _, int(numel), *view):
                if kind.module not in ("torch", "torch.cuda") or not 0 <= numel <= LARGEST:
                    return Placeholder(kind.module, kind.name)
                storage = Storage(key, STORAGES.get(kind.name, ""), numel)
                if not storage.kind:
                    return Placeholder(kind.module, kind.name)
                found.setdefault(key, storage)
                return _view(storage, view[0] if view else None)
        return Placeholder("torch", "persistent id")

    return load


def _view(storage: Storage, metadata: object) -> object:
    """The part of `storage` that a stream of PyTorch before 0.4 may mean."""
    match metadata:
        case None:
            return storage
        case (_, int(start), int(numel)) if 0 <= start <= start + numel <= storage.numel:
            return Storage(storage.key, storage.kind, numel, start)
    return Placeholder("torch", "view of a storage that lies outside of it")
