"""The C tests: programs over all of csrc/, internals included, and the fuzzers' corpora."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = sorted(path.stem for path in (ROOT / "tests" / "c").glob("test_*.c"))
FUZZED = sorted(path.stem[:-7] for path in (ROOT / "tests" / "fuzz").glob("*_fuzzer.c"))


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the programs, built from the sources of now."""
    onednn = os.environ.get("CEM_ONEDNN_ROOT", sys.prefix)
    command = ["make", "--no-print-directory", "-j2", "c-tests", f"CEM_ONEDNN_ROOT={onednn}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build" / "plain"


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(built: Path, program: str) -> None:
    done = subprocess.run(
        [built / program], check=False, capture_output=True, text=True, cwd=ROOT, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^[1-9]\d* passed, 0 failed$", done.stdout, re.M), done.stdout


def test_kernels_for_avx2_are_right_where_there_is_more(built: Path) -> None:
    done = subprocess.run(
        [built / "test_kernels"],
        check=False, capture_output=True, text=True, timeout=600,
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_memory_may_run_out_at_every_allocation(built: Path) -> None:
    done = subprocess.run(
        [built / "test_out_of_memory", "every"],
        check=False, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FUZZED)
def test_the_corpus_of_a_fuzzer_is_read_or_refused(built: Path, name: str) -> None:
    command = [built / f"{name}_fuzzer", ROOT / "tests" / "fuzz" / "corpus" / name]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_of_the_core_has_a_program() -> None:
    assert len(PROGRAMS) >= 10
    assert FUZZED == ["card", "safetensors", "tiff"]
