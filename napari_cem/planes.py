"""The slices of a volume along its axes, and what a model finds on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_cem import _core
from napari_cem.images import ArrayVolume, Volume
from napari_cem.intensity import Intensity, check_finite
from napari_cem.model import Model
from napari_cem.scaling import resize
from napari_cem.scratch import Scratch
from napari_cem.writers import label_type

AXIS = {"xy": 0, "xz": 1, "yz": 2}
BLOCK_BYTES = 256 << 20


class Planes:
    """The slices of a volume along each axis, in blocks."""

    def __init__(self, volume: Volume, scratch: Scratch) -> None:
        self.volume, self.scratch = volume, scratch
        self.whole: np.ndarray | None = None

    def shape(self, plane: str) -> tuple[int, int, int]:
        """(number, height, width) of the slices of `plane`."""
        z, y, x = self.volume.shape
        return {"xy": (z, y, x), "xz": (y, z, x), "yz": (x, z, y)}[plane]

    def block(self, plane: str, first: int, last: int) -> np.ndarray:
        """Slices `first` to `last` (exclusive) of `plane`, (n, height, width)."""
        if plane == "xy":
            pages = []
            for z in range(first, last):
                page = self.volume.slice(z)
                check_finite(page, z, self.volume.name)
                pages.append(page)
            return np.stack(pages)
        whole = self._everything()
        index = (slice(None),) * AXIS[plane] + (slice(first, last),)
        return np.ascontiguousarray(np.moveaxis(whole[index], AXIS[plane], 0))

    def _everything(self) -> np.ndarray:
        """The volume as one array: its own if it has one, else a copy in the scratch."""
        if self.whole is not None:
            return self.whole
        volume = self.volume
        if isinstance(volume, ArrayVolume) and isinstance(volume.array, np.ndarray):
            if volume.array.dtype == volume.dtype and volume.dtype.kind != "f":
                self.whole = volume.array
                return self.whole
        copy = self.scratch.array("input", volume.shape, volume.dtype)
        for z in range(volume.shape[0]):
            if f"input {z}" not in self.scratch.done:
                copy[z] = volume.slice(z)
                check_finite(copy[z], z, volume.name)
                self.scratch.record(copy, [f"input {z}"])
        self.whole = copy
        return copy


class Run:
    """One segmentation: computes what is missing in the scratch, then writes the result."""

    def __init__(
        self,
        planes: Planes,
        model: Model,
        names: tuple[str, ...],
        intensity: Intensity,
        threads: int,
        maps: bool,
        size: tuple[int, int],
    ) -> None:
        self.planes, self.model, self.names = planes, model, names
        self.intensity, self.threads, self.maps = intensity, threads, maps
        self.size = size
        self.stores = {name: self._store(name) for name in names}

    def _store(self, plane: str) -> np.ndarray:
        count, height, width = self.planes.shape(plane)
        scratch = self.planes.scratch
        if self.maps:
            shape = (count, len(self.model.classes) - 1, height, width)
            return scratch.array(f"probabilities_{plane}", shape, np.float32)
        dtype = label_type(self.model.values)
        return scratch.array(f"labels_{plane}", (count, height, width), dtype)

    @property
    def total(self) -> int:
        """Slices of all planes."""
        return sum(self.planes.shape(name)[0] for name in self.names)

    @property
    def finished(self) -> int:
        """Slices that are computed."""
        done = self.planes.scratch.done
        return sum(key.split()[0] in self.names for key in done)

    def blocks(self) -> Iterator[tuple[str, int, int]]:
        """What is to be computed: plane, first and last slice of each block."""
        done = self.planes.scratch.done
        for plane in self.names:
            count, height, width = self.planes.shape(plane)
            per_slice = height * width * (8 + 4 * len(self.model.classes))
            workers = self.threads or _core.cores()
            size = max(1, min(2 * workers, BLOCK_BYTES // per_slice))
            first = 0
            while first < count:
                if f"{plane} {first}" in done:
                    first += 1
                    continue
                last = first + 1
                while last < min(first + size, count) and f"{plane} {last}" not in done:
                    last += 1
                yield plane, first, last
                first = last

    def compute(self, plane: str, first: int, last: int) -> None:
        """Computes slices `first` to `last` of `plane` into the scratch."""
        pixels = self.planes.block(plane, first, last)
        probabilities = self._room((len(pixels), len(self.model.classes), *pixels.shape[1:]))
        offset, scale = self.intensity.offset, self.intensity.scale
        self.model.core.predict(probabilities, pixels, offset, scale, threads=self.threads)
        store = self.stores[plane]
        if self.maps:
            store[first:last] = probabilities[:, 1:]
        else:
            store[first:last] = self.model.classify_slices(probabilities)
        self.planes.scratch.record(store, [f"{plane} {k}" for k in range(first, last)])

    def _room(self, shape: tuple[int, ...]) -> np.ndarray:
        """Room for probabilities: in memory, or for enormous slices in the scratch."""
        if 4 * int(np.prod(shape, dtype=np.int64)) <= 4 * BLOCK_BYTES:
            return np.empty(shape, np.float32)
        return self.planes.scratch.array("slice", shape, np.float32)

    def labels(self, z: int) -> np.ndarray:
        """Labels of slice `z` of the volume, (y, x)."""
        if self.maps:
            labels = self.model.classify(self.probabilities(z))
            return labels.astype(label_type(self.model.values))
        return turned(self.stores[self.names[0]], self.names[0], z)

    def probabilities(self, z: int) -> np.ndarray:
        """Probabilities of all classes in slice `z` of the volume, (classes, y, x) float32."""
        parts = [turned(self.stores[name], name, z) for name in self.names]
        mean = parts[0].astype(np.float32)
        for part in parts[1:]:
            mean += part
        if mean.shape[1:] != self.size:
            mean = np.stack([resize(page, self.size) for page in mean])
        out = np.empty((len(mean) + 1, *self.size), np.float32)
        _core.planes_mean(out, np.ascontiguousarray(mean), len(parts))
        return out


def turned(store: np.ndarray, plane: str, z: int) -> np.ndarray:
    """Slice `z` of the volume, (..., y, x), from the slices of `plane`."""
    part: np.ndarray = store[z] if plane == "xy" else np.moveaxis(store[..., z, :], 0, -2)
    return part.swapaxes(-1, -2) if plane == "yz" else part
