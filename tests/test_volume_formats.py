"""Volumes in the formats of other programs are read as they were written, or refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import volume_files

import napari_cem as cem
from napari_cem import volume_formats

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

import fuzz_volume_formats

ARRAY = np.random.default_rng(0).integers(0, 200, (4, 6, 9))


def pages(path: Path) -> np.ndarray:
    """All slices of a file."""
    volume = cem.open_volume(path)
    return np.stack([volume.slice(z) for z in range(volume.shape[0])])


@pytest.mark.parametrize("suffix", sorted(volume_files.WRITERS))
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_pixels_are_those_that_were_written(tmp_path: Path, suffix: str, dtype: str) -> None:
    path = tmp_path / f"v{suffix}"
    array = ARRAY.astype(dtype)
    volume_files.WRITERS[suffix](path, array)
    found = pages(path)
    widened = (suffix, dtype) == (".mrc", "uint8")  # MRC has no unsigned bytes
    assert found.dtype == (np.uint16 if widened else array.dtype)
    assert (found == array).all()


@pytest.mark.parametrize("suffix", sorted(volume_files.WRITERS))
def test_voxels_are_in_nanometres(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    volume_files.WRITERS[suffix](path, ARRAY.astype(np.uint8), voxel_nm=(8.0, 40.0))
    volume = cem.open_volume(path)
    assert volume.pixel_nm == pytest.approx(8, rel=1e-5)
    assert volume.spacing_nm == pytest.approx(40, rel=1e-5)


@pytest.mark.parametrize("suffix", sorted(volume_files.WRITERS))
def test_without_voxels_none_are_made_up(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    volume_files.WRITERS[suffix](path, ARRAY.astype(np.uint8))
    assert cem.open_volume(path).pixel_nm == cem.open_volume(path).spacing_nm == 0


def test_signed_bytes_of_mrc_become_unsigned(tmp_path: Path) -> None:
    signed = np.array([-128, -1, 0, 127], np.int8).reshape(1, 2, 2)
    volume_files.write_mrc(tmp_path / "v.mrc", signed)
    assert pages(tmp_path / "v.mrc").ravel().tolist() == [0, 127, 128, 255]


def test_a_compressed_nrrd_is_read(tmp_path: Path) -> None:
    volume_files.write_nrrd(tmp_path / "v.nrrd", ARRAY.astype(np.uint16), "gzip")
    assert (pages(tmp_path / "v.nrrd") == ARRAY).all()


def test_data_in_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v.nrrd").write_text(
        "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n"
        "data file: /etc/passwd\n\n"
    )
    with pytest.raises(ValueError, match="another file"):
        cem.open_volume(tmp_path / "v.nrrd")


@pytest.mark.parametrize("suffix", sorted(volume_files.WRITERS))
def test_a_file_cut_off_anywhere_is_refused_or_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    volume_files.WRITERS[suffix](path, ARRAY.astype(np.uint8))
    whole = path.read_bytes()
    for size in {0, 1, 4, 100, 200, 347, 352, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:size])
        assert fuzz_volume_formats.check(path) is None


def test_bytes_at_random_never_do_more_than_raise(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fuzz_volume_formats.fuzz(60, seed=1, rounds=1500) is None


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.mrc"
    volume_files.write_mrc(path, ARRAY.astype(np.uint8))
    monkeypatch.setitem(sys.modules, "mrcfile", None)
    with pytest.raises(ValueError, match=r"napari-cem\[formats\]"):
        cem.open_volume(path)


def test_such_files_are_curated(tmp_path: Path) -> None:
    for suffix, write in volume_files.WRITERS.items():
        write(tmp_path / f"from_{suffix[1:4]}{suffix}", ARRAY.astype(np.uint8), voxel_nm=(8, 8))
    table = cem.curate(tmp_path, side=16, filter="none")
    assert table["source"].nunique() == 4
    assert set(table["axis"]) == {"xy", "xz", "yz"}
    assert all(volume_formats.reader_of(Path(path)) for path in table["path"])
