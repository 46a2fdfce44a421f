"""Functions and files stay short enough to read."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

ROOT = Path(__file__).parent.parent
C_FILES = [*ROOT.glob("csrc/**/*.[ch]"), *ROOT.glob("napari_cem/*.[ch]")]
PYTHON_FILES = sorted(ROOT.glob("napari_cem/**/*.py"))


def c_functions(path: Path) -> dict[str, int]:
    """Lines of each function, by the brace style of .clang-format."""
    found: dict[str, int] = {}
    heading, start = "", 0
    for number, line in enumerate(path.read_text().splitlines()):
        if re.match(r"\w.*\(", line):
            heading, start = line, number
        elif line == "}" and heading:
            name = re.search(r"(\w+)\(", heading)
            found[name[1] if name else heading] = number - start + 1
            heading = ""
        elif re.match(r"(\}|#|struct|enum|typedef)", line):
            heading = ""
    return found


def lines(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text().splitlines())


def test_c_functions_are_short() -> None:
    sizes = {}
    for path in C_FILES:
        sizes |= {f"{path.name}: {name}": size for name, size in c_functions(path).items()}
    assert len(sizes) > 200
    assert {name: size for name, size in sizes.items() if size > 100} == {}
    assert statistics.median(sizes.values()) <= 15
    assert statistics.quantiles(sizes.values(), n=10)[-1] <= 50


def test_c_files_are_short() -> None:
    assert {p.name: lines(p) for p in C_FILES if lines(p) > 600} == {}


def test_python_functions_are_short() -> None:
    long = {}
    for path in PYTHON_FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno
                first = node.body[0]
                documented = ast.get_docstring(node) is not None and first.end_lineno
                size = node.end_lineno - (first.end_lineno if documented else node.lineno)
                if size > 60:
                    long[f"{path.name}: {node.name}"] = size
    assert long == {}


def test_python_files_are_short() -> None:
    assert {p.name: lines(p) for p in PYTHON_FILES if lines(p) > 400} == {}
