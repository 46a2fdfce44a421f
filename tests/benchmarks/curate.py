"""Curation against the way of the paper: Pillow, imagehash and loops of NumPy, in the same run.

    python tests/benchmarks/curate.py [--threads 2] [--patches 3000] [--most 1000000] [--depth 224]

1. Hashes and de-duplication of 224 x 224 patches, both ways, the results compared.
2. De-duplication alone, up to a million hashes, four fifths of them near-duplicates.
3. From a TIFF stack to the kept patches with the built-in filter, sections across all three axes:
   patches an hour, and memory for a stack and for one of twice the depth.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

import napari_cem as cem
from napari_cem import hashing

SIDE = 224


def texture(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Blobs on noise."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    field = gaussian_filter(random.normal(size=shape).astype(np.float32), 3)
    field *= 40 / field.std()
    return np.clip(128 + field + random.normal(0, 6, shape), 0, 255).astype(np.uint8)


def patches_of(count: int) -> np.ndarray:
    """Patches, five of a kind: the same place with another noise."""
    random = np.random.default_rng(0)
    kinds = texture((-(-count // 5), SIDE, SIDE), 1)
    made = np.empty((count, SIDE, SIDE), np.uint8)
    for i in range(count):
        made[i] = np.clip(kinds[i // 5] + random.normal(0, 4, (SIDE, SIDE)), 0, 255)
    return made


def hash_the_old_way(patches: np.ndarray) -> np.ndarray:
    """As the paper's code does it: a boolean array a patch."""
    found = []
    for patch in patches:
        image = Image.fromarray(patch).resize((SIDE, SIDE), resample=Image.Resampling.BILINEAR)
        found.append(imagehash.dhash(image, hash_size=8).hash.ravel())
    return np.array(found)


def thin_the_old_way(hashes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The numbers of the exemplars."""
    left, hashes = order, hashes[order]
    exemplars = []
    while len(left):
        distances = np.logical_xor(hashes[0], hashes).sum(axis=1)
        exemplars.append(left[0])
        left, hashes = left[distances > 12], hashes[distances > 12]
    return np.sort(exemplars)


def timed(call: object, *arguments: object, repeats: int = 1) -> tuple[float, object]:
    """The best of some times, and the result."""
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.perf_counter()
        result = call(*arguments)
        best = min(best, time.perf_counter() - start)
    return float(best), result


def side_by_side(count: int, threads: int) -> None:
    """Both ways on the same patches."""
    patches = patches_of(count)
    order = hashing.order(count, 0)
    old_hash, old_hashes = timed(hash_the_old_way, patches)
    old_thin, old = timed(thin_the_old_way, old_hashes, order)
    new_hash, hashes = timed(cem.dhash, patches, threads, repeats=3)
    new_thin, exemplar = timed(hashing.exemplars, hashes, 12, 0, threads, repeats=3)
    assert (np.packbits(old_hashes, axis=1).view(">u8").ravel() == hashes).all()
    assert (np.flatnonzero(exemplar == np.arange(count)) == old).all()
    print(f"{count} patches, {len(old)} exemplars, the same both ways; {threads} threads")
    print(f"{'':22}{'paper':>12}{'here':>12}{'ratio':>9}")
    for name, before, after in (
        ("hash, us a patch", old_hash, new_hash),
        ("de-duplication, us", old_thin, new_thin),
        ("both, us a patch", old_hash + old_thin, new_hash + new_thin),
    ):
        ratio = before / after
        print(f"{name:22}{before / count * 1e6:12.2f}{after / count * 1e6:12.2f}{ratio:8.0f}x")


def clusters(count: int) -> np.ndarray:
    """Hashes, five near ones to a cluster."""
    random = np.random.default_rng(count)
    hashes = np.repeat(random.integers(0, 2**64, -(-count // 5), dtype=np.uint64), 5)[:count]
    for _ in range(4):
        hashes ^= np.uint64(1) << random.integers(0, 64, count).astype(np.uint64)
    return hashes


def growth(most: int, threads: int) -> None:
    """De-duplication alone."""
    print("\n   hashes   exemplars   seconds")
    count = 1000
    while count <= most:
        hashes = clusters(count)
        seconds, exemplar = timed(hashing.exemplars, hashes, 12, 0, threads)
        kept = int((exemplar == np.arange(count)).sum())
        print(f"{count:9d}  {kept:10d}  {seconds:8.3f}", flush=True)
        count *= 10


CURATE = """
import re, sys, time
import napari_cem as cem
start = time.perf_counter()
table = cem.curate(sys.argv[1], sys.argv[2], axes="all", workers=int(sys.argv[3]))
seconds = time.perf_counter() - start
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(len(table), int(table["kept"].sum()), seconds, peak)
"""


def end_to_end(depth: int, threads: int) -> None:
    """From TIFF to shards, in a process of its own."""
    import tifffile

    print("\nstack                patches    kept  seconds  patches/hour   peak memory")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        block = texture((depth, 896, 896), 2)
        for times in (1, 2):
            stack = Path(folder) / f"stack{times}.tif"
            pages = np.concatenate([block] * times)
            tifffile.imwrite(stack, pages, compression="zlib", photometric="minisblack")
            out = Path(folder) / f"out{times}"
            command = [sys.executable, "-c", CURATE, str(stack), str(out), str(threads)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            count, kept, seconds, peak = map(float, done.stdout.split())
            print(
                f"{times * depth:4d} x 896 x 896 {count:12.0f} {kept:7.0f} {seconds:8.1f}"
                f" {count / seconds * 3600:13,.0f} {peak / 1024:10.0f} MiB"
            )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patches", type=int, default=3000)
    parser.add_argument("--most", type=int, default=1000000)
    parser.add_argument("--depth", type=int, default=224)
    options = parser.parse_args()
    side_by_side(options.patches, options.threads)
    growth(options.most, options.threads)
    end_to_end(options.depth, options.threads)


if __name__ == "__main__":
    main()
