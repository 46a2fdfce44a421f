"""The command that turns a segmentation into numbered objects and a table."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import tifffile

import napari_cem as cem

SAMPLE = Path(cem.__file__).parent / "sample"
TRUTH = SAMPLE / "membrane_64x250x250.tif"
RAW = SAMPLE / "raw_64x250x250.tif"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with labels.tif, of two classes, and image.tif, which the command runs in."""
    monkeypatch.chdir(tmp_path)
    labels = np.ones((4, 30, 40), np.uint8)
    labels[1:3, 2:8, 3:9] = 2
    labels[0:4, 12:22, 3:13] = 2
    labels[1:3, 16, 7] = 1
    labels[2, 25, 30] = 3
    tifffile.imwrite("labels.tif", labels, photometric="minisblack")
    image = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape)
    tifffile.imwrite("image.tif", image, photometric="minisblack")
    return tmp_path


@pytest.fixture
def refused(command, folder):
    """Runs `objects` so that it must be refused with no result left, and returns its line."""

    def run(*arguments) -> str:
        before = sorted(folder.iterdir())
        status, _, err = command("objects", *arguments)
        lines = [line for line in err.splitlines() if line.startswith("napari-cem: ")]
        assert status == 2 and len(lines) == 1 and err.endswith(lines[0] + "\n")
        assert sorted(folder.iterdir()) == before
        return lines[0].removeprefix("napari-cem: ")

    return run


def test_the_sample_becomes_objects_and_a_table_in_one_command(command, tmp_path):
    out, table = tmp_path / "objects.tif", tmp_path / "table.csv"
    status, text, err = command(
        "objects", TRUTH, "--out", out, "--table", table, "--image", RAW, "--class",
        "membrane=255", "--min-voxels", 50, "--fill-holes", "--connectivity", 6,
        "--pixel-nm", 10, "--spacing-nm", 10,
    )  # fmt: skip
    assert (status, err) == (0, "")
    truth, written = tifffile.imread(TRUTH), tifffile.imread(out)
    expected, class_of = cem.find_objects(truth, [255], 6, 50, True)
    assert text.startswith(f"{len(class_of)} objects of membrane")
    assert len(class_of) >= 2
    assert written.dtype == np.uint16 and (written == expected).all()
    rows = pandas.read_csv(table)
    assert rows["object"].tolist() == list(class_of)
    assert set(rows["class"]) == {"membrane"} and set(rows["label"]) == {255}
    assert rows["voxels"].tolist() == np.bincount(expected.ravel())[1:].tolist()
    assert rows["volume_nm3"].tolist() == pytest.approx((rows["voxels"] * 1000.0).tolist())
    grey = [tifffile.imread(RAW)[expected == k].mean() for k in class_of]
    assert rows["mean_grey"].tolist() == pytest.approx(grey)
    volume = cem.open_volume(out)
    assert (volume.pixel_nm, volume.spacing_nm) == pytest.approx((10, 10))


def test_every_class_is_found_by_default_and_the_pixel_size_of_the_file_is_used(command, folder):
    labels = tifffile.imread("labels.tif")
    tifffile.imwrite(
        "sized.tif", labels, imagej=True, resolution=(1 / 4.0, 1 / 4.0),
        metadata={"axes": "ZYX", "unit": "nm", "spacing": 8.0},
    )  # fmt: skip
    status, text, err = command("objects", "sized.tif", "--out", "o.zarr", "--table", "t.csv")
    assert (status, err) == (0, "")
    assert text.splitlines()[:2] == ["2 objects of class 2", "1 objects of class 3"]
    rows = pandas.read_csv("t.csv")
    assert rows["voxels"].tolist() == [398, 72, 1]
    assert rows["volume_nm3"].tolist() == pytest.approx([398 * 128, 72 * 128, 128])
    command("objects", "sized.tif", "--out", "o.tif")
    with tifffile.TiffFile("o.tif") as file:
        assert (file.imagej_metadata["unit"], file.imagej_metadata["spacing"]) == ("nm", 8)
        assert file.pages[0].tags["XResolution"].value == (1, 4)
    written = cem.open_labels("o.zarr")
    assert (written.pixel_nm, written.spacing_nm) == pytest.approx((4, 8))
    found = cem.find_objects(labels)[0]
    assert all((written.slice(z) == found[z]).all() for z in range(4))


def test_json_gives_the_counts(command, folder):
    status, out, _ = command(
        "objects", "labels.tif", "--out", "o.tif", "--class", "mito=2", "--class", "golgi=3",
        "--class", "none=9", "--json",
    )  # fmt: skip
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert lines[0]["event"] == "warning" and "holds no object of none" in lines[0]["message"]
    assert lines[-1] == {
        "event": "result", "out": "o.tif", "table": None, "objects": 3,
        "classes": {"mito": 2, "golgi": 1, "none": 0},
    }  # fmt: skip


def test_without_a_pixel_size_the_table_is_in_pixels_and_says_so(command, folder):
    status, _, err = command("objects", "labels.tif", "--out", "o.tif", "--table", "t.csv")
    assert status == 0
    assert "the pixel size is not known: the table is in pixels; give --pixel-nm" in err
    assert "volume_pixel3" in pandas.read_csv("t.csv").columns
    status, _, err = command(
        "objects", "labels.tif", "--out", "o.tif", "--table", "t.csv", "--pixel-nm", 5,
        "--overwrite",
    )  # fmt: skip
    assert status == 0
    assert "the distance of slices is not known: taken for the pixel size, 5 nm" in err
    assert pandas.read_csv("t.csv")["volume_nm3"].tolist()[-1] == 125


def test_holes_are_filled_when_told_to(command, folder):
    command("objects", "labels.tif", "--out", "o.tif")
    command("objects", "labels.tif", "--out", "filled.tif", "--fill-holes")
    before, after = tifffile.imread("o.tif"), tifffile.imread("filled.tif")
    assert (before != after).sum() == 2
    assert (after[1:3, 16, 7] == after[0, 16, 7]).all()


@pytest.mark.parametrize("out", ["o.tif", "o.zarr"])
def test_more_objects_than_16_bits_hold_are_written_with_32(command, folder, out):
    labels = np.zeros((530, 530), np.uint8)
    labels[::2, ::2] = 2
    np.save("many.npy", labels)
    status, text, _ = command("objects", "many.npy", "--out", out, "--connectivity", 6)
    assert (status, text.splitlines()[0]) == (0, "70225 objects of class 2")
    volume = cem.open_volume(out)
    assert volume.dtype == np.uint32
    assert (volume.slice(0) == cem.find_objects(labels)[0]).all()
    assert volume.slice(0)[-2, -2] == 70225


def test_png_holds_what_fits_into_16_bits(command, refused):
    labels = np.zeros((530, 530), np.uint8)
    labels[::2, ::2] = 2
    np.save("many.npy", labels)
    line = refused("many.npy", "--out", "o.png", "--connectivity", 6)
    assert line == "o.png cannot hold 70225 objects, at most 65535; write them to .tif or .zarr"
    np.save("few.npy", labels[:300])
    assert command("objects", "few.npy", "--out", "o.png")[0] == 0
    assert (cem.open_labels("o.png").slice(0) == cem.find_objects(labels[:300])[0]).all()


@pytest.mark.parametrize("exists", ["o.tif", "t.csv"])
def test_a_result_that_exists_is_replaced_only_when_told_to(command, refused, exists):
    Path(exists).write_text("old")
    arguments = ("labels.tif", "--out", "o.tif", "--table", "t.csv", "--pixel-nm", 4)
    assert refused(*arguments) == f"{exists} exists; choose another name, or add --overwrite"
    assert Path(exists).read_text() == "old"
    assert command("objects", *arguments, "--overwrite")[0] == 0
    assert tifffile.imread("o.tif").max() == 3 and len(pandas.read_csv("t.csv")) == 3


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none.tif", "--out", "o.tif"], "none.tif does not exist"),
        (["labels.tif", "--out", "o.jpg"], "o.jpg has no known ending"),
        (["labels.tif", "--out", "o.png"], "o.png cannot hold a stack"),
        (["labels.tif", "--out", "no/o.tif"], "the folder no does not exist"),
        (["labels.tif", "--out", "o.tif", "--table", "t.xls"], "t.xls has no known ending; tables"),
        (["labels.tif", "--out", "o.tif", "--connectivity", 8], "connectivity is 8; give 6"),
        (["labels.tif", "--out", "o.tif", "--class", "2"], "--class is '2'; write NAME=VALUE"),
        (["labels.tif", "--out", "o.tif", "--class", "a=0"], "--class is 'a=0'; write NAME=VALUE"),
        (
            ["labels.tif", "--out", "o.tif", "--class", "a=2", "--class", "b=2"],
            "--class b=2 names a value or a class again",
        ),
        (["labels.tif", "--out", "o.tif", "--image", "image.tif"], "--image is for the table's"),
        (
            ["labels.tif", "--out", "o.tif", "--spacing-nm", 8],
            "--spacing-nm is 8 but the pixel size is not known; give --pixel-nm too",
        ),
        (["float.npy", "--out", "o.tif"], "float.npy has pixels of type float64; labels are whole"),
        (
            ["labels.tif", "--out", "o.tif", "--table", "t.csv", "--image", "float.npy"],
            "labels.tif has 4 slices but float.npy is one image",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line_and_leaves_nothing(refused, arguments, line):
    np.save("float.npy", np.ones((30, 40)))
    assert refused(*arguments).startswith(line)


def test_a_table_that_cannot_be_written_leaves_no_other_name(refused, monkeypatch):
    def full(self, path, **options):
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pandas.DataFrame, "to_csv", full)
    line = refused("labels.tif", "--out", "o.tif", "--table", "t.csv", "--pixel-nm", 4)
    assert line == "No space left on device"
