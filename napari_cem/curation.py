"""Curation: from raw images and volumes to the patches worth having."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cem import _core, curation_report
from napari_cem.curation_patches import Band
from napari_cem.curation_sources import Source, find_sources, open_source
from napari_cem.curation_store import (
    SHARD_PATCHES,
    Store,
    merge_archives,
    shard_name,
    write_manifest,
)
from napari_cem.curation_tasks import (
    Result,
    Settings,
    archive_file,
    bands,
    examine_band,
    finish_dataset,
    table_of,
)

MOST_WAITING = 4

log = logging.getLogger("napari_cem")


class Runner:
    """Runs tasks in threads of this process, or on a Dask cluster.

    Parameters
    ----------
    workers : int
        Threads, 0 for all cores; ignored with a cluster.
    cluster : str, optional
        Address of a Dask scheduler whose workers see the same files.
    """

    def __init__(self, workers: int = 0, cluster: str | None = None) -> None:
        self.cluster: Any = None
        self.workers = workers or _core.cores()
        if cluster is None:
            self.pool: Any = ThreadPoolExecutor(self.workers)
            return
        try:
            from distributed import Client
        except ImportError as error:
            raise ValueError(
                "a cluster needs Dask; install it with: pip install napari-cem[distributed]"
            ) from error
        self.cluster = Client(cluster)  # type: ignore[no-untyped-call]
        self.workers = max(1, sum(self.cluster.ncores().values()))
        self.pool = self.cluster.get_executor(pure=False, retries=2)

    def run(self, tasks: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, Future[Any]]]:
        """Runs (key, function, arguments...) and yields keys and futures as they are done."""
        running: dict[Future[Any], Any] = {}
        more = True
        while running or more:
            while more and len(running) < MOST_WAITING * self.workers:
                task = next(tasks, None)
                more = task is not None
                if task is not None:
                    running[self.pool.submit(*task[1:])] = task[0]
            if running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future

    def close(self, cancel: bool) -> None:
        """Ends the threads, without what was not begun if `cancel`."""
        if self.cluster is not None:
            self.cluster.close()
        else:
            self.pool.shutdown(wait=True, cancel_futures=cancel)


@dataclass
class Run:
    """A run of curation.

    Attributes
    ----------
    plan : dict of str to list of Band
    failed : dict of str to str
        What was wrong with data sets that were skipped.
    results : dict of str to Result
    """

    sources: list[Source]
    settings: Settings
    work: Path
    runner: Runner
    progress: Callable[[str, int, int], None]
    plan: dict[str, list[Band]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)

    def fail(self, source: str, error: BaseException) -> None:
        """Skips a data set, and says why."""
        if not isinstance(error, ValueError | OSError | MemoryError):
            raise error
        if source not in self.failed:
            self.failed[source] = " ".join(str(error).split()) or type(error).__name__
            log.warning("skipped %s: %s", source, self.failed[source])

    def make_plan(self) -> None:
        """Opens every data set once."""
        for source in self.sources:
            try:
                volume = open_source(source)
            except (ValueError, OSError) as error:
                self.fail(source.name, error)
                continue
            for note in volume.notes:
                log.info("%s", note)
            self.plan[source.name] = bands(volume, self.settings)
            volume.close()

    def examine(self) -> None:
        """Cuts, hashes and scores."""
        total = sum(map(len, self.plan.values()))
        threads = max(1, self.runner.workers // max(total, 1))
        done = 0

        def tasks() -> Iterator[tuple[Any, ...]]:
            for source in self.sources:
                for band in self.plan.get(source.name, ()):
                    if source.name not in self.failed:
                        yield (
                            source.name, examine_band, source, band, self.settings, self.work,
                            threads,
                        )  # fmt: skip

        self.progress("cutting", 0, total)
        for name, future in self.runner.run(tasks()):
            error = future.exception()
            if error is not None:
                self.fail(name, error)
            done += 1
            self.progress("cutting", done, total)

    def finish(self) -> None:
        """Thins, filters and writes."""
        left = [s for s in self.sources if s.name in self.plan and s.name not in self.failed]
        threads = max(1, self.runner.workers // max(len(left), 1))
        tasks = ((s.name, finish_dataset, s, self.settings, self.work, threads) for s in left)
        self.progress("choosing", 0, len(left))
        for done, (name, future) in enumerate(self.runner.run(tasks), 1):
            error = future.exception()
            if error is None:
                self.results[name] = future.result()
            else:
                self.fail(name, error)
            self.progress("choosing", done, len(left))

    def table(self) -> Any:
        """The manifest."""
        import pandas as pd

        parts = [table_of(s, self.results[s.name]) for s in self.sources if s.name in self.results]
        if not parts:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.failed.items())
            raise ValueError(f"no source could be read: {reasons}")
        table = pd.concat(parts, ignore_index=True)
        place = table["kept"].cumsum() - 1
        names = [shard_name(SHARD_PATCHES * k) for k in range(len(table) // SHARD_PATCHES + 1)]
        shards = pd.Categorical.from_codes(place.clip(lower=0) // SHARD_PATCHES, names)
        table["shard"] = pd.Series(shards).astype(object).where(table["kept"], "")
        table.attrs["failed"] = dict(self.failed)
        return table

    def ordered(self) -> dict[str, Result]:
        """The results in the order of the sources."""
        return {s.name: self.results[s.name] for s in self.sources if s.name in self.results}


def curate(
    sources: Any,
    out: str | Path | None = None,
    axes: str = "auto",
    max_distance: int = 12,
    filter: str = "builtin",
    side: int = 224,
    anisotropy: float = 0.2,
    pixel_nm: float = 0.0,
    spacing_nm: float = 0.0,
    seed: int = 0,
    workers: int = 0,
    stacks: bool = False,
    manifest: str = "csv",
    resume: bool = False,
    overwrite: bool = False,
    cluster: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Any:
    """Finds the patches worth having in images and volumes.

    Parameters
    ----------
    sources : path, array, or list of them
        TIFF, PNG, .npy, zarr, MRC, NRRD, NIfTI; of a folder every image and volume in it.
    out : str or path, optional
        A folder to make: the patches, the manifest and a report; without it only the table.
    axes : {"auto", "xy", "all"}
        Sections across z, or across all three axes; "auto" is all where voxels are known to be
        nearly cubic.
    max_distance : int
        Hashes that differ in at most so many bits are those of near-duplicates.
    filter : str
        "builtin", "none", or a file that `informative.Filter.save` wrote.
    side : int
        Of a patch.
    anisotropy : float
        The limit of |pixel - spacing| / pixel for "auto".
    pixel_nm, spacing_nm : float
        Side of a pixel and distance of slices; 0 for what the sources say.
    seed : int
        Of the order in which near-duplicates are looked for.
    workers : int
        Threads, 0 for all cores; the result does not depend on it.
    stacks : bool
        A folder is one stack of slices.
    manifest : {"csv", "parquet"}
    resume, overwrite : bool
        Go on with a run to the same `out` that did not end; replace an earlier result.
    cluster : str, optional
        Address of a Dask scheduler whose workers see the same files.
    progress : callable, optional
        Called with the name of a stage, how much of it is done, and how much there is.

    Returns
    -------
    pandas.DataFrame
        A row a patch: name, source, axis, slice, box, hash, exemplar, score, kept, shard.
        ``table.attrs["failed"]`` has the sources that were skipped, and why.

    Raises
    ------
    ValueError
        If there is nothing to curate, or a setting is out of range.
    OSError
        If a path does not exist, or the results cannot be written.
    """
    filter = filter if filter in ("builtin", "none") else str(Path(filter).resolve())
    settings = Settings(
        axes, side, max_distance, anisotropy, filter, seed, pixel_nm, spacing_nm
    )  # fmt: skip
    settings.check()
    settings.judge()
    if manifest not in ("csv", "parquet"):
        raise ValueError(f"manifest is {manifest!r}; it must be csv or parquet")
    found = find_sources(sources, stacks)
    report = progress or (lambda stage, done, total: None)
    if out is None:
        with tempfile.TemporaryDirectory(prefix="napari-cem-") as folder:
            return carry_out(found, settings, Path(folder), workers, cluster, report).table()
    identity = {
        **settings.as_dict(),
        "version": _core.version(),
        "sources": [[s.name, str(s.content) if isinstance(s.content, Path) else ""] for s in found],
    }
    store = Store(Path(out), identity, resume, overwrite)
    run = carry_out(found, settings, store.work, workers, cluster, report)
    table, results = run.table(), run.ordered()
    merge_archives((archive_file(store.work, name) for name in results), store.shards)
    write_manifest(table, store.path, manifest)
    curation_report.write(store.path, table, results, run.failed, settings)
    store.finish()
    return table


def carry_out(
    found: list[Source],
    settings: Settings,
    work: Path,
    workers: int,
    cluster: str | None,
    progress: Callable[[str, int, int], None],
) -> Run:
    """Runs all tasks."""
    runner = Runner(workers, cluster)
    run = Run(found, settings, work.resolve(), runner, progress)
    ended = False
    try:
        run.make_plan()
        run.examine()
        run.finish()
        ended = True
    finally:
        runner.close(cancel=not ended)
    return run
