"""Pre-trained weights: the ones known by name, the cache they are kept in, and their import.

The weights called ``starter`` come with the package (docs/starter.md).

The cache is a folder (``NAPARI_CEM_CACHE``, else the user's cache folder) with a file
``NAME.safetensors`` for each set of weights.  Beside weights that were known by name lies
``NAME.json`` with the SHA-256 of the checkpoint they came from: the authors publish none, so the
first one that comes is recorded, and a later one that differs is refused.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from napari_cem import checkpoint
from napari_cem.conversion import check_free, convert, read_card, sha256
from napari_cem.download import Progress, alone, discard, download

__all__ = [
    "KNOWN",
    "STARTER",
    "Entry",
    "Known",
    "best",
    "cached",
    "fetch",
    "folder",
    "import_file",
    "listing",
    "read_card",
    "resolve",
    "sha256",
]

log = logging.getLogger("napari_cem")

SUFFIX = ".safetensors"
RESERVED = ("scratch", "starter")
STARTER = "starter"
PACKAGED = Path(__file__).with_name(f"{STARTER}{SUFFIX}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ENDINGS = (".tar", ".pth", ".pt", ".ckpt", ".bin", "_pth")


@dataclass(frozen=True)
class Known:
    """Weights that can be fetched by name.

    Attributes
    ----------
    url : str
        Where their checkpoint is published.
    files : tuple of str
        Names that checkpoint goes by; the first is the published one.
    norms : tuple of float
        Mean and deviation of the images they were trained on, in units of 0..1, should the file
        not tell.
    """

    url: str
    files: tuple[str, ...]
    norms: tuple[float, float]


KNOWN: Mapping[str, Known] = {
    "cem500k": Known(
        "https://zenodo.org/record/6453140/files/cem500k_mocov2_resnet50_200ep.pth.tar?download=1",
        (
            "cem500k_mocov2_resnet50_200ep.pth.tar",
            "cem500k_mocov2_resnet50_200ep_pth.tar",
            "cellemnet_filtered_moco_v2_200ep.pth.tar",
        ),
        (0.58331613, 0.09966064),
    ),
    "cem1.5m": Known(
        "https://zenodo.org/record/6453160/files/"
        "cem1.5m_swav_resnet50_200ep_balanced.pth.tar?download=1",
        ("cem1.5m_swav_resnet50_200ep_balanced.pth.tar",),
        (0.575710, 0.127650),
    ),
}
"""Weights by name."""


@dataclass(frozen=True)
class Entry:
    """One line of the list of weights.

    Attributes
    ----------
    name : str
    state : str
        "in the package", "cached", "partly downloaded" or "not in the cache".
    size : int
        Bytes on disk.
    sha256 : str
        Of the checkpoint that the weights came from, or nothing.
    path : Path
        Of the weights in the cache, whether they are there or not.
    """

    name: str
    state: str
    size: int
    sha256: str
    path: Path


def folder() -> Path:
    """The cache; it need not exist yet."""
    chosen = os.environ.get("NAPARI_CEM_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("napari-cem", appauthor=False)


def _place(name: str) -> Path:
    return folder() / f"{name}{SUFFIX}"


def _part(name: str) -> Path:
    return folder() / f"{KNOWN[name].files[0]}.part"


def best() -> str:
    """The best weights that are there without a download: "cem500k", else the starter."""
    return "cem500k" if cached("cem500k") else STARTER


def cached(name: str) -> Path | None:
    """The file of the weights called `name`, if they are in the cache or in the package."""
    if name == STARTER:
        return PACKAGED
    if not NAME.fullmatch(name):
        return None
    path = _place(name)
    return path if path.is_file() else None


def _recorded(name: str) -> str:
    """SHA-256 recorded for the checkpoint of the weights called `name`, or nothing."""
    path = folder() / f"{name}.json"
    try:
        return str(json.loads(path.read_text("utf-8"))["sha256"])
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged; remove it") from None


def _check_hash(name: str, digest: str) -> None:
    known = _recorded(name)
    if known and known != digest:
        raise ValueError(
            f"the checkpoint of {name} has the SHA-256 {digest}, but {known} was recorded; if it "
            f"may have changed, remove {folder() / f'{name}.json'}"
        )


def _record(name: str, url: str, size: int, digest: str) -> None:
    path = folder() / f"{name}.json"
    text = json.dumps({"name": name, "url": url, "size": size, "sha256": digest}, indent=1)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text + "\n", "utf-8")
    temporary.replace(path)


def _convert(path: Path, target: Path, name: str, digest: str) -> None:
    """Writes the weights in the checkpoint `path` to `target`."""
    found = checkpoint.read(path)
    norms = found.norms
    if norms is None:
        norms = KNOWN[name].norms if name in KNOWN else KNOWN["cem500k"].norms
        log.warning(
            "%s does not tell the mean and deviation of its images; taking %g and %g", path, *norms
        )
    convert(found, target, name, digest, norms)


def _name_of(path: Path) -> str:
    """The name that the weights in a checkpoint go by."""
    for name, known in KNOWN.items():
        if path.name in known.files:
            return name
    stem = path.name
    while stem.endswith(ENDINGS):
        stem = stem.removesuffix(next(ending for ending in ENDINGS if stem.endswith(ending)))
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("._-")
    return stem if stem and stem not in RESERVED else "imported"


def import_file(path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Converts a PyTorch checkpoint to a file of weights, or to a model if it holds a whole U-Net.

    Parameters
    ----------
    path : path
        The checkpoint (see `napari_cem.checkpoint.read`).
    out : path, optional
        The .safetensors file to write; by default one in the cache, under the name of the
        published weights if `path` is called as they are, else under its own.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    ValueError
        The checkpoint does not hold these weights, or is not the one recorded for its name.
    OSError
        A file cannot be read or written, or `out` exists.
    """
    path = Path(path)
    name = _name_of(path)
    target = Path(out) if out is not None else _place(name)
    check_free(target)
    digest = sha256(path)
    known = out is None and name in KNOWN
    if known:
        _check_hash(name, digest)
    _convert(path, target, name, digest)
    if known:
        _record(name, KNOWN[name].url, path.stat().st_size, digest)
    return target


def fetch(name: str, progress: Progress | None = None, base_url: str | None = None) -> Path:
    """Downloads weights into the cache, unless they are there.

    Parameters
    ----------
    name : str
        A key of `KNOWN`.
    progress : callable, optional
        Called with the bytes downloaded so far and in all; what it raises ends the download, which
        a later call goes on with.
    base_url : str, optional
        A folder on another server that holds the published file.

    Returns
    -------
    Path
        The .safetensors file in the cache.

    Raises
    ------
    ValueError
        The name is unknown; or what came is not the weights, or not what came the first time.
    OSError
        The download failed; the line says how to do it by hand.
    """
    if name not in KNOWN:
        raise ValueError(f"{name} is not known; what can be fetched: {', '.join(KNOWN)}")
    there = cached(name)
    if there:
        return there
    known = KNOWN[name]
    url = f"{base_url.rstrip('/')}/{known.files[0]}" if base_url else known.url
    part = _part(name)
    with alone(part) as file:
        there = cached(name)
        if there:
            return there
        try:
            download(url, file, part, progress)
        except OSError as error:
            if error.errno is not None:
                raise
            raise OSError(
                f"{error}; by hand: download {known.url} and run: napari-cem weights import FILE"
            ) from None
        try:
            digest = sha256(part)
            _check_hash(name, digest)
            _convert(part, _place(name), name, digest)
        except ValueError as error:
            discard(part)
            raise ValueError(f"what {url} sent is refused: {error}") from None
        _record(name, url, part.stat().st_size, digest)
        discard(part)
    return _place(name)


def resolve(name: str | os.PathLike[str], progress: Progress | None = None) -> Path:
    """The file for a name or a path that a user gave.

    Parameters
    ----------
    name : str or path
        "starter"; a key of `KNOWN`, which is fetched if it is not in the cache; a .safetensors
        file; or the name of imported weights.
    progress : callable, optional
        As for `fetch`.

    Raises
    ------
    ValueError
        It is a file of another kind.
    OSError
        There is no such thing, or it cannot be fetched; the line says what to do.
    """
    text = os.fspath(name)
    if text in KNOWN:
        return fetch(text, progress)
    path = Path(text)
    if path.is_file():
        read_card(path)
        return path
    there = cached(text)
    if there:
        return there
    names = [entry.name for entry in listing()]
    raise FileNotFoundError(f"{text} is neither a file nor the name of weights: {', '.join(names)}")


def _entry(name: str) -> Entry:
    path = cached(name) or _place(name)
    if path.is_file():
        try:
            digest = str((read_card(path).get("base") or {}).get("sha256") or "")
        except (ValueError, AttributeError):
            digest = ""
        state = "in the package" if path == PACKAGED else "cached"
        return Entry(name, state, path.stat().st_size, digest, path)
    part = _part(name)
    if part.is_file() and part.stat().st_size:
        return Entry(name, "partly downloaded", part.stat().st_size, "", path)
    return Entry(name, "not in the cache", 0, "", path)


def listing() -> list[Entry]:
    """The starter, the weights known by name, then the imported ones."""
    imported = sorted(
        path.name.removesuffix(SUFFIX)
        for path in folder().glob(f"*{SUFFIX}")
        if NAME.fullmatch(path.name)
    )
    known = [STARTER, *KNOWN]
    return [_entry(name) for name in [*known, *(n for n in imported if n not in known)]]
