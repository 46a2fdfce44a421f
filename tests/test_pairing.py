"""Folders: images meet the labels of their own name, and nothing depends on a disk's order."""

import random
from pathlib import Path

import numpy as np
import pytest
import tifffile
from samples import cells, scribbles

from napari_cem.finetuning import gather
from napari_cem.images import open_volume
from napari_cem.labels import pair


@pytest.fixture(params=["forwards", "backwards", "shuffled"])
def order(request, monkeypatch):
    """A disk that lists its folders in the order of the test's name."""
    listed = Path.iterdir
    turn = {
        "forwards": sorted,
        "backwards": lambda paths: sorted(paths, reverse=True),
        "shuffled": lambda paths: random.Random(1).sample(sorted(paths), len(paths)),
    }[request.param]
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter(turn(list(listed(folder)))))


def make(folder, numbers, pixels, ending="tif"):
    folder.mkdir()
    for number in numbers:
        tifffile.imwrite(folder / f"im{number}.{ending}", pixels(number))
    return folder


def constant(number):
    return np.full((4, 5), number, np.uint8)


def test_fifty_images_meet_the_labels_of_their_own_name(tmp_path, order):
    images = make(tmp_path / "images", range(50), constant)
    labels = make(tmp_path / "labels", reversed(range(50)), constant, "tiff")
    pairs = pair(images, labels)
    assert [(one.stem, other.stem) for one, other in pairs] == [(f"im{k}",) * 2 for k in range(50)]
    assert all((tifffile.imread(a) == tifffile.imread(b)).all() for a, b in pairs)


def test_labels_count_for_the_image_they_were_painted_on(tmp_path, order):
    images = make(tmp_path / "images", (3, 20, 100), lambda k: cells(1, seed=k)[0])
    labels = make(tmp_path / "labels", (100, 3, 20), lambda k: np.roll(scribbles(1)[0], k))
    for one in gather(images, labels, dense=False):
        number = int(Path(one.image.name).stem[2:])
        assert (one.image.slice(0) == cells(1, seed=number)[0]).all()
        assert (one.labels.slice(0) == np.roll(scribbles(1)[0], number)).all()


def test_slices_of_a_folder_are_in_one_order_on_every_disk(tmp_path, order):
    for number, name in enumerate(("S1", "s01", "s1", "s2", "s10")):
        tifffile.imwrite(tmp_path / f"{name}.tif", constant(number))
    names = [path.stem for path in open_volume(tmp_path).files]
    assert names == ["S1", "s01", "s1", "s2", "s10"]


@pytest.mark.parametrize("lonely", ["images", "labels"])
def test_a_file_without_a_partner_is_named(tmp_path, order, lonely):
    for folder in ("images", "labels"):
        make(tmp_path / folder, range(2 if folder != lonely else 3), constant)
    with pytest.raises(ValueError, match=rf"{lonely}/im2\.tif has no "):
        pair(tmp_path / "images", tmp_path / "labels")


def test_what_systems_leave_in_folders_is_ignored_and_counted(tmp_path, order, caplog):
    caplog.set_level("INFO", "napari_cem")
    folders = [make(tmp_path / name, range(2), constant) for name in ("images", "labels")]
    for folder, strays in zip(
        folders, (("Thumbs.db", ".DS_Store", "._im0.tif"), ("a.txt",)), strict=True
    ):
        for name in strays:
            (folder / name).write_bytes(b"\0stray")
    assert len(pair(*folders)) == 2
    assert caplog.messages == [
        f"{folders[0]}: 2 of 5 entries are images; the others are ignored",
        f"{folders[1]}: 2 of 3 entries are images; the others are ignored",
    ]


def test_digits_of_other_scripts_are_part_of_a_name(tmp_path, order):
    for name in ("1²3", "x٣"):
        tifffile.imwrite(tmp_path / f"{name}.tif", constant(1))
    assert open_volume(tmp_path).shape == (2, 4, 5)
