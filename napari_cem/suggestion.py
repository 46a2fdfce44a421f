"""What to label next: boxes of a volume that are informative, unlike each other, and uncertain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import hashing, informative
from napari_cem.curation_patches import grid
from napari_cem.images import Volume, open_labels, open_volume
from napari_cem.intensity import as_the_model, measure
from napari_cem.model import Model

SIDE = 128
SLICES = 24
LOOKED_AT = 96
NEAR = 0.15
BITS = np.array([byte.bit_count() for byte in range(256)], np.uint8)


@dataclass(frozen=True)
class Suggestion:
    """A box to label next.

    Attributes
    ----------
    z, y, x : int
        Its slice, and its first row and column.
    height, width : int
    score : float
        By which suggestions are ranked, highest first.
    reason : str
        Why it is worth labelling, in words.
    informative : float
        How likely its pixels show something, 0 to 1.
    uncertainty : float or None
        Share of its pixels where the model is undecided; None without a model.
    thumbnail : array of uint8
        Its pixels, (height, width).
    """

    z: int
    y: int
    x: int
    height: int
    width: int
    score: float
    reason: str
    informative: float
    uncertainty: float | None
    thumbnail: np.ndarray


@dataclass
class Boxes:
    """Candidates: places (n, 5: z, y, x, height, width), pixels, hashes, figures, scores."""

    places: np.ndarray
    pixels: list[np.ndarray]
    hashes: np.ndarray
    figures: np.ndarray
    scores: np.ndarray

    def only(self, which: np.ndarray) -> Boxes:
        """Some of them."""
        return Boxes(
            self.places[which], [self.pixels[i] for i in which], self.hashes[which],
            self.figures[which], self.scores[which],
        )  # fmt: skip


def stretched(page: np.ndarray, low: float, high: float) -> np.ndarray:
    """A page in 8 bits over the volume's range of values; 8-bit pages as they are."""
    if page.dtype == np.uint8:
        return page
    scaled = (page.astype(np.float64) - low) * (255.0 / max(high - low, 1e-12))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def survey(
    volume: Volume, slices: list[int], side: int, threads: int, report: Callable[[int], None]
) -> Boxes:
    """All boxes of some slices; `report` is called with how many were looked at."""
    judge = informative.load()
    _, height, width = volume.shape
    cells = grid(height, width, side)
    pages: dict[int, np.ndarray] = {}
    for z in slices:
        report(len(pages))
        pages[z] = volume.slice(z)
    low = float(min(page.min() for page in pages.values()))
    high = float(max(page.max() for page in pages.values()))
    places, pixels = [], []
    for z, page in pages.items():
        eight = stretched(page, low, high)
        for y, x, h, w in cells.tolist():
            places.append((z, y, x, h, w))
            pixels.append(np.ascontiguousarray(eight[y : y + h, x : x + w]))
    hashes = np.empty(len(pixels), np.uint64)
    figures = np.empty((len(pixels), len(informative.NAMES)), np.float32)
    shapes = np.array([patch.shape for patch in pixels])
    for shape in np.unique(shapes, axis=0):
        numbers = np.flatnonzero((shapes == shape).all(axis=1))
        stack = np.stack([pixels[i] for i in numbers])
        hashes[numbers] = hashing.dhash(stack, threads)
        figures[numbers] = hashing.features(stack, threads)
    return Boxes(np.array(places), pixels, hashes, figures, judge.scores(figures))


def labelled(boxes: Boxes, labels: Any) -> np.ndarray:
    """Which boxes have labels in them."""
    pages: dict[int, np.ndarray] = {}
    found = np.zeros(len(boxes.places), bool)
    for i, (z, y, x, h, w) in enumerate(boxes.places.tolist()):
        if z not in pages:
            pages[z] = labels.slice(z)
        found[i] = pages[z][y : y + h, x : x + w].any()
    return found


def slices_with_labels(labels: Any) -> list[int]:
    """At most `SLICES` slices that have labels."""
    found = [z for z in range(labels.shape[0]) if labels.slice(z).any()]
    return found[:: -(-len(found) // SLICES)] if found else []


def distances(hashes: np.ndarray, hash_: np.uint64) -> np.ndarray:
    """Bits in which hashes differ from one."""
    differing = (hashes ^ hash_).view(np.uint8).reshape(-1, 8)
    bits: np.ndarray = BITS[differing].sum(axis=1, dtype=np.int64)
    return bits


def undecided(
    model: Model, volume: Volume, boxes: Boxes, threads: int, report: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Share of each box's pixels where the two likeliest classes are close, and their mean
    closeness."""
    pixels, constants = as_the_model(volume, model.card, measure(volume))
    threshold = float(model.card.get("threshold") or 0.5)
    share, closeness = np.zeros(len(boxes.places)), np.zeros(len(boxes.places))
    for done, z in enumerate(np.unique(boxes.places[:, 0]).tolist()):
        report(done)
        probabilities = model.predict(pixels.slice(z), constants, threads)
        if len(probabilities) == 2:
            margin = np.abs(probabilities[1] - threshold)
        else:
            two = np.partition(probabilities, -2, axis=0)[-2:]
            margin = two[1] - two[0]
        for i in np.flatnonzero(boxes.places[:, 0] == z):
            _, y, x, h, w = boxes.places[i].tolist()
            inside = margin[y : y + h, x : x + w]
            share[i] = (inside < NEAR).mean()
            closeness[i] = np.clip(1 - inside / 0.5, 0, 1).mean()
    return share, closeness


def reason_of(score: float, share: float | None, apart: float, first: bool) -> str:
    """Why a box is suggested."""
    parts = []
    if share is not None:
        parts.append(f"the model is undecided on {share:.0%} of it")
    if np.isfinite(apart):
        unlike = "what is labelled" if first else "what is labelled or suggested before"
        parts.append(f"unlike {unlike} ({apart:.1f} deviations)")
    parts.append(f"shows structure ({score:.0%} sure)")
    return "; ".join(parts)


def suggest(
    volume: Any,
    model: Model | str | Path | None = None,
    labels: Any = None,
    n: int = 20,
    side: int = SIDE,
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Suggestion]:
    """Ranked boxes to label next.

    No box is blank, none is a near-duplicate of another or of what is labelled, and none has
    labels in it.  With a model those come first where it is undecided; without one, those unlike
    what is labelled and suggested so far.

    Parameters
    ----------
    volume : array, path or Volume
        (y, x) or (z, y, x) pixels.
    model : Model, str or path, optional
        What was trained so far.
    labels : array, path or Volume, optional
        Of the volume's shape; 0 is not labelled.
    n : int
        At most so many.
    side : int
        Of a box, in pixels.
    seed : int
        Of which of two near-duplicates is looked at.
    threads : int
        0 for all cores.
    progress : callable, optional
        Called with how many slices were looked at, or by the model, and of how many in all.

    Returns
    -------
    list of Suggestion
        The best one first.

    Raises
    ------
    ValueError
        If the volume or the labels cannot be read, or their shapes differ.
    """
    volume = open_volume(volume)
    known = None if labels is None else open_labels(labels)
    if known is not None and known.shape != volume.shape:
        raise ValueError(f"the labels are {known.shape} but the volume is {volume.shape}")
    if n < 1 or not 16 <= side <= 4096:
        raise ValueError(f"n is {n} and side {side}; n must be 1 or more and side 16 to 4096")
    slices = volume.sample(SLICES)
    if known is not None:
        slices = sorted({*slices, *slices_with_labels(known)})
    tell = progress or (lambda done, total: None)
    total = len(slices) * (1 if model is None else 2)
    boxes = survey(volume, slices, side, threads, lambda done: tell(done, total))
    taken = np.zeros(0, int)
    if known is not None:
        taken = np.flatnonzero(labelled(boxes, known))
    own = hashing.exemplars(boxes.hashes, seed=seed, threads=threads)
    fresh = (own == np.arange(len(own))) & (boxes.scores > informative.LIMIT)
    for number in taken:
        fresh &= distances(boxes.hashes, boxes.hashes[number]) > hashing.DISTANCE
    candidates = boxes.only(np.flatnonzero(fresh))
    if not len(candidates.places):
        return []
    share = closeness = None
    if model is not None:
        candidates = few(candidates, LOOKED_AT)
        network = model if isinstance(model, Model) else Model.load(model)
        share, closeness = undecided(
            network, volume, candidates, threads, lambda done: tell(len(slices) + done, total)
        )
    tell(total, total)
    return ranked(candidates, standard(boxes, candidates), standard(boxes, boxes.only(taken)),
                  share, closeness, n)  # fmt: skip


def few(boxes: Boxes, most: int) -> Boxes:
    """At most so many boxes, from as many different slices as they have."""
    if len(boxes.places) <= most:
        return boxes
    return boxes.only(np.linspace(0, len(boxes.places) - 1, most).astype(int))


def standard(all_boxes: Boxes, boxes: Boxes) -> np.ndarray:
    """Figures in units of their spread over all boxes."""
    every = informative.terms(all_boxes.figures, False)
    spread = np.maximum(every.std(axis=0), 1e-6)
    values = informative.terms(boxes.figures, False) if len(boxes.places) else every[:0]
    scaled: np.ndarray = (values - every.mean(axis=0)) / spread
    return scaled


def ranked(
    boxes: Boxes,
    figures: np.ndarray,
    known: np.ndarray,
    share: np.ndarray | None,
    closeness: np.ndarray | None,
    n: int,
) -> list[Suggestion]:
    """Chooses one box after the other: undecided, and far from what is known by then."""
    scale = np.sqrt(figures.shape[1])
    apart = np.full(len(figures), np.inf)
    for row in known:
        apart = np.minimum(apart, np.sqrt(((figures - row) ** 2).sum(axis=1)) / scale)
    left = np.ones(len(figures), bool)
    chosen: list[Suggestion] = []
    while left.any() and len(chosen) < n:
        unlike = np.where(np.isfinite(apart), np.minimum(apart, 2.0) / 2, 1.0)
        value = boxes.scores * (unlike if closeness is None else closeness * (0.5 + 0.5 * unlike))
        best = int(np.argmax(np.where(left, value, -np.inf)))
        left[best] = False
        undecided_share = None if share is None else float(share[best])
        z, y, x, h, w = boxes.places[best].tolist()
        chosen.append(
            Suggestion(
                z, y, x, h, w, float(value[best]),
                reason_of(float(boxes.scores[best]), undecided_share, float(apart[best]),
                          not chosen),
                float(boxes.scores[best]), undecided_share, boxes.pixels[best],
            )
        )  # fmt: skip
        gap = np.sqrt(((figures - figures[best]) ** 2).sum(axis=1)) / scale
        apart = np.minimum(apart, gap)
    return chosen
