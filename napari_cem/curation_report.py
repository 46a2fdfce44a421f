"""The report of a run of curation: one HTML page of counts and contact sheets."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np

from napari_cem.curation_store import write_whole

STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 74em; padding: 0 1em;
       color: #222; background: #fff }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .2em .9em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
h2 { margin-top: 2.5em; border-top: 2px solid #ddd; padding-top: .6em }
h3 { margin: 1.2em 0 .2em }
img { max-width: 100%; image-rendering: auto }
.failed { color: #a00 }
"""
COLUMNS = 12
GAP = 4
LINE = 12
MOST = 120
SMALL = 64
SECTIONS = 40


def picture(squares: np.ndarray, captions: list[str], pairs: bool = False) -> str:
    """Thumbnails with captions under them as an <img>; pairs stand close together."""
    from PIL import Image, ImageDraw

    side = squares.shape[1]
    columns = min(COLUMNS, len(squares))
    rows = -(-len(squares) // columns)
    sheet = Image.new("L", (columns * (side + GAP), rows * (side + GAP + LINE)), 255)
    draw = ImageDraw.Draw(sheet)
    for i, (square, caption) in enumerate(zip(squares, captions, strict=True)):
        x, y = i % columns * (side + GAP), i // columns * (side + GAP + LINE)
        if pairs and i % 2:
            x -= GAP
        sheet.paste(Image.fromarray(square), (x, y))
        draw.text((x, y + side), caption, 0)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="contact sheet" src="data:image/png;base64,{code}">'


def sheet_of(results: list[Any], kind: str) -> str:
    """The contact sheet of what was kept or rejected, with scores."""
    squares = np.concatenate([result.sheets[kind] for result in results])[:MOST]
    if not len(squares):
        return "<p>none</p>"
    scores = np.concatenate([r.patches["score"][r.sheets[f"{kind}_numbers"]] for r in results])
    return picture(squares, [f"{score:.2f}" for score in scores[:MOST]])


def duplicates_of(results: list[Any]) -> str:
    """Duplicates, each to the right of its exemplar, with the bits in which they differ."""
    pairs, captions = [], []
    for result in results:
        hashes = result.patches["hash"]
        numbers = (result.sheets["duplicates_numbers"], result.sheets["exemplars_numbers"])
        for bits in (hashes[numbers[0]] ^ hashes[numbers[1]]).tolist():
            captions += ["exemplar", f"duplicate, {bits.bit_count()} bits"]
        two = np.stack([result.sheets["exemplars"], result.sheets["duplicates"]], axis=1)
        pairs.append(two.reshape(-1, *two.shape[2:]))
    squares = np.concatenate(pairs)[:MOST]
    return picture(squares, captions[:MOST], pairs=True) if len(squares) else "<p>none</p>"


def sections(results: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """What the page shows under one heading: a large data set, or all the small ones."""
    large = [(name, [result]) for name, result in results.items() if len(result.patches) > SMALL]
    small = [result for result in results.values() if len(result.patches) <= SMALL]
    found = large[:SECTIONS]
    return [*found, (f"{len(small)} small sources together", small)] if small else found


def counts(table: Any) -> dict[str, int]:
    """Patches at each stage."""
    own = table["name"] == table["exemplar"]
    return {
        "patches": len(table),
        "exemplars": int(own.sum()),
        "duplicates": int((~own).sum()),
        "rejected": int((own & ~table["kept"]).sum()),
        "kept": int(table["kept"].sum()),
    }


def count_table(table: Any) -> str:
    """The counts of every source, and of all."""
    groups = [(str(name), counts(part)) for name, part in table.groupby("source", sort=False)]
    rows = [*groups, ("all", counts(table))]
    head = "".join(f"<th>{name}</th>" for name in ("source", *rows[0][1]))
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(f"<td>{value:,}</td>" for value in row.values())
        + "</tr>"
        for name, row in rows
    )
    return f"<table><tr>{head}</tr>{lines}</table>"


def page(table: Any, results: dict[str, Any], failed: dict[str, str], settings: Any) -> str:
    """The page."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Curation</title>",
        f"<style>{STYLE}</style></head><body><h1>Curation</h1>",
        f"<p>Patches of {settings.side} pixels, sections: {settings.axes}; near-duplicates differ "
        f"in at most {settings.max_distance} of 64 bits; filter: "
        f"{html.escape(Path(settings.filter).name)}; seed {settings.seed}.</p>",
        count_table(table),
    ]
    if failed:
        items = "".join(
            f"<li><b>{html.escape(k)}</b>: {html.escape(v)}</li>" for k, v in failed.items()
        )
        parts.append(f"<div class='failed'><h3>Skipped</h3><ul>{items}</ul></div>")
    for name, shown in sections(results):
        parts += [
            f"<h2>{html.escape(name)}</h2>",
            "<h3>Kept, with their scores</h3>",
            sheet_of(shown, "kept"),
            "<h3>Duplicates beside their exemplars</h3>",
            duplicates_of(shown),
            "<h3>Rejected, with their scores</h3>",
            sheet_of(shown, "rejected"),
        ]
    return "\n".join([*parts, "</body></html>"])


def write(
    folder: Path, table: Any, results: dict[str, Any], failed: dict[str, str], settings: Any
) -> Path:
    """Writes report.html."""
    path = folder / "report.html"
    write_whole(path, page(table, results, failed, settings).encode())
    return path
