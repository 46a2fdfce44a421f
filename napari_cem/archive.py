"""The containers of PyTorch checkpoints, read without PyTorch.

Both containers that ``torch.save`` has written are understood.  Since version 1.6 a checkpoint is a
zip archive: ``<root>/data.pkl``, a pickle whose tensors point at storages, ``<root>/data/<key>``,
the storages, and perhaps ``<root>/byteorder``.  Before, it was a stream: four pickles (a magic
number, a protocol number, facts of the machine, the object), a pickled list of storage keys, and
for each key 8 bytes of count and the numbers, always little-endian.

A checkpoint is untrusted.  Its pickle goes through :mod:`napari_cem.pickled`, which runs nothing.
Tensors stay descriptions until they are asked for.  Then every extent is checked against its
storage and every storage against the file, and no more is decoded than the file is long; compressed
members are refused, so that no small file becomes a large array.  Nothing is unpacked to disk.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cem import pickled
from napari_cem.pickled import shown
from napari_cem.torch_objects import BUILDERS, Storage, Tensor, persistent

__all__ = ["Archive", "open_archive"]

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
PICKLE_BYTES = 64 << 20
"""Longest pickle read, and longest single read from a file: 64 MiB."""

CHUNK = 1 << 20


class _Window:
    """The next `size` bytes of a file, as a file that never gives more than that."""

    def __init__(self, stream: io.BufferedIOBase, size: int) -> None:
        self.stream = stream
        self.left = size

    def read(self, count: int) -> bytes:
        return self._took(self.stream.read(max(0, min(count, self.left))))

    def readline(self) -> bytes:
        return self._took(self.stream.readline(self.left))

    def _took(self, data: bytes) -> bytes:
        self.left -= len(data)
        return data


class _Careful:
    """A file that refuses single reads beyond `PICKLE_BYTES`, such as an absurd zip directory."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self.stream = stream
        self.seek = stream.seek
        self.tell = stream.tell
        self.seekable = stream.seekable

    def read(self, count: int = -1) -> bytes:
        if count > PICKLE_BYTES:
            raise ValueError("its zip directory is damaged or far too long")
        return self.stream.read(count if count >= 0 else PICKLE_BYTES)


class Archive:
    """An open checkpoint.

    Attributes
    ----------
    content : object
        What was saved, with a :class:`Tensor` for each tensor and a placeholder for each object
        that would need code.
    size : int
        Bytes of the file.
    """

    def __init__(
        self, content: object, size: int, order: str, raw: Callable[[str], NDArray[np.uint8]]
    ) -> None:
        self.content = content
        self.size = size
        self._order = order
        self._raw = raw

    def tensors(self, wanted: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
        """Reads tensors.

        Parameters
        ----------
        wanted : mapping of str to Tensor
            Tensors found in `content`, by any name.

        Returns
        -------
        dict of str to ndarray
            C-contiguous, native byte order, of the type saved (bfloat16 as float32).

        Raises
        ------
        ValueError
            A tensor does not lie inside its storage, or a storage inside the file.
        """
        for name, tensor in wanted.items():
            if tensor.end() > tensor.storage.numel:
                raise ValueError(f"its tensor {shown(name)} reaches beyond its storage")
        if sum(tensor.nbytes for tensor in wanted.values()) > self.size:
            raise ValueError("its tensors are larger than the file")
        of_key: dict[str, list[str]] = {}
        for name, tensor in wanted.items():
            of_key.setdefault(tensor.storage.key, []).append(name)
        arrays: dict[str, NDArray[Any]] = {}
        left = self.size
        for key, names in of_key.items():
            with _damage_is_value_error():
                raw = self._raw(key)
            left -= raw.nbytes
            if left < 0:
                raise ValueError("its storages are larger than the file")
            arrays.update({name: self._decode(raw, name, wanted[name]) for name in names})
        return {name: arrays[name] for name in wanted}

    def _decode(self, raw: NDArray[np.uint8], name: str, tensor: Tensor) -> NDArray[Any]:
        kind = "u2" if tensor.kind == "bf16" else tensor.kind
        count = raw.nbytes // tensor.storage.itemsize
        if tensor.storage.start + tensor.end() > count:
            raise ValueError(f"its tensor {shown(name)} reaches beyond its storage")
        numbers = raw[: count * tensor.storage.itemsize].view(self._order + kind)
        array = np.empty(tensor.shape, kind)
        if array.size:
            start = tensor.storage.start + tensor.offset
            strides = [s * numbers.itemsize for s in tensor.stride]
            array[...] = np.lib.stride_tricks.as_strided(numbers[start:], tensor.shape, strides)
        if tensor.kind == "bf16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array


@contextmanager
def _damage_is_value_error() -> Iterator[None]:
    """Turns what zipfile raises for damaged archives into one line."""
    try:
        yield
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error) as error:
        raise ValueError(f"it is damaged or cut short ({shown(str(error))})") from None


def _open_zip(stream: io.BufferedIOBase, size: int) -> Archive:
    archive = zipfile.ZipFile(_Careful(stream))
    members = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"it is a zip archive with {len(pickles)} data.pkl, not a checkpoint")
    root = pickles[0].removesuffix("data.pkl")

    def member(name: str, limit: int) -> NDArray[np.uint8]:
        info = members.get(root + name)
        if info is None:
            raise ValueError(f"its {shown(name)} is missing")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"its {shown(name)} is compressed, which PyTorch never does")
        if info.file_size > limit:
            raise ValueError(f"its {shown(name)} has {info.file_size} bytes, the limit is {limit}")
        data = np.empty(info.file_size, np.uint8)
        at = 0
        with archive.open(info) as opened:
            part: Any = opened
            while took := part.readinto(data[at : at + CHUNK].data):
                at += took
        if at != data.size:
            raise ValueError(f"its {shown(name)} is cut short")
        return data

    order = member("byteorder", 16).tobytes() if root + "byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise ValueError(f"its byte order is {shown(order)}, must be little or big")
    pickle = io.BytesIO(member("data.pkl", PICKLE_BYTES).tobytes())
    content = pickled.load(pickle, BUILDERS, persistent({}))
    byte_order = "<" if order == b"little" else ">"
    return Archive(content, size, byte_order, lambda key: member(f"data/{key}", size))


def _open_stream(stream: io.BufferedIOBase, size: int) -> Archive:
    whole: dict[str, Storage] = {}
    identify = persistent(whole)

    def unpickled() -> object:
        window = _Window(stream, PICKLE_BYTES)
        return pickled.load(window, BUILDERS, identify)  # type: ignore[arg-type]

    if unpickled() != MAGIC or unpickled() != PROTOCOL:
        raise ValueError("it is no PyTorch checkpoint: its first numbers are not those of one")
    unpickled()
    content = unpickled()
    places = _places(stream, size, unpickled(), whole)

    def raw(key: str) -> NDArray[np.uint8]:
        if key not in places:
            raise ValueError(f"its storage {shown(key)} is missing")
        stream.seek(places[key])
        data = np.empty(whole[key].numel * whole[key].itemsize, np.uint8)
        if stream.readinto(data.data) != data.size:
            raise ValueError(f"its storage {shown(key)} is cut short")
        return data

    return Archive(content, size, "<", raw)


def _places(
    stream: io.BufferedIOBase, size: int, keys: object, whole: Mapping[str, Storage]
) -> dict[str, int]:
    """Where each storage's numbers are, in a stream that stands before the first of them."""
    places: dict[str, int] = {}
    at = stream.tell()
    for key in keys if isinstance(keys, list) else []:
        if type(key) is not str or key not in whole:
            raise ValueError("its list of storages names one of an unknown type")
        stream.seek(at)
        count = int.from_bytes(stream.read(8), "little")
        if count != whole[key].numel:
            raise ValueError(f"its storage {shown(key)} is damaged, or the file is cut short")
        places[key] = at + 8
        at += 8 + count * whole[key].itemsize
        if at > size:
            raise ValueError(f"it ends inside its storage {shown(key)}: the file is cut short")
    return places


def open_archive(stream: io.BufferedIOBase) -> Archive:
    """Opens a checkpoint of either container.

    Parameters
    ----------
    stream : binary file
        Seekable; must stay open while tensors are read.

    Raises
    ------
    ValueError
        It is no PyTorch checkpoint, or a damaged one.  The text goes on after "FILE: ".
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(4)
    stream.seek(0)
    with _damage_is_value_error():
        if head == b"PK\x03\x04":
            return _open_zip(stream, size)
        if head[:1] == b"\x80":
            return _open_stream(stream, size)
    if not size:
        raise ValueError("it is empty")
    raise ValueError(f"it is no PyTorch checkpoint: it begins with {head!r}")
