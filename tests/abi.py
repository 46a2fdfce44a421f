"""Where the ABI stands: the header's declarations and the built library."""

from __future__ import annotations

from pathlib import Path

from napari_cem import _core

ROOT = Path(__file__).parent.parent
LIBRARY = Path(_core.__file__).parent / "_native" / "libcem.so"
BEGIN, END = "/* ---- begin ---- */", "/* ---- end ---- */"


def declarations() -> str:
    """The header's text between its two marks."""
    text = (ROOT / "csrc" / "cem.h").read_text()
    return text.split(BEGIN)[1].split(END)[0]
