"""Writes tests/golden/*.safetensors: what the core has to compute, from PyTorch in float64.

Run it with a Python that has torch; nothing else in the tests needs torch:

    python tests/oracle/make_golden.py

It also runs everything in float32 and prints how far that strays from float64: the tests'
tolerances are well above these numbers and well below what a mistake would cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import formula
import network
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import lr_scheduler

GOLDEN = Path(__file__).parent.parent / "golden"
SIZES = ((64, 64), (96, 160), (75, 101), (5, 7))
SLIM = (64, 48, 32, 24, 16)  # other decoder widths
PAIR = (10, 11)  # images with which no value is near 0 before a ReLU, 3e-5 at the nearest
FOUR = (52, 53, 54, 55)  # the same, 7e-6
WEIGHTS = (0.1, 1.0, 1.0, 3.0)  # of four classes
STEPS = 10
RATE = 3e-3
MILESTONES = (3, 6)
FINAL = (  # what is kept of a state dict after training
    "encoder.conv1",
    "encoder.bn1",
    "encoder.layer1.0.downsample",
    "encoder.layer4.2",
    "decoder.blocks.0.conv1",
    "decoder.blocks.4.conv2",
    "segmentation_head",
)


def build(outputs: int, dtype: torch.dtype, widths: tuple[int, ...] = network.WIDTHS) -> nn.Module:
    """The network with the formula's weights."""
    net = network.Unet(outputs, widths)
    state = {}
    for name, old in net.state_dict().items():
        new = formula.parameter(name, tuple(old.shape) or (1,)).reshape(tuple(old.shape))
        state[name] = torch.from_numpy(new).to(old.dtype)
    net.load_state_dict(state)
    return net.to(dtype)


def images(keys: tuple[int, ...], height: int, width: int) -> np.ndarray:
    """Images as they enter the network, (n, 1, height, width) float64."""
    pixels = np.stack([formula.image(key, height, width) for key in keys])[:, None]
    return (pixels - formula.OFFSET) * formula.SCALE


def dense_loss(logits: Tensor, keys: tuple[int, ...]) -> Tensor:
    """Every pixel counts: the loss of the recipe cem500k."""
    count = max(2, logits.shape[1])
    target = torch.from_numpy(np.stack([formula.classes(k, count, 64, 64) for k in keys]))
    if count == 2:
        return functional.binary_cross_entropy_with_logits(logits[:, 0], target.to(logits.dtype))
    weights = torch.tensor(WEIGHTS, dtype=logits.dtype)
    return functional.cross_entropy(logits, target.long(), weights)


def sparse_loss(logits: Tensor) -> Tensor:
    """Unlabelled pixels are ignored; the mean over the classes present of each one's mean."""
    count = max(2, logits.shape[1])
    target = torch.from_numpy(np.stack([formula.strokes(k, count) for k in (0, 1)])).long() - 1
    if count == 2:
        per_pixel = functional.binary_cross_entropy_with_logits(
            logits[:, 0], (target == 1).to(logits.dtype), reduction="none"
        )
    else:
        per_pixel = functional.cross_entropy(logits, target.clamp(0), reduction="none")
    present = [c for c in range(count) if (target == c).any()]
    return torch.stack([per_pixel[target == c].mean() for c in present]).mean()


def make_logits() -> dict[str, np.ndarray]:
    """Logits of image 0 in several sizes, batch norm with its running statistics."""
    out = {}
    cases = [(o, network.WIDTHS, "") for o in (1, 4)] + [(1, SLIM, ".slim")]
    for outputs, widths, suffix in cases:
        results = {}
        for dtype in (torch.float64, torch.float32):
            net = build(outputs, dtype, widths).eval()
            for height, width in SIZES if not suffix else SIZES[:1]:
                padding = [(0, 0), (0, 0), (0, -height % 32), (0, -width % 32)]
                padded = np.pad(images((0,), height, width), padding, mode="reflect")
                with torch.inference_mode():
                    maps = net(torch.from_numpy(padded).to(dtype))[0, :, :height, :width]
                key = f"{outputs}.{height}x{width}{suffix}"
                results[key, dtype] = maps.reshape(outputs, -1)[:, :: formula.STEP].numpy()
        for (key, dtype), want in results.items():
            if dtype is torch.float64:
                error = np.abs(results[key, torch.float32] - want).max() / np.abs(want).max()
                print(f"logits {key:14} largest {np.abs(want).max():.3f}  float32 off {error:.1e}")
                out[key] = want.astype(np.float32)
    return out


def backward(outputs: int, interactive: bool, dtype: torch.dtype) -> tuple[float, nn.Module]:
    """Loss and network of one forward and backward pass over PAIR."""
    net = build(outputs, dtype).train()
    if interactive:
        network.freeze(net, "none")
        net.encoder.eval()
    logits = net(torch.from_numpy(images(PAIR, 64, 64)).to(dtype))
    loss = sparse_loss(logits) if interactive else dense_loss(logits, PAIR)
    loss.backward()
    return loss.item(), net


def make_gradients() -> dict[str, np.ndarray]:
    """Fingerprints of the gradient of every tensor and of the running statistics after it."""
    out = {}
    for recipe in ("dense", "interactive"):
        for outputs in (1, 4):
            case = f"{recipe}.{outputs}"
            loss, net = backward(outputs, recipe == "interactive", torch.float64)
            loss32, net32 = backward(outputs, recipe == "interactive", torch.float32)
            out[f"{case}.loss"] = np.array([loss])
            worst = {"gradient": 0.0, "running statistic": 0.0}
            low = dict(net32.named_parameters()) | dict(net32.named_buffers())
            for name, parameter in net.named_parameters():
                if parameter.grad is not None:
                    mark = formula.fingerprint(name, parameter.grad.numpy())
                    out[f"{case}.{name}"] = mark
                    off = formula.deviation(name, low[name].grad.numpy(), mark)
                    worst["gradient"] = max(worst["gradient"], off)
            for name, buffer in net.named_buffers():
                moved = recipe == "dense" or not name.startswith("encoder.")
                if name.split(".")[-1].startswith("running") and moved:
                    mark = formula.fingerprint(name, buffer.numpy())
                    out[f"{case}.{name}"] = mark
                    off = formula.deviation(name, low[name].numpy(), mark)
                    worst["running statistic"] = max(worst["running statistic"], off)
            text = ", ".join(f"{what} {off:.1e}" for what, off in worst.items())
            print(f"gradients {case:14} loss {loss:.6f}  float32 off: {loss32 - loss:.1e}, {text}")
    return out


@dataclass(frozen=True)
class Trace:
    """A training run of ten steps."""

    layer: str  # finetune_layer
    outputs: int = 1
    sgd: bool = False
    train_norms: bool = False
    schedule: str = "onecycle"
    interactive: bool = False
    decay: float = 0.1


TRACES = {
    "none": Trace("none"),
    "layer4": Trace("layer4"),
    "all": Trace("all"),
    "classes": Trace("none", outputs=4),
    "norms": Trace("none", train_norms=True),
    "sgd": Trace("layer4", sgd=True),
    "poly": Trace("none", sgd=True, schedule="poly"),
    "multistep": Trace("none", schedule="multistep"),
    "interactive": Trace("none", schedule="constant", interactive=True, decay=0.01),
}


def scheduler_of(optimizer: torch.optim.Optimizer, kind: str) -> lr_scheduler.LRScheduler:
    """One of the core's schedules, as PyTorch has it."""
    if kind == "onecycle":
        return lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    if kind == "poly":
        return lr_scheduler.LambdaLR(optimizer, lambda step: (1 - step / STEPS) ** 0.9)
    if kind == "multistep":
        return lr_scheduler.MultiStepLR(optimizer, MILESTONES, 0.1)
    return lr_scheduler.ConstantLR(optimizer, 1.0)


def optimizer_of(net: nn.Module, trace: Trace) -> torch.optim.Optimizer:
    parameters = [p for p in net.parameters() if p.requires_grad]
    if trace.sgd:
        return torch.optim.SGD(parameters, RATE, momentum=0.9, weight_decay=trace.decay)
    return torch.optim.AdamW(parameters, RATE, weight_decay=trace.decay)


def train(trace: Trace, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray, nn.Module]:
    """Losses and learning rates of the ten steps, and the network after them."""
    net = build(trace.outputs, dtype).train()
    network.freeze(net, trace.layer, trace.train_norms)
    keys = FOUR
    if trace.interactive:
        keys = PAIR
        net.encoder.eval()
    optimizer = optimizer_of(net, trace)
    schedule = scheduler_of(optimizer, trace.schedule)
    batch = torch.from_numpy(images(keys, 64, 64)).to(dtype)
    losses, rates = [], []
    for _ in range(STEPS):
        logits = net(batch)
        loss = sparse_loss(logits) if trace.interactive else dense_loss(logits, keys)
        losses.append(loss.item())
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return np.array(losses), np.array(rates), net


def make_traces() -> dict[str, np.ndarray]:
    """Losses and rates of each trace and fingerprints of a part of the state dict after it."""
    out = {}
    for name, trace in TRACES.items():
        losses, rates, net = train(trace, torch.float64)
        low, _, net32 = train(trace, torch.float32)
        out[f"{name}.losses"], out[f"{name}.rates"] = losses, rates
        state, state32 = net.state_dict(), net32.state_dict()
        worst = 0.0
        for key in state:
            if state[key].ndim and key.startswith(FINAL):
                mark = formula.fingerprint(key, state[key].numpy())
                out[f"{name}.{key}"] = mark
                worst = max(worst, formula.deviation(key, state32[key].numpy(), mark))
        off = np.abs(low / losses - 1).max()
        print(
            f"trace {name:12} {losses[0]:.4f} .. {losses[-1]:.4f}  "
            f"float32 off: losses {off:.1e}, state {worst:.1e}"
        )
    return out


def make_formula() -> dict[str, np.ndarray]:
    """Marks of the formula itself, so that both sides can check that they agree on it."""
    out = {}
    for name, tensor in network.Unet(4).state_dict().items():
        if tensor.ndim and name.startswith(FINAL):
            out[name] = formula.parameter(name, tuple(tensor.shape)).ravel()[
                formula.sample(name, tensor.numel())
            ]
    for key in (0, PAIR[1]):
        out[f"image.{key}"] = formula.image(key, 75, 101).ravel()[:202].astype(np.float32)
        out[f"classes.{key}"] = formula.classes(key, 4, 75, 101).ravel()[:202].astype(np.float32)
    return out


def main() -> None:
    print(f"torch {torch.__version__}, numpy {np.__version__}")
    for make in (make_formula, make_logits, make_gradients, make_traces):
        path = GOLDEN / f"{make.__name__.removeprefix('make_')}.safetensors"
        formula.write(path, make())
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
