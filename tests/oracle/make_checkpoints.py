"""Real checkpoints, written by PyTorch, against the reader that does without it (development only).

    python tests/oracle/make_checkpoints.py            checks, writes nothing that stays
    python tests/oracle/make_checkpoints.py --golden   also renews tests/golden/checkpoint_*.pth

Needs torch, NumPy and the package's pure Python part.  Each of the three layouts is saved in both
containers; the reader's tensors must be torch's bit for bit.  The golden files are small
dictionaries of tensors of every kind with live objects beside them, which tests/test_checkpoint.py
reads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from network import Unet

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from napari_cem import archive, checkpoint  # noqa: E402
from napari_cem.torch_objects import Tensor  # noqa: E402

GOLDEN = ROOT / "tests" / "golden"
NORMS = [0.58331613, 0.09966064]


def trained(outputs: int) -> Unet:
    """A network with nothing left at its initial value, as after training."""
    torch.manual_seed(outputs)
    network = Unet(outputs)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(
                torch.rand(value.shape) + 0.5 if "var" in name else torch.randn(value.shape)
            )
        else:
            value.fill_(len(name))
    return network


def layouts() -> dict[str, tuple[dict[str, Any], str]]:
    """What is saved by the name of its layout, with the prefix of the tensors that are wanted."""
    network = trained(4)
    encoder = network.encoder.state_dict()
    moco: dict[str, torch.Tensor] = {}
    for which in ("module.encoder_q.", "module.encoder_k."):
        scale = 1 if "_q" in which else 2
        moco |= {which + name: value * scale for name, value in encoder.items()}
        moco[which + "fc.0.weight"] = torch.randn(2048, 2048)
        moco[which + "fc.0.bias"] = torch.randn(2048)
        moco[which + "fc.2.weight"] = torch.randn(128, 2048)
        moco[which + "fc.2.bias"] = torch.randn(128)
    moco |= {"module.queue": torch.randn(128, 65536), "module.queue_ptr": torch.zeros(1).long()}
    momentum = torch.optim.SGD(network.encoder.parameters(), 0.015, 0.9)
    for parameter in network.encoder.parameters():
        parameter.grad = torch.ones_like(parameter)
    momentum.step()
    fields = {"epoch": 200, "arch": "resnet50", "optimizer": momentum.state_dict(), "norms": NORMS}
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=100)
    unet = {
        "state_dict": network.state_dict(),
        "scheduler": schedule.state_dict(),
        "optimizer": optimizer.state_dict(),
        "norms": NORMS,
        "run_id": "0",
    }
    return {
        "moco": ({"state_dict": moco, **fields}, "module.encoder_q."),
        "torchvision": ({"state_dict": encoder, "norms": NORMS}, ""),
        "unet": (unet, ""),
    }


def compare(path: Path, state: dict[str, torch.Tensor], prefix: str, whole: bool) -> int:
    """Reads `path` and compares it with what was saved; returns the number of tensors."""
    found = checkpoint.read(path)
    assert found.norms == tuple(NORMS)
    for name, array in found.tensors.items():
        saved = state[name if whole else prefix + name.removeprefix("encoder.")].numpy()
        assert (array.dtype, array.shape) == (saved.dtype, saved.shape), name
        assert array.tobytes() == saved.tobytes(), name
    loaded = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    return len(found.tensors)


def kinds() -> dict[str, Any]:
    """Tensors of every kind of number and of unusual layouts; the values are 0, 1, 2 ... ."""
    numbers = torch.arange(120.0)
    made = {
        str(kind).removeprefix("torch."): torch.arange(6).to(kind).reshape(2, 3)
        for kind in (
            torch.float32, torch.float64, torch.float16, torch.bfloat16,
            torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
        )
    }  # fmt: skip
    made["turned"] = numbers[:12].reshape(3, 4).T
    made["part"] = numbers[7:19].reshape(3, 4)[:, 1:3]
    made["channels_last"] = numbers.reshape(2, 3, 4, 5).to(memory_format=torch.channels_last)
    made["parameter"] = torch.nn.Parameter(numbers[:3])
    made["scalar"] = torch.tensor(5)
    made["empty"] = torch.zeros(0, 3)
    return made


class Tag:
    """An object that only this script could make."""

    def method(self) -> None:
        """Bound methods are pickled by way of getattr."""


def check_kinds(path: Path, legacy: bool, objects: dict[str, Any]) -> None:
    """Saves `kinds` with `objects` beside them, and checks the reader on the result."""
    norms = [np.float64(NORMS[0]), np.float32(NORMS[1])]
    content = {**kinds(), "objects": objects, "size": torch.Size([1, 2]), "norms": norms}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with path.open("rb") as stream:
        opened = archive.open_archive(stream)
        assert isinstance(opened.content, dict)
        tensors = {k: v for k, v in opened.content.items() if isinstance(v, Tensor)}
        arrays = opened.tensors(tensors)
        assert opened.content["norms"] == [float(number) for number in norms]
        assert opened.content["size"] == (1, 2)
    assert arrays.keys() == kinds().keys()
    for name, value in kinds().items():
        expected = value.detach()
        expected = expected.float() if expected.dtype == torch.bfloat16 else expected
        assert arrays[name].shape == tuple(expected.shape), name
        assert arrays[name].tobytes() == expected.contiguous().numpy().tobytes(), name
    print(f"{path.name}: {len(arrays)} tensors of every kind agree, {path.stat().st_size} bytes")


def main() -> None:
    """Checks everything, and with --golden renews the committed files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--golden", action="store_true")
    renew = parser.parse_args().golden
    print(f"torch {torch.__version__}, NumPy {np.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for layout, (content, prefix) in layouts().items():
            for container, is_zip in (("zip", True), ("stream", False)):
                path = Path(folder) / f"{layout}_{container}.pth"
                torch.save(content, path, _use_new_zipfile_serialization=is_zip)
                count = compare(path, content["state_dict"], prefix, layout == "unet")
                size = path.stat().st_size / 1e6
                print(f"{path.name}: {count} tensors equal bit for bit, {size:.1f} MB")
                path.unlink()
        objects = {"method": Tag().method, "set": {1, 2}, "device": torch.device("cpu")}
        for container in ("zip", "stream"):
            home = GOLDEN if renew else Path(folder)
            check_kinds(home / f"checkpoint_{container}.pth", container == "stream", objects)
            # A stream holds the source of such a class, so this is not for keeping.
            network = {"network": torch.nn.Linear(2, 1)}
            check_kinds(Path(folder) / f"network_{container}.pth", container == "stream", network)


if __name__ == "__main__":
    main()
