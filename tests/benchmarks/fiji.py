"""Training and segmenting from ImageJ against the same from Python, in the same run.

    python tests/benchmarks/fiji.py [--rounds 3] [--steps 40] [--size 512]

Each round starts ImageJ once, on every JDK and bridge that is found, and times the second call of
each command, as it does in Python. The results have the same bytes (tests/test_fiji_commands.py).
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import tifffile

sys.path.insert(0, str(Path(__file__).parent.parent))

from fiji import ImageJ, bridges, build
from samples import cells, scribbles

from napari_cem.finetuning import Plan, finetune
from napari_cem.segmentation import segment

MACRO = """
setBatchMode(true);
open("{0}/image.tif"); open("{0}/labels.tif");
for (i = 0; i < 2; i++) {{
    start = getTime();
    run("CEM Train...", "image=image.tif labels=labels.tif weights=scratch overwrite steps={1} output={0}/m.safetensors");
    print("train " + (getTime() - start));
    start = getTime();
    run("CEM Segment...", "image=image.tif overwrite model={0}/m.safetensors save={0}/out.tif");
    print("segment " + (getTime() - start));
}}
"""  # noqa: E501


def in_imagej(imagej: ImageJ, folder: Path, steps: int, java: int, kind: str) -> dict[str, float]:
    """Seconds of the second calls."""
    result = imagej.run(MACRO.format(folder, steps), folder, java, f"-Dcem.bridge={kind}")
    assert result.ended, result.output
    return {
        name: int(re.findall(rf"^{name} (\d+)$", result.output, re.M)[1]) / 1000
        for name in ("train", "segment")
    }


def in_python(folder: Path, steps: int) -> dict[str, float]:
    """Seconds of the second calls."""
    plan = Plan("scratch", steps=steps)
    for _ in range(2):
        start = time.perf_counter()
        finetune(folder / "image.tif", folder / "labels.tif", folder / "p.safetensors", plan, True)
        trained = time.perf_counter()
        segment(folder / "image.tif", folder / "p.safetensors", folder / "p.tif", overwrite=True)
        ended = time.perf_counter()
    return {"train": trained - start, "segment": ended - trained}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--size", type=int, default=512)
    chosen = parser.parse_args()
    imagej = build()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, stack in (
            ("image", cells(8, chosen.size)),
            ("labels", scribbles(8, chosen.size)),
        ):
            tifffile.imwrite(folder / f"{file}.tif", stack, imagej=True, metadata={"axes": "ZYX"})
        times: dict[str, list[dict[str, float]]] = {}
        for _ in range(chosen.rounds):
            times.setdefault("Python", []).append(in_python(folder, chosen.steps))
            for java, kind in bridges():
                found = in_imagej(imagej, folder, chosen.steps, java, kind)
                times.setdefault(f"JDK {java}, {kind}", []).append(found)
    print(f"{chosen.steps} steps, then 8 slices of {chosen.size} x {chosen.size}; seconds, medians")
    for work in ("train", "segment"):
        peer = statistics.median(one[work] for one in times["Python"])
        for way, measured in times.items():
            own = statistics.median(one[work] for one in measured)
            print(f"{work:8} {way:12} {own:7.2f}  {own / peer:5.2f} x Python")


if __name__ == "__main__":
    main()
