"""Builds libcem and the extension module.

``libcem.so`` (all of ``csrc/``) and a copy of oneDNN go into ``napari_cem/_native/``, where every
front end finds them; ``_core`` is linked to the first by ``$ORIGIN``.  Metadata stands in
``pyproject.toml``.

Environment: ``CEM_ONEDNN_ROOT`` names another oneDNN (version 3, with ``include/`` and ``lib/``)
than the one of the build requirements; ``CEM_WERROR=1`` makes compiler warnings errors.
"""

import logging
import os
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
HEADERS = [str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("csrc/**/*.h"))]
SOURCES = [str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("csrc/**/*.c"))]
CORE = [str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("napari_cem/_core*.c"))]
APT = "apt-get install build-essential python3-dev pkg-config libtiff-dev libjansson-dev"
WARNINGS = "-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion".split()
CFLAGS = [
    *"-std=c11 -D_GNU_SOURCE -O3 -ffp-contract=off -fno-math-errno".split(),
    *"-fPIC -fvisibility=hidden -pthread".split(),
    *WARNINGS,
    *(["-Werror"] if os.environ.get("CEM_WERROR") == "1" else []),
]
# csrc/cem.map: nothing is exported but cem_*, whatever the compiler makes up.
LIBCEM = "-soname,libcem.so,-rpath,$ORIGIN,--version-script=csrc/cem.map"
LDFLAGS = ["-Wl,--enable-new-dtags", "-Wl,--as-needed", "-pthread"]


def pkg_config(option: str) -> list[str]:
    """What pkg-config says of the system's libraries."""
    command = ["pkg-config", option, "libtiff-4", "jansson"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        raise SystemExit(f"pkg-config, libtiff or jansson is missing; type: {APT}") from None


def onednn() -> tuple[Path, Path]:
    """The folder of oneDNN's headers, and its library."""
    root = os.environ.get("CEM_ONEDNN_ROOT")
    if root:
        found = [Path(root) / "include/oneapi/dnnl/dnnl.h", Path(root) / "lib/libdnnl.so.3"]
    else:
        found = [
            package_file("onednn-devel-cpu-gomp", "oneapi/dnnl/dnnl.h"),
            package_file("onednn-cpu-gomp", "libdnnl.so.3"),
        ]
    for path in found:
        if not path.is_file():
            raise SystemExit(
                f"{path} is missing; install onednn-devel-cpu-gomp==2023.2.0 and "
                "onednn-cpu-gomp==2023.2.0 with pip, or name a oneDNN 3 in CEM_ONEDNN_ROOT"
            )
    return found[0].parents[2], found[1]


def package_file(package: str, ending: str) -> Path:
    """Where an installed package has the file with this ending."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        files = []
    paths = [Path(str(f.locate())).resolve() for f in files if str(f).endswith(ending)]
    return paths[0] if paths else Path(f"{package}/{ending}")


def run(command: list[str]) -> None:
    """Runs the compiler."""
    logging.info("%s %s", command[0], command[-1])
    try:
        failed = subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        raise SystemExit(f"there is no {command[0]}; type: {APT}") from None
    if failed:
        raise SystemExit(f"{command[0]} could not make {command[-1]}")


class BuildExt(build_ext):
    """Builds libcem first, and lays oneDNN beside it."""

    def native(self) -> Path:
        """The folder of the shared libraries."""
        return Path(self.build_lib, "napari_cem", "_native")

    def build_extensions(self) -> None:
        native = self.native()
        native.mkdir(parents=True, exist_ok=True)
        include, library = onednn()
        copy = native / "libdnnl.so.3"
        if not copy.exists() or copy.stat().st_mtime != library.stat().st_mtime:
            shutil.copy2(library, copy)
        version = f'"{self.distribution.get_version()}"'
        self.build_libcem(native, ["-Icsrc", f"-I{include}", f"-DCEM_VERSION={version}"])
        for extension in self.extensions:
            extension.define_macros.append(("CEM_VERSION", version))
            extension.library_dirs.append(str(native))
        super().build_extensions()

    def build_libcem(self, native: Path, flags: list[str]) -> None:
        """Compiles what is older than its source or a header, and links libcem.so.

        The compiler is called without Python's own flags, so that the library is the same for
        every Python.
        """
        cc = shlex.split(os.environ.get("CC", "gcc"))
        extra = shlex.split(os.environ.get("CFLAGS", ""))
        flags = [*CFLAGS, "-DNDEBUG", "-g1", *flags, *pkg_config("--cflags"), *extra]
        newest_header = max(Path(header).stat().st_mtime for header in HEADERS)
        commands = []
        objects = []
        for source in SOURCES:
            target = Path(self.build_temp, source).with_suffix(".o")
            target.parent.mkdir(parents=True, exist_ok=True)
            made = target.stat().st_mtime if target.exists() else 0.0
            if self.force or made < max(newest_header, Path(source).stat().st_mtime):
                commands.append([*cc, *flags, "-c", source, "-o", str(target)])
            objects.append(str(target))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(run, commands))
        link = [*LDFLAGS, "-shared", f"-Wl,-z,defs,{LIBCEM}", *extra]
        libraries = [str(native / "libdnnl.so.3"), *pkg_config("--libs"), "-lgomp", "-lm"]
        run([*cc, *objects, *link, *libraries, "-o", str(native / "libcem.so")])

    def copy_extensions_to_source(self) -> None:
        """For an editable install: the libraries go beside the sources too."""
        super().copy_extensions_to_source()
        package = ROOT / "napari_cem" / "_native"
        shutil.copytree(self.native(), package, dirs_exist_ok=True)

    def get_outputs(self) -> list[str]:
        native = self.native()
        return [*super().get_outputs(), *(str(native / n) for n in ("libcem.so", "libdnnl.so.3"))]


setup(
    ext_modules=[
        Extension(
            "napari_cem._core",
            CORE,
            include_dirs=["csrc", numpy.get_include()],
            depends=[*HEADERS, "napari_cem/_core.h"],
            libraries=["cem"],
            extra_compile_args=CFLAGS,
            extra_link_args=[*LDFLAGS, "-Wl,-rpath,$ORIGIN/_native"],
            py_limited_api=True,
        )
    ],
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
