"""Whether a patch is worth having: a logistic model on cheap figures of it.

A patch is not worth having if most of it is uniform, if it has hardly any contrast, if it shows
an artefact, or if it shows no cells.  The built-in model was made by
``tests/curation/train_filter.py``; `train` makes one of the user's own choices.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem import hashing

NAMES = (
    "deviation", "range_90", "range_99", "commonest", "saturated", "entropy", "skewness",
    "kurtosis", "equal_neighbours",
    *(f"band_{size}{kind}" for size in (1, 2, 4, 8, 16) for kind in ("", "_skewness", "_kurtosis")),
    *(f"blocks_{size}_q{quantile}" for size in (8, 16, 32) for quantile in (10, 50, 90)),
    "uniform_3", "uniform_6",
    *(f"coherence_{size}" for size in (8, 16, 32, 64)),
)  # fmt: skip
BUILTIN = Path(__file__).parent / "informative.json"
LIMIT = 0.5
FURTHEST = 6.0


def terms(features: np.ndarray, squares: bool) -> np.ndarray:
    """What the logistic model is linear in: compressed figures, and their products."""
    values: np.ndarray = np.sign(features) * np.log1p(np.abs(features.astype(np.float64)))
    if not squares:
        return values
    first, second = np.triu_indices(values.shape[1])
    return np.concatenate([values, values[:, first] * values[:, second]], axis=1)


@dataclass(frozen=True)
class Filter:
    """A logistic model of `terms`.

    Attributes
    ----------
    mean, deviation : array
        By which the terms are standardised.
    weights : array
    bias : float
    squares : bool
        Whether products of figures are among the terms.
    about : dict
        Where it comes from.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    bias: float
    squares: bool
    about: dict[str, Any]

    def scores(self, features: np.ndarray) -> np.ndarray:
        """How likely patches are worth having, 0 to 1, from (n, figures)."""
        standard = (terms(features, self.squares) - self.mean) / self.deviation
        logits = np.clip(standard, -FURTHEST, FURTHEST) @ self.weights + self.bias
        scores: np.ndarray = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return scores

    def score(self, patches: np.ndarray, threads: int = 0) -> np.ndarray:
        """The same from (n, y, x) uint8 patches."""
        return self.scores(hashing.features(patches, threads))

    def save(self, path: str | Path) -> None:
        """Writes the model as JSON, replacing `path` by rename."""
        path = Path(path)
        fields = {
            "figures": list(NAMES),
            "about": self.about,
            "squares": self.squares,
            "bias": self.bias,
            "weights": self.weights.tolist(),
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
        }
        made = path.with_name(f".{path.name}.new")
        made.write_text(json.dumps(fields, indent=0) + "\n")
        made.replace(path)


def load(path: str | Path = BUILTIN) -> Filter:
    """A model that `Filter.save` wrote; by default the built-in one.

    Raises
    ------
    ValueError
        If the file is no such model.
    OSError
        If it cannot be read.
    """
    text = Path(path).read_text()
    try:
        fields = json.loads(text)
        if fields["figures"] != list(NAMES):
            raise ValueError("it was made for other figures")
        squares, bias = bool(fields["squares"]), float(fields["bias"])
        count = terms(np.zeros((1, len(NAMES))), squares).shape[1]
        vectors = [np.array(fields[k], np.float64) for k in ("mean", "deviation", "weights")]
        for vector in vectors:
            if vector.shape != (count,) or not np.isfinite(vector).all():
                raise ValueError(f"it must have {count} finite numbers of each kind")
        if not (vectors[1] > 0).all() or not np.isfinite(bias):
            raise ValueError("its deviations must be above 0")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is not a filter of patches: {error}") from error
    mean, deviation, weights = vectors
    return Filter(mean, deviation, weights, bias, squares, dict(fields.get("about") or {}))


def fit(
    features: np.ndarray, accepted: np.ndarray, squares: bool = False, strength: float = 1.0
) -> Filter:
    """A model of (n, figures) and whether each patch was accepted; needs scikit-learn.

    Raises
    ------
    ValueError
        If not both kinds are there, or scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise ValueError(
            "training a filter needs scikit-learn; install it with: pip install napari-cem[filter]"
        ) from error
    accepted = np.asarray(accepted, bool)
    if accepted.all() or not accepted.any():
        raise ValueError("give patches that were accepted and some that were rejected")
    values = terms(np.asarray(features), squares)
    mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    standard = np.clip((values - mean) / deviation, -FURTHEST, FURTHEST)
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=10000)
    model.fit(standard, accepted)
    about = {"accepted": int(accepted.sum()), "rejected": int((~accepted).sum())}
    return Filter(mean, deviation, model.coef_[0], float(model.intercept_[0]), squares, about)


def train(patches: Any, accepted: Any, threads: int = 0) -> Filter:
    """A filter of the user's own choices.

    Parameters
    ----------
    patches : array or sequence of arrays
        uint8 patches, (n, y, x) or of different shapes.
    accepted : sequence of bool
        Which of them are worth having.

    Returns
    -------
    Filter
        Its `save` writes what ``--filter FILE`` takes.
    """
    rows = [hashing.features(np.asarray(patch)[None], threads) for patch in patches]
    return fit(np.concatenate(rows), np.asarray(accepted), strength=0.3)
