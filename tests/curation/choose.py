"""Chooses the patches to be labelled, and draws contact sheets of them to label them by.

    python tests/curation/choose.py --data FOLDER --sheets FOLDER

Writes ``train.txt`` and ``test.txt`` beside this file if they are not there: a line a patch, each
beginning with ``?`` until somebody has put 1 (worth having) or 0 there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from patches import MADE, SIDE, file_of, pixels_of

from napari_cem import _core
from napari_cem.curation_sources import Source, open_source

HERE = Path(__file__).parent
COLUMNS, CELL = 10, 118

TEST = {
    "b_dev/epfl_training/raw_80x512x512.tif": 56,
    "b_dev/vnc_stack1/raw_20x1024x1024.tif": 56,
    "b_dev/isbi2012/raw_30x512x512.tif": 40,
    "b_dev/axon_sem/images/*.png": 64,
    "d_pool/fly_medulla_val/raw_48x520x520.tif": 30,
    "d_pool/vnc_stack2/*.tif": 30,
    "d_pool/cem_occlusion/*.tiff": 10,
    "d_pool/isbi_test/*.png": 16,
    "d_pool/omniem_examples/*.tif": 4,
    "d_pool/emps_materials_ood/*.png": 94,
}
TRAIN = {
    "a_sample/fly_medulla_fibsem/raw_64x250x250.tif": 16,
    "a_sample/celegans_em/raw_21x256x256.tif": 24,
    "a_sample/er_tem/image.tif": 60,
    "a_sample/axon_tem/images/*.png": 48,
    "a_sample/cem_examples/images/*.png": 8,
    "e_open/fly_medulla_1_raw_250x250x250.tif": 22,
    "e_open/fly_medulla_2_raw_250x250x250.tif": 22,
}
PHOTOGRAPHS = [
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png",
    "coins.png", "color.png", "grass.png", "gravel.png", "moon.png",
    "motorcycle_left.png", "page.png", "phantom.png", "text.png",
]  # fmt: skip


def windows(pattern: str, count: int, data: Path, random: np.random.Generator, cut: bool) -> list:
    """Lines of `count` different patches of the files of a pattern; without `cut` anywhere."""
    files = sorted(data.glob(pattern)) if not pattern.startswith("skimage/") else [Path(pattern)]
    lines = []
    for file in files:
        name = pattern if pattern.startswith("skimage/") else file.relative_to(data).as_posix()
        depth, height, width = open_source(Source("image", file_of(name, data))).shape
        for page in range(depth):
            if cut:
                rows, columns = _core.patches_along(height, SIDE), _core.patches_along(width, SIDE)
                lines += [
                    f"{name} {page} {SIDE * y} {SIDE * x} {min(SIDE, height - SIDE * y)} "
                    f"{min(SIDE, width - SIDE * x)}"
                    for y in range(rows)
                    for x in range(columns)
                ]
                continue
            for _ in range(-(-3 * count // (depth * len(files)))):
                h, w = (min(int(random.integers(112, 225)), s) for s in (height, width))
                top, left = random.integers(height - h + 1), random.integers(width - w + 1)
                lines.append(f"{name} {page} {top} {left} {h} {w}")
    chosen = random.permutation(len(lines))[:count]
    return [lines[i] for i in sorted(chosen)]


def choose(data: Path) -> None:
    """Writes the two lists."""
    random = np.random.default_rng(0)
    test = [line for pattern, n in TEST.items() for line in windows(pattern, n, data, random, True)]
    train = [
        line for pattern, n in TRAIN.items() for line in windows(pattern, n, data, random, False)
    ]
    photographs = []
    for name in PHOTOGRAPHS:
        photographs += windows(f"skimage/{name}", 6, data, random, False)
    made = [f"0 made {kind} {n}" for kind in MADE for n in range(MORE.get(kind, 60))]
    (HERE / "test.txt").write_text("".join(f"? {line}\n" for line in test))
    lines = [f"? {line}" for line in train] + [f"0 {line}" for line in photographs] + made
    (HERE / "train.txt").write_text("".join(f"{line}\n" for line in lines))


MORE = {"particles": 400}


def sheet(lines: list[str], data: Path, first: int) -> object:
    """A contact sheet of up to 100 patches, with their numbers."""
    from PIL import Image, ImageDraw

    rows = -(-len(lines) // COLUMNS)
    picture = Image.new("L", (COLUMNS * CELL, rows * CELL), 255)
    draw = ImageDraw.Draw(picture)
    for i, line in enumerate(lines):
        x, y = i % COLUMNS * CELL, i // COLUMNS * CELL
        patch = Image.fromarray(pixels_of(line.split(maxsplit=1)[1], data))
        patch.thumbnail((CELL - 4, CELL - 4))
        picture.paste(patch, (x, y))
        draw.rectangle((x, y, x + 26, y + 11), 0)
        draw.text((x + 2, y), f"{first + i}", 255)
    return picture


def main() -> None:
    """Lists and sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--sheets", type=Path, default=Path("build/sheets"))
    options = parser.parse_args()
    if not (HERE / "test.txt").exists():
        choose(options.data)
    options.sheets.mkdir(parents=True, exist_ok=True)
    for name in ("test", "train"):
        lines = (HERE / f"{name}.txt").read_text().splitlines()
        for first in range(0, len(lines), 100):
            picture = sheet(lines[first : first + 100], options.data, first)
            picture.save(options.sheets / f"{name}-{first:04}.png")


if __name__ == "__main__":
    main()
