"""Makes the wheel that carries everything beyond glibc.

    python .ci/wheel.py

1. ``pip wheel`` builds it.
2. The libraries that auditwheel would leave to the system (the C++ and GCC run-time, zlib) are laid
   beside libcem, and each library there is told to look beside itself.
3. auditwheel adds the others (libtiff and what it needs, jansson, libgomp), under names of their
   own, and gives the wheel the manylinux tag that its symbols allow.
4. The licences of the added libraries are put with them.

Results: ``dist/*.whl``, and the same libraries in ``build/native/linux-x86_64/``, for a jar.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "wheel"
NATIVE = ROOT / "build" / "native" / "linux-x86_64"
SYSTEM = ("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1")
# What glibc itself is made of.
GLIBC = re.compile(r"(ld-linux|lib(c|m|dl|rt|pthread|util|resolv)\.so)")


def run(*command: str | Path) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def needed(library: Path) -> dict[str, Path]:
    """The libraries that the loader finds for one, glibc's left out."""
    lines = run("ldd", library).splitlines()
    found = dict(re.findall(r"^\s*(\S+) => (\S+)", "\n".join(lines), re.M))
    return {name: Path(path) for name, path in found.items() if not GLIBC.match(name)}


def build() -> Path:
    """The plain wheel, unpacked."""
    for old in (WORK, *(ROOT / "build").glob("lib.*")):
        shutil.rmtree(old, ignore_errors=True)
    WORK.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--wheel-dir", WORK, ".")
    unpacked = WORK / "plain"
    ZipFile(next(WORK.glob("*.whl"))).extractall(unpacked)
    return unpacked


def licence_of(library: Path) -> tuple[str, str]:
    """Debian's package that a system library came from, and its copyright file."""
    for path in (library, library.resolve(), Path(str(library.resolve()).removeprefix("/usr"))):
        done = subprocess.run(["dpkg", "-S", path], check=False, capture_output=True, text=True)
        if not done.returncode:
            package = done.stdout.split(":")[0]
            return package, Path(f"/usr/share/doc/{package}/copyright").read_text()
    raise SystemExit(f"{library} belongs to no Debian package; its licence is not known")


def carry(unpacked: Path) -> None:
    """Adds the system's libraries and all licences, and makes the libraries look beside them."""
    native = unpacked / "napari_cem" / "_native"
    licences = native / "licences"
    licences.mkdir()
    everything = needed(native / "libcem.so") | needed(native / "libdnnl.so.3")
    for name, path in everything.items():
        if path.parent == native:
            continue
        package, text = licence_of(path)
        (licences / f"{package}.txt").write_text(text)
        if name in SYSTEM:
            shutil.copy(path, native / name)
    for file in metadata.files("onednn-cpu-gomp") or []:
        if re.search(r"licen[sc]e|third-party", file.name, re.I):
            shutil.copy(str(file.locate()), licences / f"oneDNN-{file.name}")
    run("strip", "--strip-unneeded", native / "libdnnl.so.3")
    for library in ("libdnnl.so.3", *SYSTEM):
        (native / library).chmod(0o755)
        run("patchelf", "--set-rpath", "$ORIGIN", native / library)
    run("patchelf", "--set-rpath", "$ORIGIN/_native", next(native.parent.glob("_core*.so")))


def pack(unpacked: Path) -> Path:
    """The wheel of a folder, its RECORD written anew."""
    out = WORK / "carrying"
    out.mkdir()
    run(sys.executable, "-m", "wheel", "pack", unpacked, "--dest-dir", out)
    return next(out.glob("*.whl"))


def repair(wheel: Path) -> Path:
    """auditwheel's version of a wheel, in dist/."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    run(sys.executable, "-m", "auditwheel", "repair", wheel, "-w", dist, "--lib-sdir", "/_native")
    return next(dist.glob("*.whl"))


def main() -> None:
    """Makes the wheel and the folder of libraries."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    unpacked = build()
    carry(unpacked)
    wheel = repair(pack(unpacked))
    shutil.rmtree(NATIVE, ignore_errors=True)
    NATIVE.mkdir(parents=True)
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            inside = name.removeprefix("napari_cem/_native/")
            if inside != name and not name.endswith("/"):
                target = NATIVE / inside
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(archive.read(name))
    print(f"{wheel.relative_to(ROOT)}: {wheel.stat().st_size / 2**20:.1f} MiB")
    print(f"{NATIVE.relative_to(ROOT)}: {', '.join(sorted(p.name for p in NATIVE.glob('*.so*')))}")


if __name__ == "__main__":
    main()
