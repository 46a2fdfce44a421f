"""The plugin for Fiji and ImageJ: its bridges to libcem, called from macros in a real ImageJ."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import cffi
import pytest
from abi import LIBRARY, declarations
from fiji import PROJECT, ImageJ, bridges, build, jdks

from napari_cem import _core

DIAGNOSE = 'run("CEM Diagnostics");'


@pytest.fixture(scope="module")
def imagej() -> ImageJ:
    """ImageJ 1.54p with the plugin."""
    return build()


def java_type(kind: Any) -> str:
    """What CemApi has for a C type."""
    return {"int32_t": "int", "int64_t": "long", "double": "double", "void": "void"}.get(
        kind.cname, "long"
    )


def test_the_java_interface_is_the_header_one_to_one() -> None:
    ffi = cffi.FFI()
    ffi.cdef(declarations())
    lib = ffi.dlopen(str(LIBRARY))
    expected = []
    for name in re.findall(r"\b(cem_\w+)\(", re.sub(r"/\*.*?\*/", "", declarations(), flags=re.S)):
        kind = ffi.typeof(getattr(lib, name))
        expected.append((java_type(kind.result), name, [java_type(arg) for arg in kind.args]))
    source = (PROJECT / "src/main/java/cem/bridge/CemApi.java").read_text()
    found = [
        (result, name, [word.split()[0] for word in arguments.split(",") if word.strip()])
        for result, name, arguments in re.findall(r"^ {4}(\w+) (cem_\w+)\(([^)]*)\);", source, re.M)
    ]
    assert found == expected


def test_the_plugin_has_the_version_of_the_package() -> None:
    assert f"<version>{_core.version()}</version>" in (PROJECT / "pom.xml").read_text()


@pytest.mark.parametrize(("java", "kind"), bridges())
def test_each_bridge_reaches_the_library_in_the_jar(
    imagej: ImageJ, tmp_path: Path, java: int, kind: str
) -> None:
    result = imagej.run(DIAGNOSE, tmp_path, java, f"-Dcem.bridge={kind}")
    assert result.ended, result.output
    assert f"CEM library: {_core.version()}" in result.output
    assert f"CEM backend: {_core.backend()}" in result.output
    assert ("JNA 5" if kind == "jna" else "java.lang.foreign") in result.output
    unpacked = list(tmp_path.glob(".cache/napari-cem/native/*/libcem.so"))
    assert [file.read_bytes() for file in unpacked] == [LIBRARY.read_bytes()]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["-Dcem.path=/nowhere/libcem.so"], "there is no library /nowhere/libcem.so"),
        (["-Dcem.bridge=jni"], "cem.bridge is jni, must be auto, jna or ffm"),
        (["-Dcem.bridge=ffm"], "which needs Java 22"),
    ],
)
def test_a_library_that_cannot_be_called_stops_the_macro_with_one_line(
    imagej: ImageJ, tmp_path: Path, options: list[str], line: str
) -> None:
    result = imagej.run(DIAGNOSE, tmp_path, min(jdks()), *options)
    assert not result.ended
    assert re.search(rf"^CEM ERROR: .*{re.escape(line)}", result.output, re.M), result.output


def test_a_stale_jna_is_told_from_a_missing_one(imagej: ImageJ, tmp_path: Path) -> None:
    result = imagej.run(DIAGNOSE, tmp_path, min(jdks()), "-Dcem.bridge=jna", stale=True)
    assert not result.ended
    assert "CEM ERROR: the JNA in use is too old (4.5.2" in result.output


def test_what_is_no_library_is_told(imagej: ImageJ, tmp_path: Path) -> None:
    fake = tmp_path / "libcem.so"
    fake.write_bytes(b"no library")
    for java, kind in bridges():
        options = (f"-Dcem.path={fake}", f"-Dcem.bridge={kind}")
        result = imagej.run(DIAGNOSE, tmp_path, java, *options)
        assert not result.ended
        assert f"CEM ERROR: {fake} cannot be loaded" in result.output


def test_the_update_site_holds_the_plugin_jna_and_the_examples(imagej: ImageJ) -> None:
    site = next((PROJECT / "target").glob("CEM_Native-*-update-site.zip"))
    names = zipfile.ZipFile(site).namelist()
    version = _core.version()
    assert {f"plugins/CEM_Native-{version}.jar", "jars/jna-5.14.0.jar"} <= set(names)
    assert "macros/CEM/train_and_segment.ijm" in names
