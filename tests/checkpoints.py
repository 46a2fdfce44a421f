"""Writes checkpoints as PyTorch does, without PyTorch: both containers, three layouts of weights.

The pickle is put together instruction by instruction, so that a test can also put into it what
PyTorch never would.  Numbers come from one block of random ones, cut differently for each name:
cheap, and no two tensors are alike.
"""

from __future__ import annotations

import itertools
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem.checkpoint import decoder_shapes, encoder_shapes

WIDTHS = (256, 128, 64, 32, 16)
NORMS = [0.58331613, 0.09966064]
STORAGES = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "u1": "Byte"}
MAGIC = 0x1950A86A20F9469CFC6C
BLOCK = np.random.default_rng(7).normal(0, 0.1, 1 << 18).astype(np.float32)


@dataclass
class Call:
    """Has the reader call the function ``"module name"`` with `args`, then set `state`."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass
class Saved:
    """A tensor with everything about it chosen: a test's way to lie."""

    array: np.ndarray
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0
    storage: str = "Float"
    numel: int | None = None
    view: tuple[str, int, int] | None = None
    key: str | None = None


@dataclass
class Pickler:
    """Pickles plain data, `Call`, `Saved` and arrays (as contiguous tensors)."""

    stream: bool = False
    out: bytearray = field(default_factory=bytearray)
    storages: dict[str, np.ndarray] = field(default_factory=dict)

    def dump(self, value: Any) -> bytes:
        self.out = bytearray(b"\x80\x02")
        self.save(value)
        return bytes(self.out + b".")

    def save(self, value: Any) -> None:
        if isinstance(value, np.ndarray):
            strides = tuple(s // value.itemsize for s in value.strides)
            kind = STORAGES[value.dtype.str[1:]]
            self.save_tensor(Saved(value, value.shape, strides, storage=kind))
        elif isinstance(value, Saved):
            self.save_tensor(value)
        elif isinstance(value, Call):
            self.save_global(value.name)
            self.save(value.args)
            self.out += b"R"
            if value.state is not None:
                self.save(value.state)
                self.out += b"b"
        elif isinstance(value, dict):
            self.save_global("collections OrderedDict")
            self.out += b")R("
            self.save_all(itertools.chain.from_iterable(value.items()))
            self.out += b"u"
        elif isinstance(value, list):
            self.out += b"]("
            self.save_all(value)
            self.out += b"e"
        elif isinstance(value, tuple):
            self.out += b"("
            self.save_all(value)
            self.out += b"t"
        else:
            self.save_plain(value)

    def save_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.save(value)

    def save_plain(self, value: Any) -> None:
        if value is None or isinstance(value, bool):
            self.out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, int):
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.out += b"\x8a" + bytes([len(data)]) + data
        elif isinstance(value, float):
            self.out += b"G" + struct.pack(">d", value)
        elif isinstance(value, bytes):
            self.out += b"B" + struct.pack("<I", len(value)) + value
        else:
            data = value.encode()
            self.out += b"X" + struct.pack("<I", len(data)) + data

    def save_global(self, name: str) -> None:
        self.out += b"c" + name.replace(" ", "\n").encode() + b"\n"

    def save_tensor(self, tensor: Saved) -> None:
        key = str(len(self.storages)) if tensor.key is None else tensor.key
        if self.stream and tensor.key is None:
            key = str(94_000_000 + 64 * len(self.storages))
        self.storages[key] = tensor.array
        self.save_global("torch._utils _rebuild_tensor_v2")
        self.out += b"("
        numel = tensor.array.size if tensor.numel is None else tensor.numel
        self.out += b"("
        self.save("storage")
        self.save_global(f"torch {tensor.storage}Storage")
        self.save_all([key, "cpu", numel])
        if self.stream:
            self.save(tensor.view)
        self.out += b"tQ"
        self.save_all([tensor.offset, tensor.shape, tensor.stride, False, {}])
        self.out += b"tR"


def write_zip(
    path: Path,
    content: Any,
    root: str = "archive",
    order: str = "little",
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Writes what ``torch.save`` has written since version 1.6."""
    pickler = Pickler()
    data = pickler.dump(content)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", data)
        archive.writestr(f"{root}/byteorder", order)
        for key, array in pickler.storages.items():
            ordered = array.astype(array.dtype.newbyteorder(">" if order == "big" else "<"))
            archive.writestr(f"{root}/data/{key}", ordered.tobytes())
        archive.writestr(f"{root}/version", "3\n")
    return path


def write_stream(path: Path, content: Any) -> Path:
    """Writes what ``torch.save`` wrote before version 1.6."""
    pickler = Pickler(stream=True)
    sizes = {"short": 2, "int": 4, "long": 4}
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    pickles = [Pickler().dump(value) for value in (MAGIC, 1001, facts)]
    pickles.append(pickler.dump(content))
    keys = sorted(pickler.storages)
    pickles.append(Pickler().dump(keys))
    with path.open("wb") as file:
        file.write(b"".join(pickles))
        for key in keys:
            file.write(struct.pack("<q", pickler.storages[key].size))
            file.write(np.ascontiguousarray(pickler.storages[key]).data)
    return path


WRITERS = {"zip": write_zip, "stream": write_stream}


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of the tensor `name`."""
    start = zlib.crc32(name.encode()) % (len(BLOCK) // 2)
    if name.endswith("num_batches_tracked"):
        return np.array(start, np.int64)
    values = np.resize(BLOCK[start:], shape)
    return np.abs(values) + np.float32(0.5) if name.endswith("running_var") else values


def encoder(prefix: str = "") -> dict[str, np.ndarray]:
    """The 318 tensors of torchvision's resnet50 with one input channel."""
    return {prefix + name: tensor(prefix + name, shape) for name, shape in encoder_shapes().items()}


def moco() -> dict[str, Any]:
    """A MoCo checkpoint: 646 tensors, an optimiser, norms."""
    state: dict[str, Any] = {}
    for which in ("module.encoder_q.", "module.encoder_k."):
        state |= encoder(which)
        for layer, shape in (("0", (2048, 2048)), ("2", (128, 2048))):
            state[f"{which}fc.{layer}.weight"] = tensor(which + layer, shape)
            state[f"{which}fc.{layer}.bias"] = tensor(which + layer, shape[:1])
    state["module.queue"] = tensor("queue", (128, 65536))
    state["module.queue_ptr"] = np.zeros(1, np.int64)
    momentum = {"momentum_buffer": tensor("momentum", (64, 1, 7, 7))}
    groups = [{"lr": 0.015, "momentum": 0.9, "nesterov": False, "params": [0, 1]}]
    return {
        "epoch": 200,
        "arch": "resnet50",
        "state_dict": state,
        "optimizer": {"state": {0: momentum}, "param_groups": groups},
        "norms": NORMS,
    }


def torchvision() -> dict[str, Any]:
    """The layout of CEM1.5M: 318 tensors without a prefix, norms."""
    return {"state_dict": encoder(), "norms": [0.575710, 0.127650]}


def unet(outputs: int = 1, widths: tuple[int, ...] = WIDTHS) -> dict[str, Any]:
    """A fine-tuned U-Net as the authors' script saves it: 380 tensors, and objects beside them."""
    state = encoder("encoder.")
    for name, shape in decoder_shapes(widths, outputs).items():
        state[name] = tensor(name, shape)
    schedule = Call(
        "torch.optim.lr_scheduler OneCycleLR",
        (),
        {"anneal_func": Call("__builtin__ getattr", (Call("a b"), "_annealing_cos"))},
    )
    return {
        "state_dict": state,
        "scheduler": {"total_steps": 1000, "_scheduler": schedule},
        "optimizer": {"state": {}, "param_groups": [{"betas": (0.95, 0.999)}]},
        "norms": NORMS,
        "run_id": "f00",
    }


def small(**changes: Any) -> dict[str, Any]:
    """A moco-like dictionary of all names and shapes whose tensors share 4 bytes of storage.

    For tests of what is refused before any number is read.  `changes` replace entries of the
    dictionary; those with a dot in their name, of its state_dict (None removes one).
    """
    one = np.zeros(1, np.float32)
    state: dict[str, Any] = {
        f"module.encoder_q.{name}": Saved(one, shape, (0,) * len(shape), key="0")
        for name, shape in encoder_shapes().items()
        if not name.endswith("num_batches_tracked")
    }
    for name in encoder_shapes():
        if name.endswith("num_batches_tracked"):
            counter = Saved(np.zeros(1, np.int64), (), (), storage="Long", key="1")
            state[f"module.encoder_q.{name}"] = counter
    content = {"epoch": 200, "state_dict": state, "norms": NORMS}
    for name, value in changes.items():
        target = state if "." in name else content
        if value is None:
            del target[name]
        else:
            target[name] = value
    return content


def canary(path: os.PathLike[str]) -> dict[str, Call]:
    """Calls that would leave a file at `path`, if a reader made them."""
    text = os.fspath(path)
    return {
        "posix.system": Call("posix system", (f"touch {text}",)),
        "os.system": Call("os system", (f"touch {text}",)),
        "builtins.eval": Call("builtins eval", (f"open({text!r}, 'w')",)),
        "builtins.exec": Call("builtins exec", (f"open({text!r}, 'w')",)),
        "builtins.open": Call("builtins open", (text, "w")),
        "subprocess.Popen": Call("subprocess Popen", (["touch", text],)),
        "torch.load": Call("torch load", (text,)),
        "numpy.memmap": Call("numpy memmap", (text, "float32", "w+", 0, (1,))),
    }
