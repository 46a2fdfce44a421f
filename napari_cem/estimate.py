"""What a segmentation will cost, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SECONDS_PER_PIXEL = 0.8e-6  # two cores with AVX-512, of a tile with its halo
HALO_SHARE = 1.3  # pixels that are computed, for each one that is kept
ARENA = 300 << 20
COPIES = {"xy": 0, "xz": 1, "yz": 1, "ortho": 1}
RUNS = {"xy": 1, "xz": 1, "yz": 1, "ortho": 3}


def bytes_text(count: float) -> str:
    """A number of bytes for people: "310 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


@dataclass(frozen=True)
class Estimate:
    """Seconds, bytes on disk while it runs, and bytes of memory."""

    seconds: float
    disk: int
    memory: int

    def __str__(self) -> str:
        minutes = self.seconds / 60
        time = f"{self.seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min"
        return f"about {time}, {bytes_text(self.disk)} on disk, {bytes_text(self.memory)} of memory"


def estimate(
    shape: tuple[int, int, int],
    planes: str,
    classes: int,
    maps: bool,
    seconds_per_pixel: float | None = None,
) -> Estimate:
    """What segmenting a volume costs.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x).
    planes : {"xy", "xz", "yz", "ortho"}
    classes : int
    maps : bool
        Whether probabilities are kept, as for several planes.
    seconds_per_pixel : float, optional
        As measured on this machine, of a tile with its halo.
    """
    voxels = int(np.prod(shape, dtype=np.int64))
    rate = seconds_per_pixel or SECONDS_PER_PIXEL
    per_voxel = RUNS[planes] * (4 * (classes - 1) if maps else 1) + COPIES[planes]
    page = max(shape[1] * shape[2], shape[0] * max(shape[1:]) if planes != "xy" else 0)
    return Estimate(
        RUNS[planes] * voxels * rate * HALO_SHARE,
        voxels * (per_voxel + 1),
        ARENA + page * (8 + 4 * classes),
    )
