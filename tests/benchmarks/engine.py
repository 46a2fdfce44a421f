"""Time of the engine against its peers', interleaved in one run on two threads.

    python tests/benchmarks/engine.py [--rounds 7] [--write docs/performance.md]

Three things a user waits for: a tile of 512 x 512 segmented; a training step of the decoder on
cached features, 4 x 256 x 256; a training step of everything, 4 x 256 x 256.  The peers (PyTorch,
ONNX Runtime, OpenVINO: the same network with the same weights) run in processes of their own, from
an environment in ``build/peers`` that is made when it is missing.  In each round everyone takes a
turn; printed are medians and the least, and medians of the ratios of each round: at 2x we are twice
as fast.  ONEDNN_MAX_CPU_ISA=AVX2 holds our kernels and oneDNN, PyTorch's too, to AVX2.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_cem import _core

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = ROOT / "build" / "peers"
PACKAGES = ["numpy", "onnx", "onnxruntime", "openvino", "torch"]
PEERS = [
    "torch",
    "torch_channels_last",
    "onnxruntime",
    "openvino",
    "onnxruntime_int8",
    "openvino_int8",
]
CASES = ["tile", "decoder step", "full step"]
TITLES = {
    "tile": "a tile of 512 x 512",
    "decoder step": "a step of the decoder on cached features, 4 x 256 x 256",
    "full step": "a step of everything, 4 x 256 x 256",
}
MARK = (
    "<!-- what follows is written by tests/benchmarks/engine.py --write docs/performance.md -->\n"
)
OURS, DECODER = "napari-cem f32", "napari-cem f32, only the decoder on features kept"
THREADS, TILE, CROP, BATCH, CALIBRATION = 2, 512, 256, 4, 4
INTENSITY = (128.0, 1 / 64)


def image(seed: int = 0) -> np.ndarray:
    """Grey values of the size of a tile: blurred noise, with the means of micrographs."""
    noise = np.random.default_rng(seed).normal(size=(TILE, TILE))
    for axis in (0, 1):
        noise = sum(np.roll(noise, k, axis) for k in range(-2, 3)) / np.sqrt(5)
    return np.clip(128 + 48 * noise, 0, 255).astype(np.uint8)


def scaled(pixels: np.ndarray) -> np.ndarray:
    """What the network sees of grey values: (1, 1, h, w) float32."""
    return ((pixels.astype(np.float32) - INTENSITY[0]) * INTENSITY[1])[None, None]


def our_tile(model: _core.Model, **options: int) -> Callable[[], object]:
    """Segments one tile."""
    pixels = image()[None]
    out = np.empty((1, 2, TILE, TILE), np.float32)
    return lambda: model.predict(out, pixels, *INTENSITY, threads=THREADS, **options)


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


def hand_over(model: _core.Model, folder: Path) -> None:
    """Writes what the peers read: weights and images."""
    weights = {name: model.tensor_get(i) for i, (name, _) in enumerate(model.tensors())}
    np.savez(folder / "weights.npz", **weights)
    crops = np.concatenate([scaled(image(k)[:CROP, :CROP]) for k in range(BATCH)])
    np.save(folder / "tile.npy", scaled(image()))
    np.save(folder / "crops.npy", crops)
    np.save(folder / "target.npy", (crops > 0).astype(np.float32))
    np.save(
        folder / "calibration.npy",
        np.concatenate([scaled(image(100 + k)) for k in range(CALIBRATION)]),
    )


class Peer:
    """A peer's process."""

    def __init__(self, key: str, folder: Path) -> None:
        script = ROOT / "tests" / "oracle" / "peers.py"
        command = [ENVIRONMENT / "bin" / "python", script, key, folder]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / f"{key}.log").open("w"),
            text=True,
            bufsize=1,
            env=os.environ | {"OMP_NUM_THREADS": str(THREADS)},
        )
        line = self.read()
        if not line:
            raise SystemExit((folder / f"{key}.log").read_text())
        about = json.loads(line)
        self.name, self.cases = about["name"], about["cases"]
        self.output = np.load(folder / f"{key}.npy")

    def read(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def seconds(self, case: str) -> float:
        assert self.process.stdin
        print(case, file=self.process.stdin)
        return float(self.read())


def make_environment() -> None:
    """Installs the peers, once."""
    done = ENVIRONMENT / "done"
    if done.exists():
        return
    print(f"installing {', '.join(PACKAGES)} into {ENVIRONMENT.relative_to(ROOT)}", flush=True)
    venv.create(ENVIRONMENT, with_pip=True)
    pip = [ENVIRONMENT / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES], check=True)
    done.touch()


def measure(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def sample(
    case: str, ours: dict[str, Callable[[], object]], peers: list[Peer], rounds: int
) -> dict[str, list[float]]:
    """Seconds of everyone in each round, after one to warm up."""
    seconds: dict[str, list[float]] = {}
    for turn in range(-1, rounds):
        times = {name: measure(call) for name, call in ours.items()}
        times |= {peer.name: peer.seconds(case) for peer in peers if case in peer.cases}
        for name, value in times.items() if turn >= 0 else ():
            seconds.setdefault(name, []).append(value)
    return seconds


def table(case: str, seconds: dict[str, list[float]]) -> list[str]:
    """Markdown of one case."""
    lines = ["", f"**{TITLES[case].capitalize()}**", ""]
    lines += ["| | median ms | least ms | we are faster | by the least |", "|---|---|---|---|---|"]
    for name, values in seconds.items():
        ratio = statistics.median(v / ours for v, ours in zip(values, seconds[OURS], strict=True))
        by_least = min(values) / min(seconds[OURS])
        lines.append(
            f"| {name} | {1e3 * statistics.median(values):.0f} "
            f"| {1e3 * min(values):.0f} | {ratio:.2f}x | {by_least:.2f}x |"
        )
    return lines


def operations() -> list[str]:
    """The table of tests/c/time_ops.c: what each op of a tile takes."""
    program = "build/plain/time_ops"
    subprocess.run(
        ["make", "--no-print-directory", program, f"CEM_ONEDNN_ROOT={sys.prefix}"],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    done = subprocess.run(
        [ROOT / program, str(TILE), str(THREADS)], check=True, capture_output=True, text=True
    )
    return [
        "",
        "**The ops of a tile, the least of several runs of each**",
        "",
        *done.stdout.splitlines(),
    ]


def machine() -> str:
    """The processor and what the engine uses of it."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":")[1].strip() for line in cpuinfo.splitlines() if "model name" in line]
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, {_core.backend()}"
    )


def disagreement(model: _core.Model, peers: list[Peer]) -> list[str]:
    """How far the peers' probabilities of the tile are from ours."""
    out = np.empty((1, 2, TILE, TILE), np.float32)
    model.predict(out, image()[None], *INTENSITY, threads=THREADS)
    lines = []
    for peer in peers:
        theirs = 1 / (1 + np.exp(-peer.output[0, 0].astype(np.float64)))
        lines.append(f"- {peer.name}: {np.abs(out[0, 1] - theirs).max():.1e}")
    return lines


def report(rounds: int, peers: list[Peer], model: _core.Model) -> list[str]:
    """Measures everything."""
    ours: dict[str, dict[str, Callable[[], object]]] = {
        "tile": {OURS: our_tile(model), DECODER: our_tile(model, slice=0)},
        "decoder step": {OURS: our_step(0, dense=1)},
        "full step": {OURS: our_step(1, first_stage=0)},
    }
    lines = [
        f"{machine()}; {THREADS} threads each, {rounds} interleaved rounds; "
        f"load of the machine {os.getloadavg()[0]:.1f} at the start."
    ]
    for case in CASES:
        lines += table(case, sample(case, ours[case], peers, rounds))
    lines += operations()
    lines += ["", "Largest difference of a probability of the tile from ours:", ""]
    return lines + disagreement(model, peers)


def main() -> None:
    """Prints the tables, and writes them where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--write", type=Path, help="also into this document")
    options = parser.parse_args()
    make_environment()
    model = _core.Model()
    with tempfile.TemporaryDirectory() as folder:
        hand_over(model, Path(folder))
        peers = [Peer(key, Path(folder)) for key in options.peers]
        lines = report(max(5, options.rounds), peers, model)
    print("\n".join(lines))
    if options.write:
        kept = options.write.read_text().split(MARK)[0]
        options.write.write_text(kept + MARK + "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
