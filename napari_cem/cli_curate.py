"""The command napari-cem curate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_cem.progress import Reporter, reported


class Axes(StrEnum):
    """Sections to take."""

    auto = "auto"
    xy = "xy"
    all = "all"


class Manifest(StrEnum):
    """Formats of the table."""

    csv = "csv"
    parquet = "parquet"


@reported
def curate_command(
    sources: Annotated[
        list[Path], typer.Argument(help="TIFF, PNG, .npy, .zarr, MRC, NRRD, NIfTI, or folders.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    axes: Annotated[
        Axes, typer.Option(help="Sections; auto: all three axes of cubic voxels, else xy.")
    ] = Axes.auto,
    max_distance: Annotated[
        int, typer.Option(min=0, max=64, help="Bits by which near-duplicates differ at most.")
    ] = 12,
    filter: Annotated[
        str, typer.Option(help="builtin, none, or a file of a trained filter.")
    ] = "builtin",
    side: Annotated[int, typer.Option(min=16, max=4096, help="Side of a patch.")] = 224,
    pixel_nm: Annotated[float, typer.Option(min=0, help="Pixel size, if files do not say.")] = 0,
    spacing_nm: Annotated[float, typer.Option(min=0, help="Of slices.")] = 0,
    stacks: Annotated[bool, typer.Option("--stacks", help="A folder is one stack.")] = False,
    manifest: Annotated[Manifest, typer.Option(help="Format of the table.")] = Manifest.csv,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of de-duplication.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Threads; 0 is all cores.")] = 0,
    cluster: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler to run on.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped or killed.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
    *,
    reporter: Reporter,
) -> None:
    """Find the patches worth having: cut, thin, filter, with a report."""
    from napari_cem.curation import curate
    from napari_cem.curation_report import counts

    table = curate(
        sources, out, axes.value, max_distance, filter, side, 0.2, pixel_nm, spacing_nm, seed,
        workers, stacks, manifest.value, resume, overwrite, cluster,
        lambda stage, done, total: reporter.progress(stage, done, total, "part"),
    )  # fmt: skip
    found, failed = counts(table), table.attrs["failed"]
    lines = [f"{value:9,} {name}" for name, value in found.items()]
    lines += [f"skipped {name}: {reason}" for name, reason in failed.items()]
    lines += [f"report:   {out / 'report.html'}", f"manifest: {out / f'manifest.{manifest.value}'}"]
    reporter.result("\n".join(lines), out=out, **found, failed=failed)
