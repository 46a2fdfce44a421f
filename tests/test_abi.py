"""The ABI as another language sees it: the header as it stands, and the built library."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import cffi
import pytest
from abi import LIBRARY, ROOT, declarations

from napari_cem import _core


def without_comments(text: str) -> str:
    """C text with its comments taken out."""
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


@pytest.fixture(scope="module")
def ffi() -> Any:
    """cffi, having read the header unchanged."""
    reader = cffi.FFI()
    reader.cdef(declarations())
    return reader


@pytest.fixture(scope="module")
def lib(ffi: Any) -> Any:
    """libcem, loaded by cffi."""
    return ffi.dlopen(str(LIBRARY))


def run(program: str, tmp_path: Path, *flags: str) -> str:
    """Output of a C program."""
    source = tmp_path / "program.c"
    source.write_text(program)
    command = ["gcc", *flags, "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "csrc")]
    subprocess.run([*command, source, "-o", tmp_path / "program"], check=True)
    return subprocess.run([tmp_path / "program"], check=True, capture_output=True, text=True).stdout


def structs() -> dict[str, list[str]]:
    """The header's transparent structs and their members."""
    found = re.findall(
        r"typedef struct (\w+) \{(.*?)\} \1;", without_comments(declarations()), re.S
    )
    members = re.compile(r"(\w+)(?:\[\d+\])?;")
    return {name: members.findall(body) for name, body in found}


def test_the_library_exports_what_the_header_declares_and_nothing_else() -> None:
    declared = set(re.findall(r"\b(cem_\w+)\(", without_comments(declarations())))
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", LIBRARY], check=True, capture_output=True, text=True
    ).stdout
    exported = {line.split()[-1] for line in listing.splitlines()}
    assert len(declared) > 40
    assert exported == declared


def test_structs_lie_in_memory_as_cffi_thinks(ffi: Any, tmp_path: Path) -> None:
    lines, expected = [], []
    assert len(structs()) == 8
    for name, members in structs().items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ffi.sizeof(name)}")
        for member in members:
            lines.append(f'printf("{name}.{member} %zu\\n", offsetof({name}, {member}));')
            expected.append(f"{name}.{member} {ffi.offsetof(name, member)}")
    program = '#include "cem.h"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {'
    output = run(program + "\n".join(lines) + "return 0;}", tmp_path, "-std=c99", "-pedantic")
    assert output.splitlines() == expected


def test_structs_have_no_hidden_holes(ffi: Any) -> None:
    for name in structs():
        fields = ffi.typeof(name).fields
        assert sum(ffi.sizeof(field.type) for _, field in fields) == ffi.sizeof(name), name


def test_the_header_is_cplusplus_too(tmp_path: Path) -> None:
    program = '#include "cem.h"\nint main() { return CEM_OK; }'
    run(program, tmp_path, "-x", "c++", "-std=c++11", "-pedantic")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("model", ()), ("predict", ()), ("trainer", (0,)), ("trainer", (1,))],
    ids=["model", "predict", "interactive", "cem500k"],
)
def test_the_extension_reads_the_defaults_that_c_has(
    ffi: Any, lib: Any, name: str, arguments: tuple[int, ...]
) -> None:
    options = ffi.new(f"cem_{name}_options *")
    status = getattr(lib, f"cem_{name}_defaults")(options, ffi.sizeof(options[0]), *arguments)
    assert status == lib.CEM_OK
    defaults = getattr(_core, f"{name}_defaults")(*arguments)
    left_out = {"reserved", "milestone_count"}
    assert set(defaults) == set(structs()[f"cem_{name}_options"]) - left_out
    for member, value in defaults.items():
        in_c = getattr(options, member)
        if value is None:
            assert in_c == ffi.NULL, member
        else:
            assert (tuple(in_c) if isinstance(value, tuple) else in_c) == value, member


def test_the_header_states_the_defaults_it_has(lib: Any, ffi: Any) -> None:
    options = ffi.new("cem_trainer_options *")
    for column, recipe in enumerate((lib.CEM_INTERACTIVE, lib.CEM_CEM500K)):
        lib.cem_trainer_defaults(options, ffi.sizeof(options[0]), recipe)
        body = re.search(r"struct cem_trainer_options \{(.*?)\}", declarations(), re.S)
        assert body
        stated = re.findall(r"(\w+);\s*/\*((?:(?!\*/).)*)\*/", body[1], re.S)
        numbers = 0
        for member, comment in stated:
            columns = re.findall(r"\[ ([^\]]+) \]|(?<=\s)(-)(?=\s|$)", comment)
            words = [first or second for first, second in columns]
            if len(words) != 2 or not re.fullmatch(r"[-\d.e^]+", words[column]):
                continue
            if words[column] != "-":
                value = 2.0**31 if words[column] == "2^31" else float(words[column])
                assert getattr(options, member) == value, member
                numbers += 1
        assert numbers >= 10


@pytest.mark.parametrize("name", ["model", "predict", "trainer"])
@pytest.mark.parametrize("difference", [-8, -1, 1, 8])
def test_a_caller_with_another_layout_is_told_and_nothing_is_written(
    ffi: Any, lib: Any, name: str, difference: int
) -> None:
    options = ffi.new(f"cem_{name}_options *")
    size = ffi.sizeof(options[0])
    ffi.memmove(options, b"\x5a" * size, size)
    arguments = (0,) if name == "trainer" else ()
    status = getattr(lib, f"cem_{name}_defaults")(options, size + difference, *arguments)
    assert status == lib.CEM_EARGUMENT
    assert str(size + difference) in ffi.string(lib.cem_last_error()).decode()
    assert bytes(ffi.buffer(options)) == b"\x5a" * size


def test_the_error_line_belongs_to_the_thread(ffi: Any, lib: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def fail(path: bytes) -> bytes:
        handle = ffi.new("cem_model **")
        assert lib.cem_model_load(handle, path) == lib.CEM_EFILE
        return bytes(ffi.string(lib.cem_last_error()))

    assert b"/nowhere/here" in fail(b"/nowhere/here")
    with ThreadPoolExecutor(1) as pool:
        assert b"/nowhere/there" in pool.submit(fail, b"/nowhere/there").result()
    assert b"/nowhere/here" in ffi.string(lib.cem_last_error())


def test_null_is_refused_or_ignored_everywhere(ffi: Any, lib: Any) -> None:
    names = re.findall(r"\b(cem_\w+)\(", without_comments(declarations()))
    for name in names:
        function = getattr(lib, name)
        kind = ffi.typeof(function)
        if not kind.args:
            continue
        arguments = [ffi.NULL if "*" in arg.cname else ffi.cast(arg, 1) for arg in kind.args]
        result = function(*arguments)
        if kind.result.cname == "int32_t" and "*" in kind.args[0].cname:
            no_status = {"cem_model_classes", "cem_model_outputs", "cem_model_tensors"}
            assert result == (0 if name in no_status else lib.CEM_EARGUMENT), name


def test_the_version_stands_once() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{_core.version()}"' in text
