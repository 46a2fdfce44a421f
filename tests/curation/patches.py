"""The patches that the built-in filter is made of and tested on, each known by a line of text.

A patch is a window of a real image, ``FILE page top left height width``, or made by a formula,
``made KIND NUMBER``, where a kind's label is true by construction.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

SIDE = 224


@functools.lru_cache(64)
def page_of(path: str, page: int) -> np.ndarray:
    """A page of an image or stack, its first channel if there are several."""
    from napari_cem.curation_sources import Source, eight_bit, open_source

    volume = open_source(Source("image", Path(path)))
    return eight_bit(volume.slice(page), volume)


def blurred(pixels: np.ndarray, size: float) -> np.ndarray:
    """A smooth field with features of about `size` pixels."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(pixels, size)
    return field / max(field.std(), 1e-9)


def amorphous(random: np.random.Generator) -> np.ndarray:
    """The grain of a carbon film or of a rough surface, and a slow gradient."""
    grain = random.normal(size=(SIDE, SIDE))
    fine, wide = random.uniform(0.4, 3), random.uniform(1.3, 4)
    grain = blurred_picture(grain, fine) - random.choice([0, 1]) * blurred_picture(
        grain, fine * wide
    )
    slow = random.uniform(0, 8) * blurred(random.normal(size=(SIDE, SIDE)), random.uniform(20, 60))
    return slow + random.uniform(1, 28) * random.random() * grain / grain.std()


def stain(u: np.ndarray, v: np.ndarray, size: float, shape: int, power: float) -> np.ndarray:
    """How thick a particle is over its own coordinates: ball, cube, rod or shell."""
    if shape == 0:
        return np.clip(1 - (u**2 + v**2) / size**2, 0, None) ** power
    if shape == 1:
        return ((np.abs(u) < size) & (np.abs(v) < size)) * (1 + 0.2 * u / size)
    if shape == 2:
        return ((np.abs(u) < 3 * size) & (np.abs(v) < size / 2)) * np.clip(
            1 - np.abs(v) / size, 0, 1
        )
    radius = np.sqrt(u**2 + v**2) / size
    return (radius < 1) * (0.4 + 0.6 * radius**4)


def particles(random: np.random.Generator) -> np.ndarray:
    """Balls, cubes, rods or shells on a support: a micrograph of a material."""
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = random.uniform(40, 200) + amorphous(random)
    surface = amorphous(random) * random.choice([0, 1])
    strength = random.choice([-1, 1]) * random.uniform(30, 110)
    size, power, shape = random.uniform(5, 70), random.uniform(0.1, 0.6), random.integers(4)
    opaque = random.choice([0.7, 1.0])
    for _ in range(random.integers(0, 2 + int((SIDE / size) ** 2 / 3))):
        cy, cx = random.uniform(-size, SIDE + size, 2)
        turn, r = random.uniform(0, np.pi), size * random.uniform(0.7, 1.3)
        u = (y - cy) * np.cos(turn) + (x - cx) * np.sin(turn)
        v = (x - cx) * np.cos(turn) - (y - cy) * np.sin(turn)
        depth = stain(u, v, r, shape, power)
        inside = 128 + strength * depth + surface
        picture = np.where(depth > 0, (1 - opaque) * picture + opaque * inside, picture)
    picture = blurred_picture(picture, random.uniform(0.3, 2))
    return picture + random.normal(0, random.uniform(1, 14), picture.shape)


def blurred_picture(picture: np.ndarray, size: float) -> np.ndarray:
    """A picture out of focus."""
    from scipy.ndimage import gaussian_filter

    blurry: np.ndarray = gaussian_filter(picture, size)
    return blurry


def resin(random: np.random.Generator) -> np.ndarray:
    """Nothing but noise, a slow gradient and rarely a speck."""
    field = random.uniform(0, 5) * blurred(random.normal(size=(SIDE, SIDE)), random.uniform(25, 80))
    noise = random.normal(0, random.uniform(0.3, 16), (SIDE, SIDE))
    if random.random() < 0.6:
        noise = blurred_picture(noise, random.uniform(0.3, 1.2))
    return random.uniform(30, 230) + field + noise


def padded(random: np.random.Generator) -> np.ndarray:
    """At least four fifths of padding beside something."""
    picture = blurred(random.normal(size=(SIDE, SIDE)), random.uniform(2, 6)) * 25 + 128
    picture += random.normal(0, 6, picture.shape)
    keep = int(SIDE * random.uniform(0.02, 0.19))
    value = random.choice([0, 255, random.integers(256)])
    picture[:, keep:] = value
    return np.rot90(picture, random.integers(4))


def stripes(random: np.random.Generator) -> np.ndarray:
    """Lines of a broken scan or of a bad reconstruction."""
    lines = np.repeat(random.normal(0, 30, (SIDE, 1)), SIDE, axis=1)
    lines = blurred_picture(lines, random.uniform(0, 2)) + 128
    lines += random.normal(0, random.uniform(1, 10), lines.shape)
    return np.rot90(lines, random.integers(2))


MADE = {"particles": particles, "resin": resin, "padded": padded, "stripes": stripes}


def pixels_of(name: str, data: Path) -> np.ndarray:
    """The uint8 patch that a line names; relative files are below `data` or scikit-image's own."""
    parts = name.split()
    if parts[0] == "made":
        random = np.random.default_rng([int(parts[2]), list(MADE).index(parts[1])])
        return np.clip(np.rint(MADE[parts[1]](random)), 0, 255).astype(np.uint8)
    page, top, left, height, width = map(int, parts[1:6])
    window = page_of(str(file_of(parts[0], data)), page)[top : top + height, left : left + width]
    for change in parts[6:]:
        window = CHANGES[change](window.astype(np.float64))
    return np.ascontiguousarray(np.clip(np.rint(window), 0, 255).astype(np.uint8))


CHANGES = {
    "faint": lambda p: p.mean() + (p - p.mean()) * 0.08,
    "blurred": lambda p: blurred_picture(p, 12.0),
    "inverted": lambda p: 255 - p,
    "bright": lambda p: p * 0.7 + 76,
    "dark": lambda p: p * 0.7,
}


def file_of(name: str, data: Path) -> Path:
    """The file of an image."""
    if name.startswith("skimage/"):
        import skimage

        return Path(skimage.__file__).parent / "data" / name.removeprefix("skimage/")
    return data / name
