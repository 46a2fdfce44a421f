"""What a run of curation keeps on disk, and in what form its results are written.

A run works in OUT.partial, which becomes OUT when everything is there.  What a data set's band or
the data set itself gave is one file, put into place by rename, so that a run that was killed goes
on with what is there.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = "settings.json"
WORK = "work"
SHARDS = "patches"
SHARD_PATCHES = 10000


class Store:
    """The folder of a run.

    Parameters
    ----------
    out : path
        Where the results go in the end.
    settings : dict
        What decides the result; a run is only continued if it is the same.
    resume, overwrite : bool
        Go on with a run that did not end; replace results that are there.
    """

    def __init__(
        self, out: Path, settings: dict[str, Any], resume: bool = False, overwrite: bool = False
    ) -> None:
        self.out, self.path = out, out.with_name(out.name + ".partial")
        self.overwrite = overwrite
        if out.exists() and not overwrite:
            raise FileExistsError(f"{out} exists already; add --overwrite to replace it")
        if self.path.exists():
            self._continue(settings, resume)
            return
        made = self.path.with_name(self.path.name + ".new")
        shutil.rmtree(made, ignore_errors=True)
        (made / WORK).mkdir(parents=True)
        (made / SHARDS).mkdir()
        (made / SETTINGS).write_text(json.dumps(settings, indent=1, sort_keys=True))
        made.rename(self.path)

    def _continue(self, settings: dict[str, Any], resume: bool) -> None:
        if not resume:
            raise FileExistsError(
                f"{self.path} is left from a run that did not end; add --resume to go on with it, "
                "or delete it"
            )
        try:
            known = json.loads((self.path / SETTINGS).read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path} has no settings to be read; delete it") from error
        differs = sorted(
            k for k in settings.keys() | known.keys() if settings.get(k) != known.get(k)
        )
        if differs:
            raise ValueError(
                f"{self.path} belongs to a run with other {', '.join(differs)}; delete it, or "
                "repeat that run's command with --resume"
            )

    @property
    def shards(self) -> Path:
        """Where the archives of kept patches lie."""
        return self.path / SHARDS

    @property
    def work(self) -> Path:
        """Where intermediate results lie."""
        return self.path / WORK

    def finish(self) -> None:
        """Removes what is not a result, and puts the folder into place."""
        shutil.rmtree(self.work, ignore_errors=True)
        if self.overwrite and self.out.exists():
            old = self.out.with_name(self.out.name + ".old")
            shutil.rmtree(old, ignore_errors=True)
            self.out.rename(old)
            self.path.rename(self.out)
            shutil.rmtree(old, ignore_errors=True)
        else:
            self.path.rename(self.out)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that is either there in full or not at all."""
    made = path.with_name(f".{path.name}.{os.getpid()}.new")
    with open(made, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)


def write_arrays(path: Path, **arrays: Any) -> None:
    """Writes arrays as one file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def tiff_bytes(pixels: np.ndarray) -> bytes:
    """A uint8 image as an uncompressed TIFF file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="TIFF")
    return buffer.getvalue()


class Archive:
    """A tar archive of patches as TIFF files, which is there in full or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made = path.with_name(f".{path.name}.{os.getpid()}.new")
        self.tar = tarfile.open(self.made, "w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, content: bytes) -> None:
        """Adds a file."""
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self.tar.addfile(entry, io.BytesIO(content))

    def finish(self) -> None:
        """Puts the archive into place."""
        self.tar.close()
        self.made.replace(self.path)

    def close(self) -> None:
        """Removes what was not finished."""
        self.tar.close()
        self.made.unlink(missing_ok=True)


def shard_name(number: int) -> str:
    """The archive that the kept patch `number` is in, counted over all sources."""
    return f"{number // SHARD_PATCHES:05}.tar"


def merge_archives(parts: Iterable[Path], folder: Path) -> None:
    """Writes the files of many archives into shards of one size."""
    count = 0
    shard: Archive | None = None
    try:
        for part in parts:
            with tarfile.open(part) as tar:
                for entry in tar:
                    file = tar.extractfile(entry)
                    if file is None:
                        continue
                    if count % SHARD_PATCHES == 0:
                        if shard is not None:
                            shard.finish()
                        shard = Archive(folder / shard_name(count))
                    assert shard is not None
                    shard.add(entry.name, file.read())
                    count += 1
        if shard is not None:
            shard.finish()
    finally:
        if shard is not None:
            shard.close()


def read_patches(folder: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and pixels of every patch in the archives of a curated folder, in order."""
    from PIL import Image

    for path in sorted((Path(folder) / SHARDS).glob("*.tar")):
        with tarfile.open(path) as archive:
            for entry in archive:
                file = archive.extractfile(entry)
                if file is not None:
                    with Image.open(io.BytesIO(file.read()), formats=("TIFF",)) as image:
                        yield entry.name.removesuffix(".tiff"), np.asarray(image)


def write_manifest(table: Any, folder: Path, kind: str) -> Path:
    """Writes a data frame as manifest.csv or manifest.parquet.

    Raises
    ------
    ValueError
        If Parquet is asked for and pyarrow is not installed.
    """
    path = folder / f"manifest.{kind}"
    buffer = io.BytesIO()
    if kind == "parquet":
        try:
            table.to_parquet(buffer, index=False)
        except ImportError as error:
            raise ValueError(
                "Parquet needs pyarrow; install it with: pip install napari-cem[parquet]"
            ) from error
    else:
        table.to_csv(buffer, index=False)
    write_whole(path, buffer.getvalue())
    return path
