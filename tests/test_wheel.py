"""The wheel in a root file system that has glibc and Python and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.long

GLIBC = [f"lib{name}" for name in ("m.so.6", "dl.so.2", "pthread.so.0", "rt.so.1", "util.so.1")]

# Without NumPy and without the extension: what Java has to do, too.
LIBRARY_ALONE = """
import ctypes, struct
cem = ctypes.CDLL("/native/libcem.so")
cem.cem_last_error.restype = cem.cem_version.restype = ctypes.c_char_p
def must(status):
    assert status == 0, cem.cem_last_error()
options = ctypes.create_string_buffer(32)
must(cem.cem_model_defaults(options, ctypes.c_int64(32)))
model = ctypes.c_void_p()
must(cem.cem_model_new(ctypes.byref(model), options))
pixels = bytes(range(0, 256)) * 16
out = (ctypes.c_float * (2 * 4096))()
size = ctypes.c_int64(64)
intensity = struct.pack("dd", 128.0, 0.01)
options = ctypes.create_string_buffer(56)
must(cem.cem_predict_defaults(options, ctypes.c_int64(56)))
must(cem.cem_predict(out, model, pixels, 1, ctypes.c_int64(1), size, size, intensity, options))
cem.cem_model_free(model)
print(cem.cem_version().decode(), out[0].hex(), out[4096].hex())
"""

WITH_NUMPY = """
import numpy as np
from napari_cem import _core
model = _core.Model()
pixels = np.tile(np.arange(256, dtype=np.uint8), 16).reshape(1, 64, 64)
out = np.empty((1, 2, 64, 64), np.float32)
model.predict(out, pixels, 128.0, 0.01)
print(_core.version(), float(out[0, 0, 0, 0]).hex(), float(out[0, 1, 0, 0]).hex())
"""


def libraries(binaries: Iterable[Path]) -> set[Path]:
    """What the loader takes from the system for some binaries."""
    lines = subprocess.run(
        ["ldd", *map(str, binaries)], check=True, capture_output=True, text=True
    ).stdout
    return {Path(path) for path in re.findall(r"(/\S+\.so\S*)\s+\(0x", lines)}


def copy_in(root: Path, paths: Iterable[Path]) -> None:
    """Copies files to where they are under another root."""
    for path in paths:
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel, made now."""
    subprocess.run([sys.executable, ROOT / ".ci" / "wheel.py"], check=True, cwd=ROOT)
    (made,) = (ROOT / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def bare_root(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with this Python and glibc, and the wheel's libraries in /native."""
    root = tmp_path_factory.mktemp("root")
    python = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_paths()["stdlib"])
    ignored = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__")
    shutil.copytree(standard, root / standard.relative_to("/"), ignore=ignored)
    ctypes = next(standard.glob("lib-dynload/_ctypes.*"))
    found = libraries([python, ctypes])
    glibc = next(path for path in found if path.name == "libc.so.6").parent
    copy_in(root, {python, *found, *(glibc / name for name in GLIBC)})
    (root / "python").symlink_to(python)
    shutil.copytree(ROOT / "build" / "native" / "linux-x86_64", root / "native")
    return root


def run_inside(root: Path, script: str, **environment: str) -> str:
    """Output of a Python script that sees nothing but `root`."""
    become = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    home = str(Path(sysconfig.get_paths()["stdlib"]).parents[1])
    done = subprocess.run(
        [*become, "chroot", root, "/python", "-S", "-B", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONHOME": home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def expected() -> str:
    """What the installed package computes for the same pixels."""
    command = [sys.executable, "-c", WITH_NUMPY]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_libraries_need_nothing_but_glibc(bare_root: Path) -> None:
    carried = {path.name for path in bare_root.glob("usr/**/*.so*")} | {
        path.name for path in bare_root.glob("lib*/**/*.so*")
    }
    # zlib may be there: Debian's Python is linked with it
    assert not [name for name in carried if re.match(r"lib(stdc|gcc|gomp|tiff|jpeg)", name)]
    assert run_inside(bare_root, LIBRARY_ALONE) == expected()


def test_the_wheel_works_with_numpy_alone(bare_root: Path, wheel: Path) -> None:
    site = bare_root / "site"
    ZipFile(wheel).extractall(site)
    packages = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        shutil.copytree(packages / name, site / name)
    numpy_core = next((packages / "numpy" / "_core").glob("_multiarray_umath.*"))
    copy_in(bare_root, [p for p in libraries([numpy_core]) if packages not in p.parents])
    assert run_inside(bare_root, WITH_NUMPY, PYTHONPATH="/site") == expected()


def test_the_wheel_holds_each_library_once_and_its_licence(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    stems = [
        re.split(r"[-.]", Path(name).name)[0]
        for name in names
        if name.startswith("napari_cem/_native/") and ".so" in name
    ]
    assert len(stems) == len(set(stems))
    assert {"libcem", "libdnnl", "libtiff", "libjansson", "libgomp", "libstdc++"} <= set(stems)
    licences = [name for name in names if "/_native/licences/" in name]
    assert any("oneDNN" in name for name in licences)
    assert any("libtiff" in name for name in licences)


def test_the_wheel_fits_every_python_from_3_11_on(wheel: Path) -> None:
    assert re.search(r"-cp311-abi3-manylinux_2_\d\d_x86_64\.whl$", wheel.name)
