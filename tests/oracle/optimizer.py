"""Writes tests/golden/optimizer.inc and schedule.inc: PyTorch's optimisers and schedules.

Wants a Python that has torch.
"""

from __future__ import annotations

from pathlib import Path

import torch
from draw import array, uniform
from torch.optim import SGD, AdamW, Optimizer, lr_scheduler

GOLDEN = Path(__file__).parent.parent / "golden"
SEED = 11
COUNT = 37
STEPS = 10
RATE = 3e-3
LENGTHS = (1, 2, 3, 7, 10)  # of schedules
MILESTONES = (3, 6, 6)


def gradient(step: int) -> torch.Tensor:
    """The gradient at `step`, float32 in float64; some entries are tiny, some always 0."""
    values = [2 * uniform(SEED, 1 + step, i) - 1 for i in range(COUNT)]
    values = [v * 1e-7 if i % 8 == 3 else 0 if i % 8 == 5 else v for i, v in enumerate(values)]
    return torch.tensor(values, dtype=torch.float32).to(torch.float64)


def train(name: str) -> str:
    """The values after STEPS steps, as a line of C."""
    start = [2 * uniform(SEED, 0, i) - 1 for i in range(COUNT)]
    values = torch.tensor(start, dtype=torch.float32).to(torch.float64).requires_grad_()
    if name == "sgd":
        optimizer: Optimizer = SGD([values], RATE, momentum=0.9, weight_decay=1e-2)
    else:
        optimizer = AdamW([values], RATE, betas=(0.9, 0.999), weight_decay=0.1)
    schedule = lr_scheduler.ConstantLR(optimizer, factor=1)
    if name == "onecycle":
        schedule = lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    for step in range(STEPS):
        values.grad = gradient(step)
        optimizer.step()
        if step < STEPS - 1:
            schedule.step()
    return array(f"{v:.9g}" for v in values.tolist()) + ",\n"


def onecycle(length: int, optimizer: Optimizer, momentum: str) -> list[tuple[float, float]]:
    """Rate and momentum of every step."""
    schedule = lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=length)
    found = []
    for step in range(length):
        group = optimizer.param_groups[0]
        found.append((group["lr"], group["betas"][0] if momentum == "betas" else group[momentum]))
        optimizer.step()
        if step < length - 1:
            schedule.step()
    return found


def rates(length: int, kind: str) -> list[float]:
    """The rates of a schedule without a momentum."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], RATE)
    if kind == "poly":
        schedule = lr_scheduler.LambdaLR(optimizer, lambda step: (1 - step / length) ** 0.9)
    else:
        schedule = lr_scheduler.MultiStepLR(optimizer, sorted(MILESTONES), gamma=0.1)
    found = []
    for _ in range(length):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def schedule_lines() -> str:
    """Lines of C: kind, optimiser, length, step, rate, momentum."""
    text = ""
    for length in LENGTHS:
        values = [torch.zeros(1, requires_grad=True)]
        cycles = (
            ("CEM_ADAMW", onecycle(length, AdamW(values, RATE), "betas")),
            ("CEM_SGD", onecycle(length, SGD(values, RATE, momentum=0.8), "momentum")),
        )
        for optimizer, cycle in cycles:
            for step, (rate, momentum) in enumerate(cycle):
                text += f"{{CEM_ONECYCLE, {optimizer}, {length}, {step}, {rate:.15g}, "
                text += f"{momentum:.15g}}},\n"
        for kind in ("poly", "multistep"):
            for step, rate in enumerate(rates(length, kind)):
                text += f"{{CEM_{kind.upper()}, CEM_ADAMW, {length}, {step}, {rate:.15g}, 0.9}},\n"
    return text


def main() -> None:
    head = "/* Made by tests/oracle/optimizer.py. */\n"
    names = ("constant", "onecycle", "sgd")
    (GOLDEN / "optimizer.inc").write_text(head + "".join(train(name) for name in names))
    (GOLDEN / "schedule.inc").write_text(head + schedule_lines())


if __name__ == "__main__":
    main()
