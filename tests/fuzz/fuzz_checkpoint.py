"""Fuzzes the checkpoint reader.

    python tests/fuzz/fuzz_checkpoint.py [--seconds 60] [--seed 0] [--plain] [FILE ...]

An input is a whole file, or a pickle that is put into one.  Whatever it is, reading it must give
tensors or one line of ValueError, within seconds, and must not do anything else: an audit hook of
Python watches for imports, calls of compiled code, processes, sockets and opened files.

With atheris the search is guided by coverage; without it, or with --plain, the seeds are mutated
blindly.  FILE replays inputs, such as a crash.  Exit status 1 means that an input was found.
"""

from __future__ import annotations

import argparse
import codecs
import io
import os
import pickle
import random
import struct
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

try:
    import atheris
except ImportError:
    atheris = None

if atheris:
    with atheris.instrument_imports(include=["napari_cem", "pickletools", "zipfile"]):
        from napari_cem import archive, checkpoint
else:
    from napari_cem import archive, checkpoint

import checkpoints  # noqa: E402
import numpy as np  # noqa: E402

from napari_cem.torch_objects import Tensor  # noqa: E402

FORBIDDEN = (
    "import",
    "exec",
    "compile",
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "pickle.",
    "ctypes.",
)
SLOW = 10.0
watching = False


def _watch(event: str, arguments: object) -> None:
    if watching and event.startswith(FORBIDDEN):
        raise AssertionError(f"reading a checkpoint caused {event} {arguments!r:.200}")


def file_of(data: bytes) -> bytes:
    """The checkpoint for an input: its first byte says what the rest is."""
    kind, rest = data[:1], data[1:]
    if kind == b"z":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as zipped:
            zipped.writestr("a/data.pkl", rest)
            for key in range(3):
                zipped.writestr(f"a/data/{key}", bytes(range(64)))
        return buffer.getvalue()
    if kind == b"s":
        dump = checkpoints.Pickler().dump
        storages = b"".join(struct.pack("<q", 8) + bytes(range(32)) for _ in range(2))
        head = dump(checkpoints.MAGIC) + dump(1001) + dump({})
        return head + rest + dump(["0", "1"]) + storages
    return data


def read(data: bytes) -> None:
    """Reads an input in every way, and allows nothing but a ValueError of one line."""
    global watching
    stream = io.BufferedReader(io.BytesIO(file_of(data)))  # type: ignore[arg-type]
    start = time.monotonic()
    watching = True
    try:
        content = archive.open_archive(stream)
        if isinstance(content.content, dict):
            named = {str(k)[:40]: v for k, v in content.content.items() if isinstance(k, str)}
            content.tensors({k: v for k, v in named.items() if isinstance(v, Tensor)})
        checkpoint.read_stream(stream)
    except ValueError as error:
        text = str(error)
        assert "\n" not in text and len(text) < 1000, text
    finally:
        watching = False
    assert time.monotonic() - start < SLOW, "reading took too long"


def seeds() -> list[bytes]:
    """Small inputs of every kind."""
    dump = checkpoints.Pickler().dump
    golden = sorted((ROOT / "tests" / "golden").glob("checkpoint_*.pth"))
    found = [path.read_bytes() for path in golden]
    numbers = np.arange(8, dtype=np.float32)
    saved = checkpoints.Saved(numbers, (2, 4), (4, 1), key="0")
    contents = [
        {"a": saved, "b": [1, 2.5, None, True, "x", b"y"], "norms": [0.5, 0.1]},
        {"state_dict": {"conv1.weight": saved}, "optimizer": checkpoints.Call("a b", (1,), {})},
        {"state_dict": checkpoints.canary("/nonexistent/canary")},
        checkpoints.Call("collections OrderedDict", ([["a", 1]],)),
    ]
    for content in contents:
        found += [b"z" + dump(content), b"s" + checkpoints.Pickler(stream=True).dump(content)]
    found += [b"z" + pickle.dumps({"a": [1, 2.5, "x", b"y", (), {3}]}, p) for p in range(6)]
    # Complete sets of names: here a mutation can reach the numbers.
    small = checkpoints.small()
    found.append(b"z" + dump({"state_dict": dict(list(small["state_dict"].items())[:20])}))
    found.append(b"z" + dump(small))
    return found


OPCODES = b"()0.12BCFGIJKLMNOPQRSTUVX]abcdeghijloqrstu}\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a"
INTERESTING = (0, 1, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)


def mutated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """`data` with one to eight random changes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                changed[at:at] = bytes(chance.choices(OPCODES, k=chance.randint(1, 4)))
            case 2:
                del changed[at : at + chance.randint(1, 16)]
            case 3:
                size = chance.choice((1, 2, 4, 8))
                number = chance.choice(INTERESTING) % 256**size
                changed[at : at + size] = number.to_bytes(size, chance.choice(("little", "big")))
            case 4:
                start = chance.randrange(len(other))
                changed[at:at] = other[start : start + chance.randint(1, 64)]
            case 5:
                start = chance.randrange(len(changed) + 1)
                part = changed[start : start + chance.randint(1, 32)]
                changed[at:at] = part * chance.choice((1, 2, 50))
    return bytes(changed[: 1 << 16])


def plainly(seconds: float, seed: int) -> None:
    """Mutates the seeds until the time is over."""
    chance = random.Random(seed)
    known = seeds()
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        data = mutated(chance.choice(known), chance.choice(known), chance)
        try:
            read(data)
        except BaseException:
            crash = ROOT / "build" / "corpus" / "crash-checkpoint"
            crash.parent.mkdir(parents=True, exist_ok=True)
            crash.write_bytes(data)
            print(f"the input is in {crash}", file=sys.stderr)
            raise
        count += 1
    print(f"{count} mutated checkpoints in {seconds:g} s, nothing found")


def guided(seconds: int, seed: int) -> None:
    """Lets atheris search; it ends the process."""
    corpus = ROOT / "build" / "corpus" / "checkpoint"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(data)
    flags = [
        f"-max_total_time={seconds}",
        f"-seed={seed + 1}",
        f"-timeout={SLOW:.0f}",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        f"-artifact_prefix={corpus.parent}{os.sep}",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], read)
    atheris.Fuzz()


def main() -> None:
    """Replays files, or fuzzes for the time given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    for data in seeds():
        read(data)
    for name in ("ascii", "cp437", "latin-1", "raw-unicode-escape", "utf-8"):
        codecs.lookup(name)
    sys.addaudithook(_watch)
    for path in options.files:
        read(path.read_bytes())
    if options.files:
        return
    if atheris and not options.plain:
        guided(options.seconds, options.seed)
    else:
        plainly(options.seconds, options.seed)


if __name__ == "__main__":
    main()
