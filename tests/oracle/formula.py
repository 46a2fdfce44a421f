"""Weights, images and labels that need no file: a formula that NumPy, torch and C all compute.

Every number comes from the core's counter-based generator (csrc/random.h) and is the same to the
last bit on both sides; tests/c/golden.c is this file's twin.  NumPy only.

The scales are chosen so that activations stay of order one and logits depend on every layer, and so
that most channels are clearly on or clearly off before their ReLU: a value close to 0 would fall on
either side of it by rounding alone, gradients would then differ by more than rounding, and AdamW
would blow the difference up.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

SEED = 500
OFFSET, SCALE = 128.0, 1 / 64  # how the images enter the network: (pixel - OFFSET) * SCALE
SAMPLES = 16  # entries of a tensor that a fingerprint holds
STEP = 3  # logits are kept for every third pixel of a map

_MASK = (1 << 64) - 1


def _mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser, in place."""
    z += np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def random_bits(seed: int, stream: int, index: np.ndarray) -> np.ndarray:
    """64 random bits for each of `index` (uint64), csrc/random.c's ``random_bits``."""
    key = _mix(_mix(np.array([seed], np.uint64)) ^ np.uint64(stream))
    return _mix(key ^ np.asarray(index, np.uint64))


def stream(name: str) -> int:
    """The stream of random numbers that belongs to a tensor: FNV-1a of its name."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & _MASK
    return value


def _uniform(name: str, count: int, low: float, high: float) -> np.ndarray:
    """`count` float32 in [low, high); low and high - low are float32, so nothing depends on
    whether a machine fuses the product and the sum."""
    low, span = float(np.float32(low)), float(np.float32(high - low))
    unit = (random_bits(SEED, stream(name), np.arange(count)) >> np.uint64(40)) * 2.0**-24
    return (low + span * unit).astype(np.float32)


def _signed(name: str, count: int, low: float, high: float) -> np.ndarray:
    """Magnitudes in [low, high), the sign drawn too."""
    sign = random_bits(SEED, stream(name) ^ 1, np.arange(count)) >> np.uint64(63)
    return _uniform(name, count, low, high) * np.where(sign, -1, 1).astype(np.float32)


def parameter(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor `name` of the state dict, float32 of `shape`."""
    count = math.prod(shape)
    branch = ".bn3." in name  # the end of a residual branch: small beside the identity, upwards
    middle = ".bn2." in name  # in front of a 1x1 convolution and a norm, which cancel what is flat
    if name.endswith("num_batches_tracked"):
        values = np.zeros(1, np.float32)
    elif len(shape) == 4:
        bound = math.sqrt(6 / math.prod(shape[1:]))
        values = _uniform(name, count, -bound, bound)
    elif name.endswith("running_mean"):
        values = _uniform(name, count, -0.125, 0.125)
    elif name.endswith("running_var"):
        values = _uniform(name, count, 0.0625, 0.25)
    elif name.endswith("weight"):
        low = 0.0625 if branch else 0.375 if middle else 0.25
        values = _uniform(name, count, low, 2 * low)
    elif name.startswith("segmentation_head"):
        values = _uniform(name, count, -0.5, 0.5)
    elif branch:
        values = _uniform(name, count, 0.25, 0.5)
    else:
        values = _signed(name, count, 0.75 if middle else 1.0, 1.5)
    return values.reshape(shape)


def _cells(key: int, height: int, width: int) -> np.ndarray:
    """(height, width) uint64 in 0..255, constant over cells of 8 x 8."""
    y, x = np.ogrid[:height, :width]
    return random_bits(SEED, 2 * key, (y >> 3) * 4096 + (x >> 3)) >> np.uint64(56)


def image(key: int, height: int, width: int) -> np.ndarray:
    """Image number `key`, (height, width) uint8: cells of one grey value, with noise."""
    y, x = np.ogrid[:height, :width]
    noise = random_bits(SEED, 2 * key + 1, y * 65536 + x) >> np.uint64(56)
    cells = _cells(key, height, width)
    return ((cells * np.uint64(3) + noise) >> np.uint64(2)).astype(np.uint8)


def classes(key: int, count: int, height: int, width: int) -> np.ndarray:
    """Class of every pixel of image `key`, (height, width) int32 in 0..count - 1."""
    return ((_cells(key, height, width) * np.uint64(count)) >> np.uint64(8)).astype(np.int32)


def strokes(place: int, count: int) -> np.ndarray:
    """Sparse labels of the image in `place` 0 or 1 of a batch, (64, 64) int32.

    0 is not annotated.  There is one stroke a class and no more, so that none can be held out:
    label 1 and, of four classes, label 3 on the first image, label 2 on the second; label 4 is
    nowhere.
    """
    labels = np.zeros((64, 64), np.int32)
    if place == 0:
        labels[5:12, 3:60] = 1
        if count == 4:
            labels[40:61, 33:37] = 3
    else:
        labels[20:24, 8:41] = 2
    return labels


def sample(name: str, count: int) -> np.ndarray:
    """Which SAMPLES entries of a tensor with `count` numbers its fingerprint holds."""
    bits = random_bits(SEED, stream(name) ^ 2, np.arange(SAMPLES))
    return np.array([int(b) * count >> 64 for b in bits])


def fingerprint(name: str, values: np.ndarray) -> np.ndarray:
    """The norm of a tensor and SAMPLES of its entries, float64 (1 + SAMPLES)."""
    flat = np.asarray(values, np.float64).ravel()
    return np.concatenate([[np.linalg.norm(flat)], flat[sample(name, flat.size)]])


def deviation(name: str, values: np.ndarray, expected: np.ndarray) -> float:
    """How far `values` are from the fingerprint `expected`.

    The largest difference of the norm, relative to the norm, and of the entries, relative to the
    largest of them or the tensor's root mean square, whichever is more.
    """
    values = np.asarray(values)
    difference = np.abs(fingerprint(name, values) - expected)
    largest = max(np.abs(expected[1:]).max(), expected[0] / math.sqrt(values.size))
    if largest == 0:
        return float(difference.max())
    return float(max(difference[0] / expected[0], difference[1:].max() / largest))


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    types = {"F32": "<f4", "F64": "<f8"}
    arrays = {}
    for name, entry in json.loads(data[8:start]).items():
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[start + begin : start + end], types[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"])
    return arrays


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes float32 and float64 `arrays` as a safetensors file."""
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header, blob = {}, b""
    for name in names:
        array = arrays[name]
        data = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": f"F{8 * array.itemsize}",
            "shape": list(array.shape),
            "data_offsets": [len(blob), len(blob) + len(data)],
        }
        blob += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob)
