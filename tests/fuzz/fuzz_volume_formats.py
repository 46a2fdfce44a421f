"""Fuzzes the readers of MRC, NRRD and NIfTI files by blind mutation of small ones.

    python tests/fuzz/fuzz_volume_formats.py [--seconds 60] [--seed 0] [FILE ...]

Whatever the bytes are, opening and reading must give pages of the shape that is told, or one line
of ValueError or OSError.  FILE replays inputs.  Exit status 1 means that an input was found.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import volume_files  # noqa: E402

from napari_cem.images import open_volume  # noqa: E402

MOST_PIXELS = 1 << 22
SLOW = 10.0


def seeds(folder: Path) -> list[tuple[str, bytes]]:
    """Small files of every kind."""
    array = np.random.default_rng(0).integers(0, 99, (3, 5, 7))
    found = []
    for suffix, write in volume_files.WRITERS.items():
        for dtype in ("uint8", "int16", "float32"):
            path = folder / f"seed{suffix}"
            write(path, array.astype(dtype))
            found.append((suffix, path.read_bytes()))
    path = folder / "seed.nrrd"
    volume_files.write_nrrd(path, array.astype("uint8"), "gzip")
    return [*found, (".nrrd", path.read_bytes())]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled, or the end cut off."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        if not data:
            break
        place = (
            chance.randrange(len(data))
            if chance.random() < 0.4
            else chance.randrange(min(len(data), 400))
        )
        kind = chance.randrange(5)
        if kind == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place] = chance.choice([0, 1, 127, 128, 255])
        elif kind == 2:
            del data[place : place + chance.randint(1, 20)]
        elif kind == 3:
            data[place:place] = data[place : place + chance.randint(1, 20)]
        else:
            del data[place:]
    return bytes(data)


def check(path: Path) -> str | None:
    """Reads a file; what was wrong with how that went, or None."""
    start = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            volume = open_volume(path)
            depth, height, width = volume.shape
            if height * width <= MOST_PIXELS:
                for z in range(min(depth, 8)):
                    page = volume.slice(z)
                    if page.shape != (height, width) or page.dtype != volume.dtype:
                        return f"slice {z} is {page.shape} {page.dtype}"
            volume.close()
    except (ValueError, OSError) as error:
        if "\n" in str(error):
            return f"the message has several lines: {error!r}"
    except MemoryError:
        pass
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - start
    return f"it took {seconds:.0f} s" if seconds > SLOW else None


def fuzz(seconds: float, seed: int, rounds: int | None = None) -> str | None:
    """Mutates and reads; the first finding, or None."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = seeds(folder)
        count = 0
        while time.monotonic() < end and (rounds is None or count < rounds):
            suffix, content = chance.choice(known)
            path = folder / f"input{suffix}"
            path.write_bytes(mutated(content, chance))
            found = check(path)
            if found:
                kept = Path(f"crash-{seed}-{count}{suffix}")
                kept.write_bytes(path.read_bytes())
                return f"{kept}: {found}"
            count += 1
    print(f"{count} inputs")
    return None


def main() -> int:
    """Fuzzes or replays."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    found = (
        [check(path) for path in options.files]
        if options.files
        else [fuzz(options.seconds, options.seed)]
    )
    for line in filter(None, found):
        print(line)
    return int(any(found))


if __name__ == "__main__":
    sys.exit(main())
