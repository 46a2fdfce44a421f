"""What importing the package brings along."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import napari_cem

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "napari_cem"


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in a fresh Python after a statement."""
    script = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


HEAVY = {"qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "napari", "torch", "dask", "matplotlib"}


def test_importing_brings_no_gui_and_no_torch() -> None:
    everything = "from napari_cem import *\nfrom napari_cem import cli, demo, doctor, weights"
    assert not loaded_by(everything) & HEAVY


def test_importing_the_package_is_light() -> None:
    slow = {"typer", "zarr", "PIL", "tqdm", "scipy", "pandas", "skimage", "cc3d"}
    assert not loaded_by("import napari_cem") & (HEAVY | slow)


def test_the_modules_of_objects_load_their_libraries_when_they_are_called() -> None:
    names = "measurements, object_edits, object_files, objects"
    loaded = loaded_by(f"from napari_cem import {names}")
    assert not loaded & {"pandas", "skimage", "cc3d", "scipy"}


def test_every_public_name_is_there() -> None:
    assert napari_cem.__all__ == sorted(napari_cem.__all__)
    for name in napari_cem.__all__:
        assert getattr(napari_cem, name) is not None
        assert name in dir(napari_cem)
    assert not hasattr(napari_cem, "no_such_name")


def test_every_module_is_importable_alone() -> None:
    names = sorted(p.stem for p in PACKAGE.glob("*.py") if p.stem not in ("__init__", "__main__"))
    assert len(names) > 10
    for name in names:
        assert "napari_cem" in loaded_by(f"import napari_cem.{name}")


def test_every_module_says_what_it_is() -> None:
    for path in PACKAGE.glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path.name


def test_no_module_prints_but_the_command_line() -> None:
    for path in PACKAGE.glob("*.py"):
        if path.stem in ("cli", "progress"):
            continue
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        printed = [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
        assert not printed, f"{path.name} prints in line {printed}"


def test_the_library_leaves_its_process_alone() -> None:
    words = "exit|_exit|abort|printf|fprintf|puts|perror|getenv|setenv|setlocale|rand|srand"
    call = re.compile(rf"(?<!\w)({words})\(")
    for path in (ROOT / "csrc").rglob("*.c"):
        found = [line.strip() for line in path.read_text().splitlines() if call.search(line)]
        assert not found, f"{path.name}: {found[0]}"
