"""A peer of tests/benchmarks/engine.py, in a process and an environment of its own.

    python peers.py PEER FOLDER

FOLDER has ``weights.npz`` (the state dict), ``tile.npy`` (1, 1, h, w), ``crops.npy`` and
``target.npy``.  Prints a JSON line about itself, then for every line with the name of a case does
it once and prints the seconds.  ``output.npy`` of the peer is what it makes of the tile.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

THREADS = 2
Cases = dict[str, Callable[[], object]]


def unet(folder: Path):
    """The network in PyTorch with the weights of the folder."""
    import network
    import torch

    state = {k: torch.from_numpy(v) for k, v in np.load(folder / "weights.npz").items()}
    made = network.Unet()
    made.load_state_dict(state, strict=False)
    return made


def torch_cases(folder: Path, channels_last: bool) -> tuple[str, Cases]:
    """PyTorch, eager."""
    import torch

    torch.set_num_threads(THREADS)
    if torch.get_num_threads() != THREADS:
        raise SystemExit(f"PyTorch uses {torch.get_num_threads()} threads, not {THREADS}")
    layout = torch.channels_last if channels_last else torch.contiguous_format
    tile, crops, target = (
        torch.from_numpy(np.load(folder / f"{n}.npy")).contiguous(memory_format=layout)
        for n in ("tile", "crops", "target")
    )
    still = unet(folder).eval().to(memory_format=layout)
    whole = unet(folder).train().to(memory_format=layout)
    decoder = unet(folder).train().to(memory_format=layout)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    with torch.no_grad():
        features = [f.detach() for f in decoder.encoder(crops)]

    def stepper(forward: Callable[[], object], parameters: list) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(parameters, lr=1e-3)

        def step() -> None:
            optimizer.zero_grad()
            loss(forward(), target).backward()
            optimizer.step()

        return step

    def predict() -> np.ndarray:
        with torch.inference_mode():
            return still(tile).numpy()

    trained = [*decoder.decoder.parameters(), *decoder.segmentation_head.parameters()]
    name = f"PyTorch {torch.__version__} eager" + (", channels last" if channels_last else "")
    return name, {
        "tile": predict,
        "decoder step": stepper(lambda: decoder.decode(features), trained),
        "full step": stepper(lambda: whole(crops), list(whole.parameters())),
    }


def exported(folder: Path) -> Path:
    """The network as ONNX."""
    import torch

    path = folder / "network.onnx"
    if not path.exists():
        tile = torch.from_numpy(np.load(folder / "tile.npy"))
        torch.onnx.export(
            unet(folder).eval(), (tile,), str(path), input_names=["tile"], dynamo=False
        )
    return path


def quantised(folder: Path) -> Path:
    """The same in int8, weights by channel, calibrated on the tiles of ``calibration.npy``."""
    from onnxruntime import quantization

    path = folder / "network_int8.onnx"
    if path.exists():
        return path

    class Tiles(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.tiles = iter(np.load(folder / "calibration.npy"))

        def get_next(self) -> dict[str, np.ndarray] | None:
            tile = next(self.tiles, None)
            return None if tile is None else {"tile": tile[None]}

    quantization.quantize_static(
        exported(folder),
        path,
        Tiles(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        # activations of 7 bits where 8-bit products could overflow
        reduce_range="avx512_vnni" not in Path("/proc/cpuinfo").read_text(),
    )
    return path


def onnxruntime_cases(folder: Path, int8: bool) -> tuple[str, Cases]:
    """ONNX Runtime on the CPU."""
    import onnxruntime

    path = quantised(folder) if int8 else exported(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    if session.get_session_options().intra_op_num_threads != THREADS:
        raise SystemExit("ONNX Runtime does not use two threads")
    tile = np.load(folder / "tile.npy")
    name = f"ONNX Runtime {onnxruntime.__version__} {'int8' if int8 else 'f32'}"
    return name, {"tile": lambda: session.run(None, {"tile": tile})[0]}


def openvino_cases(folder: Path, int8: bool) -> tuple[str, Cases]:
    """OpenVINO on the CPU; by itself it would take bf16 where the CPU has it."""
    import openvino

    path = quantised(folder) if int8 else exported(folder)
    settings = {
        "INFERENCE_NUM_THREADS": THREADS,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = openvino.Core().compile_model(path, "CPU", settings)
    if model.get_property("INFERENCE_NUM_THREADS") != THREADS:
        raise SystemExit("OpenVINO does not use two threads")
    tile = np.load(folder / "tile.npy")
    request = model.create_infer_request()
    name = f"OpenVINO {openvino.__version__.split('-')[0]} {'int8' if int8 else 'f32'}"
    return name, {"tile": lambda: next(iter(request.infer({0: tile}).values()))}


PEERS = {
    "torch": lambda folder: torch_cases(folder, False),
    "torch_channels_last": lambda folder: torch_cases(folder, True),
    "onnxruntime": lambda folder: onnxruntime_cases(folder, False),
    "openvino": lambda folder: openvino_cases(folder, False),
    "onnxruntime_int8": lambda folder: onnxruntime_cases(folder, True),
    "openvino_int8": lambda folder: openvino_cases(folder, True),
}


def main() -> None:
    """Answers until its input ends."""
    peer, folder = sys.argv[1], Path(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    name, cases = PEERS[peer](folder)
    np.save(folder / f"{peer}.npy", cases["tile"]())
    print(json.dumps({"name": name, "cases": list(cases)}), file=answers)
    for line in sys.stdin:
        call = cases[line.strip()]
        start = time.perf_counter()
        call()
        print(time.perf_counter() - start, file=answers)


if __name__ == "__main__":
    main()
