"""Downloads a file, and goes on where an earlier try was cut.

The standard library's urllib does it: pooch, which other tools use, starts over after every cut,
and the weights have hundreds of megabytes.  Certificates are verified, a redirect may not leave
https, and plain http is for this machine only.

A cut download stays as ``NAME.part``; ``NAME.part.json`` holds the server's mark of that version of
the file (ETag or date), so that two versions are never joined.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["Progress", "alone", "discard", "download"]

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and those there will be, None if the server does not say."""

TRIES = 3
TIMEOUT = 30.0
CHUNK = 1 << 18
LIMIT = 8 << 30
"""Bytes after which a download is given up, should a server never stop sending."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to anything less."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check(newurl)
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise urllib.error.URLError(f"it redirects from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        return
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"{url} is not an https address")


def _marks(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _mark(part: Path, url: str) -> str:
    """The server's mark of the version that `part` is a piece of, or nothing."""
    try:
        known = json.loads(_marks(part).read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    if not isinstance(known, dict) or known.get("url") != url:
        return ""
    return str(known.get("mark") or "")


def _remember(part: Path, url: str, headers: Any) -> None:
    tag = headers.get("ETag") or ""
    mark = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified") or ""
    _marks(part).write_text(json.dumps({"url": url, "mark": mark}), "utf-8")


def discard(part: Path) -> None:
    """Removes a download that is done with, whole or not."""
    part.unlink(missing_ok=True)
    _marks(part).unlink(missing_ok=True)


@contextmanager
def alone(part: Path) -> Iterator[BinaryIO]:
    """Opens `part` for one process at a time; its folder is made.

    Raises
    ------
    OSError
        Another process has it, or it cannot be opened.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{part} is being downloaded by another process; wait for it") from None
        yield file


def _opened(url: str, have: int, mark: str) -> Any:
    headers = {"Accept-Encoding": "identity", "User-Agent": "napari-cem"}
    if have and mark:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    request = urllib.request.Request(url, headers=headers)
    return urllib.request.build_opener(_SafeRedirects).open(request, timeout=TIMEOUT)


def _expected(response: Any, have: int) -> tuple[int, int | None]:
    """Where the server starts to send, and how long the whole file is, if it says so."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            raise ConnectionError("the server sends another part of the file than was asked for")
        return have, int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isascii() and length.isdigit() else None


def _write(file: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(part)) from None


def _attempt(url: str, file: BinaryIO, part: Path, progress: Progress | None) -> None:
    """Gets the rest of the file, or all of it, by one request."""
    have = file.seek(0, os.SEEK_END)
    with _opened(url, have, _mark(part, url)) as response:
        have, total = _expected(response, have)
        if have == 0:
            file.truncate(0)
            _remember(part, url, response.headers)
        while chunk := response.read(CHUNK):
            _write(file, chunk, part)
            have += len(chunk)
            if have > LIMIT or (total is not None and have > total):
                file.truncate(0)
                raise ConnectionError("the server sends more than it said")
            if progress:
                progress(have, total)
    if total is not None and have < total:
        raise ConnectionError(f"the connection was cut after {have} of {total} bytes")


def _is_complete(error: urllib.error.HTTPError, file: BinaryIO) -> bool:
    """Whether "range not satisfiable" means that the whole file is there already."""
    size = file.seek(0, os.SEEK_END)
    if error.headers.get("Content-Range") == f"bytes */{size}":
        return True
    file.truncate(0)
    return False


def download(url: str, file: BinaryIO, part: Path, progress: Progress | None = None) -> None:
    """Downloads `url` into `file`, going on after what is in it already.

    Parameters
    ----------
    url : str
        An https address; http is allowed on this machine only.
    file : binary file
        Of ``alone(part)``.  After a failure it keeps what came.
    part : path
        Its path.
    progress : callable, optional
        What it raises ends the download and passes through.

    Raises
    ------
    ValueError
        The address is not https.
    OSError
        The server cannot be reached, does not have the file, or cut the connection three times.
    """
    _check(url)
    reason: object = ""
    for _ in range(TRIES):
        before = file.seek(0, os.SEEK_END)
        try:
            return _attempt(url, file, part, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 416:
                raise OSError(f"{url} answers {error.code} {error.reason}") from None
            if _is_complete(error, file):
                return None
            continue
        except urllib.error.URLError as error:
            reason = error.reason
        except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException) as error:
            reason = error
        if file.seek(0, os.SEEK_END) <= before:
            break
    have = file.seek(0, os.SEEK_END)
    kept = f" ({have} bytes are kept, the next try goes on from there)" if have else ""
    raise OSError(f"{url} could not be downloaded: {reason}{kept}")
