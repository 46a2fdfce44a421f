"""Time of the engine against PyTorch's, interleaved in one run on two threads.

    python tests/benchmarks/engine.py [--rounds 7]

Three things a user waits for: a tile of 512 x 512 segmented; a training step of the decoder on
cached features, 4 x 256 x 256; a training step of everything, 4 x 256 x 256.  Prints medians, and
the median of the ratios of each round: below 1 is faster than PyTorch.  Without PyTorch it prints
our times alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_cem import _core

sys.path.insert(0, str(Path(__file__).parent.parent / "oracle"))

THREADS = 2
TILE = 512
CROP = 256
BATCH = 4
INTENSITY = (128.0, 1 / 64)
GOALS = {"tile of 512": 1.0, "decoder step": 0.8, "full step": 1.0}


def image() -> np.ndarray:
    """Grey values of the size of a tile."""
    return np.random.default_rng(0).integers(0, 256, (TILE, TILE)).astype(np.uint8)


def our_tile() -> Callable[[], object]:
    """Segments one tile."""
    model, pixels = _core.Model(), image()[None]
    out = np.empty((1, 2, TILE, TILE), np.float32)
    return lambda: model.predict(out, pixels, *INTENSITY, threads=THREADS)


def our_step(recipe: int, **options: int) -> Callable[[], object]:
    """One training step on crops of an image all of which is annotated."""
    trainer = _core.Trainer(
        _core.Model(), recipe, threads=THREADS, batch=BATCH, crop=CROP, augmentations=0, **options
    )
    pixels = image()
    labels = (1 + (pixels > 128)).astype(np.int32)
    trainer.set(1, pixels, labels, *INTENSITY)
    trainer.step(4)  # statistics, features, programs
    return lambda: trainer.step(1)


def torch_cases() -> dict[str, Callable[[], object]]:
    """The same in PyTorch, eager, or nothing where it is not installed."""
    try:
        import network
        import torch
    except ImportError:
        print("PyTorch cannot be imported: our times only")
        return {}
    torch.set_num_threads(THREADS)
    if torch.get_num_threads() != THREADS:
        raise SystemExit(f"PyTorch uses {torch.get_num_threads()} threads, not {THREADS}")
    print(f"PyTorch {torch.__version__}, eager, {torch.get_num_threads()} threads")
    target = (torch.rand(BATCH, 1, CROP, CROP) > 0.5).float()
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    still = network.Unet().eval()
    tile, batch = torch.randn(1, 1, TILE, TILE), torch.randn(BATCH, 1, CROP, CROP)

    def predict() -> None:
        with torch.inference_mode():
            still(tile)

    def stepper(forward: Callable[[], object], parameters: list) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(parameters, lr=1e-3)

        def step() -> None:
            optimizer.zero_grad()
            loss(forward(), target).backward()
            optimizer.step()

        return step

    whole, decoder = network.Unet().train(), network.Unet().train()
    with torch.no_grad():
        features = [f.detach() for f in decoder.encoder(batch)]
    trained = [*decoder.decoder.parameters(), *decoder.segmentation_head.parameters()]
    return {
        "tile of 512": predict,
        "decoder step": stepper(lambda: decoder.decode(features), trained),
        "full step": stepper(lambda: whole(batch), list(whole.parameters())),
    }


def measure(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = max(5, parser.parse_args().rounds)
    print(f"napari-cem {_core.version()}, {_core.backend()}, {THREADS} threads, {rounds} rounds")
    theirs = torch_cases()
    ours = {
        "tile of 512": our_tile(),
        "decoder step": our_step(0, dense=1),
        "full step": our_step(1, first_stage=0),
    }
    print(f"{'':14}{'ours ms':>10}{'PyTorch ms':>12}{'ratio':>8}{'goal':>7}")
    for name, call in ours.items():
        peer = theirs.get(name)
        for warm in filter(None, (call, peer)):
            warm()
        times = [(measure(call), measure(peer) if peer else float("nan")) for _ in range(rounds)]
        mine = 1e3 * statistics.median(a for a, _ in times)
        other = 1e3 * statistics.median(b for _, b in times)
        ratio = statistics.median(a / b for a, b in times)
        print(f"{name:14}{mine:10.0f}{other:12.0f}{ratio:8.2f}{GOALS[name]:7.1f}", flush=True)


if __name__ == "__main__":
    main()
