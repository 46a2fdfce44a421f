"""The layers of csrc/: a file includes only what stands on a lower line, or its own part's headers.

A part may be several files: ``trainer_batch.c`` belongs to ``trainer``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).parent.parent / "csrc"
LAYERS = [
    {"error", "memory", "random", "cpu"},
    {"pool", "pixels", "arena", "handle", "output"},
    {"network", "onednn", "safetensors", "tiff", "tiling", "statistics", "contrast", "planes"},
    {"eight_bit", "hamming", "informative", "patches", "resize"},
    {"deduplicate", "dhash"},
    {"schedule", "loss", "optimizer", "augment", "strokes", "feature_store"},
    {"kernel", "card"},
    {"kernels/floats", "kernels/simd"},
    {"kernels/lanes", "kernels/doubling_pack", "kernels/winograd_pack"},
    {
        "kernels/add",
        "kernels/conv_onednn",
        "kernels/doubling",
        "kernels/maxpool",
        "kernels/norm",
        "kernels/upconv_onednn",
        "kernels/winograd",
    },
    {"model"},
    {"op"},
    {"program"},
    {"engine"},
    {"predict"},
    {"trainer"},
    {"api"},
]
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}
FILES = sorted(path for path in CSRC.rglob("*.[ch]") if path.name != "cem.h")


def part_of(name: str) -> str:
    """The part that a file belongs to, by its path in csrc/ without the ending."""
    parts = [part for part in HEIGHT if name == part or name.startswith(f"{part}_")]
    assert parts, f"{name} belongs to no layer"
    return max(parts, key=len)


def name_of(path: Path) -> str:
    """The path of a file in csrc/ without its ending."""
    return path.relative_to(CSRC).with_suffix("").as_posix()


def includes(path: Path) -> list[str]:
    """Our own headers that a file includes, as paths in csrc/ without the ending."""
    names = re.findall(r'#include "([\w/]+)\.h"', path.read_text())
    beside = path.parent.relative_to(CSRC)
    return [
        (beside / name).as_posix() if (path.parent / f"{name}.h").exists() else name
        for name in names
        if name != "cem"
    ]


def users_of(header: str) -> set[str]:
    """The files that include a system header."""
    pattern = re.compile(rf"#include [<\"]([\w/]*/)?{re.escape(header)}[>\"]")
    return {name_of(path) for path in FILES if pattern.search(path.read_text())}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_includes_point_downwards(path: Path) -> None:
    mine = part_of(name_of(path))
    for name in includes(path):
        other = part_of(name)
        assert HEIGHT[other] < HEIGHT[mine] or other == mine or other in ("error", "memory"), (
            f"{path.name} includes {name}.h"
        )


def test_every_part_of_a_layer_exists() -> None:
    assert {part_of(name_of(path)) for path in FILES} == set(HEIGHT)


def test_one_part_knows_each_foreign_library() -> None:
    assert users_of("dnnl.h") == {"onednn"}
    assert {part_of(name) for name in users_of("tiffio.h")} == {"tiff"}
    assert {part_of(name) for name in users_of("jansson.h")} == {"card", "safetensors"}


def test_memory_comes_from_one_file() -> None:
    call = re.compile(r"(?<!\w)(malloc|calloc|realloc|aligned_alloc|strdup|strndup)\(")
    users = {name_of(path) for path in FILES if call.search(path.read_text())}
    assert users == {"memory"}
