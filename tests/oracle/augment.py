"""Writes tests/golden/augment.inc: what albumentations 0.5.2 on OpenCV 4.5 makes of small images.

Wants a Python with numpy 1.26, opencv-python-headless 4.5.5.64, imgaug 0.4.0 and
albumentations 0.5.2.  Decisions are drawn from the core's random numbers; what is done to the
pixels is albumentations' own code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from albumentations.augmentations import functional as alb
from draw import below, normal, uniform

GOLDEN = Path(__file__).parent.parent / "golden" / "augment.inc"
SEED = 23
NONEMPTY, RESIZED, ROTATE, GREY, NOISE, BLUR, FLIPS = (1 << i for i in range(7))
NOISE_FROM = 1 << 32
BORDER = cv2.BORDER_REFLECT_101
CUTS = (  # height, width, window's top, left, height, width, side
    (13, 17, 0, 0, 13, 17, 8),
    (13, 17, 0, 0, 13, 17, 24),
    (13, 17, 2, 3, 9, 5, 16),
    (13, 17, -2, -4, 18, 26, 11),
    (13, 17, -5, -3, 24, 24, 24),
    (1, 1, -2, -2, 5, 5, 5),
    (2, 3, -7, -6, 16, 16, 16),
)
ROTATIONS = (
    (15, 12, 33.3),
    (15, 12, -120.0),
    (12, 12, 90.0),
    (11, 16, 90.0),  # every place is half-way between two pixels
    (11, 16, 180.0),
    (1, 5, 45.0),
)
BLURS = ((9, 11, 3), (9, 11, 5), (9, 11, 7), (2, 1, 7))
GREYS = ((1.3, -0.1), (0.7, 0.25), (1.0, 0.3), (1.21, 0.0))
PAPER = RESIZED | ROTATE | GREY | FLIPS
SAMPLES = (  # height, width, crop, flags, sample
    (20, 30, 16, 0, 0),
    (9, 40, 16, 0, 1),
    (40, 30, 16, NONEMPTY, 2),
    (40, 30, 16, NONEMPTY, 3),
    (30, 40, 16, RESIZED, 4),
    (5, 60, 16, RESIZED, 5),
    (24, 24, 16, ROTATE, 6),
    (24, 24, 16, ROTATE, 9),
    (24, 24, 16, NOISE | BLUR, 8),
    (24, 24, 16, NOISE | BLUR, 12),
    (50, 40, 16, PAPER, 10),
    (50, 40, 16, PAPER, 11),
    (50, 40, 16, 127, 12),
    (50, 40, 16, 127, 88),
    (3, 2, 16, 127, 14),
    (1, 1, 16, 127, 15),
)


def source(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of noise, and classes: -1, mostly 0, and 1 to 3; tests/c/test_augment.c's twin."""
    count = height * width
    image = [below(SEED, 1000 * height + width, i, 256) for i in range(count)]
    drawn = [below(SEED, 1000 * height + width, count + i, 20) for i in range(count)]
    classes = [-1 if v == 0 else v if v < 4 else 0 for v in drawn]
    return (
        np.array(image, np.uint8).reshape(height, width),
        np.array(classes, np.int16).reshape(height, width),
    )


@dataclass
class Dice:
    """The random numbers of a sample, named as in csrc/augment.h."""

    sample: int

    def between(self, slot: int, low: float, high: float) -> float:
        return low + (high - low) * uniform(SEED, self.sample, slot)

    def chance(self, slot: int, probability: float) -> bool:
        return uniform(SEED, self.sample, slot) < probability

    def below(self, slot: int, n: int) -> int:
        return below(SEED, self.sample, slot, n)


class Pair:
    """An image with its classes."""

    def __init__(self, image: np.ndarray, target: np.ndarray) -> None:
        self.image, self.target = image, target

    def window(self, top: int, left: int, height: int, width: int) -> None:
        """Cuts a window, which may reach beyond the image."""
        rows, columns = self.image.shape
        before_y, before_x = max(0, -top), max(0, -left)
        pad = (
            before_y,
            max(0, top + height - rows),
            before_x,
            max(0, left + width - columns),
        )
        y, x = top + before_y, left + before_x
        for name in ("image", "target"):
            padded = alb.pad_with_params(getattr(self, name), *pad, border_mode=BORDER)
            setattr(self, name, padded[y : y + height, x : x + width].copy())

    def resize(self, side: int) -> None:
        self.image = alb.resize(self.image, side, side, cv2.INTER_LINEAR)
        self.target = alb.resize(self.target, side, side, cv2.INTER_NEAREST)

    def rotate(self, degrees: float) -> None:
        self.image = alb.rotate(self.image, degrees, cv2.INTER_LINEAR, BORDER)
        self.target = alb.rotate(self.target, degrees, cv2.INTER_NEAREST, BORDER)

    def flip(self, how: object) -> None:
        self.image, self.target = how(self.image).copy(), how(self.target).copy()


def pad(pair: Pair, crop: int) -> None:
    """PadIfNeeded."""
    height, width = pair.image.shape
    rows, columns = max(height, crop), max(width, crop)
    pair.window(-((rows - height) // 2), -((columns - width) // 2), rows, columns)


def crop_nonempty(pair: Pair, crop: int, dice: Dice) -> None:
    """CropNonEmptyMaskIfExists."""
    height, width = pair.target.shape
    places = np.argwhere(pair.target > 0)
    if not len(places):
        crop_anywhere(pair, crop, dice)
        return
    y, x = places[dice.below(1, len(places))]
    y = np.clip(y - dice.below(2, crop), 0, height - crop)
    x = np.clip(x - dice.below(3, crop), 0, width - crop)
    pair.window(y, x, crop, crop)


def crop_anywhere(pair: Pair, crop: int, dice: Dice) -> None:
    """RandomCrop."""
    height, width = pair.image.shape
    pair.window(dice.below(4, height - crop + 1), dice.below(5, width - crop + 1), crop, crop)


def crop_resized(pair: Pair, crop: int, dice: Dice) -> None:
    """RandomResizedCrop, its fallback included."""
    height, width = pair.image.shape
    for attempt in range(10):
        slot = 32 + 4 * attempt
        area = dice.between(slot, 0.08, 1.0) * height * width
        ratio = math.exp(dice.between(slot + 1, math.log(0.5), math.log(1.5)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            y, x = dice.below(slot + 2, height - h + 1), dice.below(slot + 3, width - w + 1)
            break
    else:
        h, w = height, width
        if width / height < 0.5:
            h = round(width / 0.5)
        elif width / height > 1.5:
            w = round(height * 1.5)
        y, x = (height - h) // 2, (width - w) // 2
    pair.window(y, x, h, w)
    pair.resize(crop)


def change_grey(image: np.ndarray, flags: int, dice: Dice) -> np.ndarray:
    """RandomBrightnessContrast, GaussNoise, GaussianBlur."""
    if flags & GREY and dice.chance(8, 0.5):
        contrast, brightness = 1 + dice.between(10, -0.3, 0.3), dice.between(9, -0.3, 0.3)
        image = alb.brightness_contrast_adjust(image, contrast, brightness, True)
    if flags & NOISE and dice.chance(11, 0.5):
        deviation = math.sqrt(dice.between(12, 400, 1200))
        indices = np.arange(image.size, dtype=np.uint64) + np.uint64(NOISE_FROM)
        noise = deviation * normal(SEED, dice.sample, indices)
        image = alb.gauss_noise(image, noise.reshape(image.shape))
    if flags & BLUR and dice.chance(13, 0.5):
        image = alb.gaussian_blur(image, (3, 5, 5, 7, 7)[dice.below(14, 5)])
    return image


def augment(height: int, width: int, crop: int, flags: int, sample: int) -> Pair:
    """The whole sequence."""
    pair, dice = Pair(*source(height, width)), Dice(sample)
    pad(pair, crop)
    if flags & NONEMPTY and dice.chance(0, 0.8):
        crop_nonempty(pair, crop, dice)
    if flags & RESIZED:
        crop_resized(pair, crop, dice)
    else:
        crop_anywhere(pair, crop, dice)
    if flags & ROTATE and dice.chance(6, 0.5):
        pair.rotate(dice.between(7, -180, 180))
    pair.image = change_grey(pair.image, flags, dice)
    if flags & FLIPS and dice.chance(15, 0.5):
        pair.flip(alb.hflip)
    if flags & FLIPS and dice.chance(16, 0.5):
        pair.flip(alb.vflip)
    return pair


def line(name: str, arguments: tuple[float, ...], pair: Pair) -> str:
    """A line of C: grey values in hexadecimal, classes as digits with a dot for -1."""
    image = pair.image.tobytes().hex()
    target = "".join("." if v < 0 else str(v) for v in pair.target.ravel())
    parts = [f'"{text[i : i + 96]}"' for text in (image, target) for i in range(0, len(text), 96)]
    comma = -(-len(image) // 96)
    text = "\n".join(parts[:comma]) + ",\n" + "\n".join(parts[comma:])
    return f"{name}({', '.join(map(str, arguments))},\n{text})\n"


def main() -> None:
    text = "/* Made by tests/oracle/augment.py. */\n"
    for cut in CUTS:
        pair = Pair(*source(*cut[:2]))
        pair.window(*cut[2:6])
        pair.resize(cut[6])
        text += line("CUT", cut, pair)
    for rotation in ROTATIONS:
        pair = Pair(*source(*rotation[:2]))
        pair.rotate(rotation[2])
        text += line("ROTATE", rotation, pair)
    for blur in BLURS:
        pair = Pair(*source(*blur[:2]))
        pair.image = alb.gaussian_blur(pair.image, blur[2])
        text += line("BLUR", blur, pair)
    for grey in GREYS:
        levels = np.arange(256, dtype=np.uint8)[None]
        changed = alb.brightness_contrast_adjust(levels, *grey, True)
        text += line("GREY", grey, Pair(changed, np.zeros((1, 1), np.int16)))
    for sample in SAMPLES:
        text += line("SAMPLE", sample, augment(*sample))
    GOLDEN.write_text(text)


if __name__ == "__main__":
    main()
