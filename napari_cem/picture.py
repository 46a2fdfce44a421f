"""One picture that shows image, scribbles, prediction and truth side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MARGIN = 12
CAPTION = 34
ENLARGE = 2


def grey(page: np.ndarray) -> np.ndarray:
    """A (y, x) page as (y, x, 3) uint8, its darkest and brightest half percent saturated."""
    low, high = np.percentile(page, (0.5, 99.5))
    stretched = (page.astype(np.float64) - low) * (255.0 / max(high - low, 1e-12))
    return np.repeat(np.clip(stretched, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def rgb(color: str) -> tuple[int, int, int]:
    """ "#e69f00" as three numbers."""
    red, green, blue = bytes.fromhex(color.lstrip("#"))
    return red, green, blue


def overlay(
    page: np.ndarray, labels: np.ndarray, colors: dict[int, str], opacity: float
) -> np.ndarray:
    """A page in grey with labels in colour over it, (y, x, 3) uint8.

    Parameters
    ----------
    page : array
        (y, x) pixels.
    labels : array
        (y, x) label values.
    colors : dict of int to str
        "#rrggbb" of the label values to show.
    opacity : float
        0 to 1.
    """
    picture = grey(page).astype(np.float64)
    for value, color in colors.items():
        where = labels == value
        picture[where] = (1 - opacity) * picture[where] + opacity * np.array(rgb(color))
    return np.rint(picture).astype(np.uint8)


def side_by_side(panels: Sequence[tuple[str, np.ndarray]]) -> Any:
    """Captions and (y, x, 3) pictures of one size in a row, as a Pillow image."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = (ENLARGE * size for size in panels[0][1].shape[:2])
    step = width + MARGIN
    sheet = Image.new("RGB", (MARGIN + step * len(panels), CAPTION + height + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=20)
    for number, (caption, pixels) in enumerate(panels):
        left = MARGIN + step * number
        draw.text((left, 6), caption, fill="black", font=font)
        enlarged = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
        sheet.paste(enlarged, (left, CAPTION))
    return sheet


def save(sheet: Any, path: Path) -> None:
    """Writes a Pillow image as PNG, replacing `path` by rename."""
    made = path.with_name(f".{path.name}.new")
    try:
        sheet.save(made, format="PNG", optimize=True)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
