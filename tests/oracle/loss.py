"""Writes tests/golden/loss.inc: losses and gradients from PyTorch, in float64.

Wants a Python that has torch.
"""

from __future__ import annotations

from pathlib import Path

import torch
from draw import array, below, uniform
from torch import Tensor
from torch.nn import functional

GOLDEN = Path(__file__).parent.parent / "golden" / "loss.inc"
SEED = 7
PIXELS = 24  # of a batch of two samples
BALANCED, PLAIN = 0, 1
WEIGHTS = (0.1, 1.0, 2.0, 3.0)
# outputs, kind, weighted, a class that the batch lacks (or -1)
CASES = (
    (1, BALANCED, 0, -1),
    (1, PLAIN, 0, -1),
    (1, BALANCED, 0, 1),
    (4, BALANCED, 0, -1),
    (4, BALANCED, 0, 2),
    (4, PLAIN, 0, -1),
    (4, PLAIN, 1, -1),
    (4, BALANCED, 1, 0),
)


def pixel_losses(logits: Tensor, target: Tensor) -> Tensor:
    """The loss of each pixel, -1 among the classes taken for 0."""
    known = target.clamp(min=0)
    if logits.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(
            logits[:, 0], known.to(logits.dtype), reduction="none"
        )
    return functional.cross_entropy(logits, known, reduction="none")


def balanced(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """The weighted mean over the classes present of the mean over a class's pixels."""
    losses = pixel_losses(logits, target)
    present = [c for c in range(len(WEIGHTS)) if (target == c).any()]
    importance = torch.ones(4, dtype=torch.float64) if weights is None else weights
    total = sum(importance[c] * losses[target == c].mean() for c in present)
    return total / importance[present].sum()


def plain(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """PyTorch's own mean."""
    if logits.shape[1] == 1:
        return pixel_losses(logits, target)[target >= 0].mean()
    return functional.cross_entropy(logits, target, weight=weights, ignore_index=-1)


def run(number: int) -> str:
    """One case as a line of C."""
    outputs, kind, weighted, absent = CASES[number]
    classes = max(outputs, 2)
    logits = torch.tensor(
        [12 * uniform(SEED, number, i) - 6 for i in range(PIXELS * outputs)], dtype=torch.float32
    )
    logits = logits.to(torch.float64).reshape(PIXELS, outputs).requires_grad_()
    target = torch.tensor([below(SEED, 100 + number, i, classes + 1) - 1 for i in range(PIXELS)])
    target[target == absent] = -1
    weights = torch.tensor(WEIGHTS, dtype=torch.float64) if weighted else None
    loss = (balanced if kind == BALANCED else plain)(logits, target, weights)
    loss.backward()
    gradient = array([f"{g:.9g}" for g in logits.grad.flatten().tolist()])
    return f"{{{outputs}, {kind}, {weighted}, {absent}, {loss.item():.12g},\n{gradient}}},\n"


def main() -> None:
    text = "/* Made by tests/oracle/loss.py. */\n"
    text += "".join(run(number) for number in range(len(CASES)))
    GOLDEN.write_text(text)


if __name__ == "__main__":
    main()
