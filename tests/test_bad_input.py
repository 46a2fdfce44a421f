"""Bad input: one clear line that names the file or value, exit status 2, nothing written."""

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from samples import SIZE, cells, scribbles


def tif(path, pixels, **options):
    tifffile.imwrite(path, pixels, photometric="minisblack", **options)
    return path


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with an image and its labels, and the names in it."""
    monkeypatch.chdir(tmp_path)
    tif("image.tif", cells(2))
    tif("labels.tif", scribbles(2))
    return tmp_path


@pytest.fixture
def refused(command, files):
    """Runs a command that must be refused, and returns its line."""

    def run(*arguments) -> str:
        before = sorted((str(path), path.stat().st_mtime_ns) for path in files.rglob("*"))
        status, out, err = command(*arguments)
        assert status == 2
        assert out == ""
        line = err.splitlines()[-1]
        assert line.startswith("napari-cem: ")
        assert "Traceback" not in err
        after = sorted((str(path), path.stat().st_mtime_ns) for path in files.rglob("*"))
        assert after == before
        return line

    return run


def train(image="image.tif", labels="labels.tif", *options):
    return (
        "finetune", image, labels, "--out", "m.safetensors", "--weights", "scratch",
        "--steps", 1, *options,
    )  # fmt: skip


def test_labels_of_another_shape_are_refused_with_both_shapes(refused):
    tif("labels.tif", scribbles(2)[:, :50])
    line = refused(*train())
    assert "labels.tif is 2 x 50 x 96 uint8 but image.tif is 2 x 96 x 96 uint8" in line


def test_labels_of_a_stack_are_refused_for_an_image(refused):
    tif("one.tif", cells(1)[0])
    line = refused(*train("one.tif"))
    assert "labels.tif has 2 slices but one.tif is one image" in line


def test_swapped_images_and_labels_are_noticed(refused):
    line = refused(*train("labels.tif", "image.tif"))
    assert "image.tif looks like an image" in line


def test_two_label_files_are_noticed(refused):
    line = refused(*train("labels.tif", "labels.tif"))
    assert "labels.tif has at most 3 different values and looks like labels" in line


def test_labels_without_any_annotation_say_what_to_paint(refused):
    tif("labels.tif", np.zeros((2, SIZE, SIZE), np.uint8))
    assert "labels.tif has no annotated pixel: every value is 0; paint" in refused(*train())


def test_one_class_without_background_says_to_paint_background(refused):
    labels = scribbles(2)
    labels[labels == 1] = 0
    tif("labels.tif", labels)
    assert "labels.tif has only the value 2; paint background (1) too" in refused(*train())


def test_background_alone_says_to_paint_a_class(refused):
    labels = scribbles(2)
    labels[labels == 2] = 0
    tif("labels.tif", labels)
    assert "labels.tif has only background (1); paint at least one class" in refused(*train())


def test_classes_without_background_say_to_paint_it(refused):
    tif("labels.tif", scribbles(2).astype(np.uint16) * 2)
    assert "labels.tif has the values 2, 4; paint background (1) too" in refused(*train())


@pytest.mark.parametrize("value", [-1, 70000])
def test_a_label_out_of_range_is_named(refused, value):
    labels = scribbles(2).astype(np.int32)
    labels[1, 3, 3] = value
    tif("labels.tif", labels)
    assert f"labels.tif has the label {value} in slice 1" in refused(*train())


def test_a_label_of_no_class_is_named(refused):
    labels = scribbles(2)
    labels[1, 3, 3] = 7
    tif("labels.tif", labels)
    line = refused(*train("image.tif", "labels.tif", "--classes", "background,disk"))
    assert "labels.tif has the label 7, which is none of the classes' values 1, 2" in line


def test_labels_with_fractions_are_refused(refused):
    tif("labels.tif", scribbles(2).astype(np.float32))
    assert "labels.tif has pixels of type float32" in refused(*train())


def test_a_constant_image_is_refused_with_its_value(refused):
    pixels = np.full((2, SIZE, SIZE), 9, np.uint8)
    tif("flat.tif", pixels)
    assert "flat.tif has at most 3 different values" in refused(*train("flat.tif"))


def test_a_constant_image_is_not_segmented(refused, model_file):
    tif("flat.tif", np.full((2, SIZE, SIZE), 9, np.uint8))
    line = refused("segment", "flat.tif", "--model", model_file, "--out", "o.tif")
    assert "every pixel of flat.tif is 9" in line


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_named_with_its_place(refused, model_file, value):
    pixels = cells(2).astype(np.float32)
    pixels[1, 20, 30] = value
    tif("holes.tif", pixels)
    where = f"holes.tif has the value {value} at slice 1, row 20, column 30"
    assert where in refused("segment", "holes.tif", "--model", model_file, "--out", "o.tif")
    assert where in refused(*train("holes.tif"))


@pytest.mark.parametrize("out", ["o.tif", "o.zarr", "o.png"])
def test_a_result_that_exists_is_not_touched(refused, model_file, out):
    (tif if out != "o.zarr" else lambda path, pixels: os.mkdir(path))(out, cells(1)[0])
    tif("one.tif", cells(1)[0])
    line = refused("segment", "one.tif", "--model", model_file, "--out", out)
    assert f"{out} exists; choose another name, or add --overwrite" in line


def test_a_model_that_exists_is_not_touched(refused):
    with open("m.safetensors", "w") as file:
        file.write("precious")
    assert "m.safetensors exists; choose another name" in refused(*train())


def test_a_checkpoint_that_exists_is_not_touched(refused):
    with open("c", "w") as file:
        file.write("precious")
    assert "c exists; go on from it with --resume" in refused(*train(), "--checkpoint", "c")


def test_a_folder_that_does_not_exist_is_named(refused, model_file):
    line = refused("segment", "image.tif", "--model", model_file, "--out", "none/o.tif")
    assert "the folder none does not exist" in line


def test_a_stack_does_not_fit_into_png(refused, model_file):
    line = refused("segment", "image.tif", "--model", model_file, "--out", "o.png")
    assert "o.png cannot hold a stack" in line


def test_an_unknown_ending_of_the_result_is_refused(refused, model_file):
    line = refused("segment", "image.tif", "--model", model_file, "--out", "o.jpg")
    assert "o.jpg has no known ending; results end in .tif" in line


def test_an_image_has_only_the_plane_xy(refused, model_file):
    tif("one.tif", cells(1)[0])
    line = refused(
        "segment", "one.tif", "--model", model_file, "--out", "o.tif", "--planes", "ortho"
    )
    assert "one.tif is one image: only the plane xy" in line


@pytest.mark.parametrize("length", [0, 3, 8, 200, 9000])
def test_a_tiff_that_was_cut_off_is_refused_by_name(refused, model_file, length):
    whole = tif("whole.tif", cells(2))
    with open(whole, "rb") as source, open("cut.tif", "wb") as cut:
        cut.write(source.read()[:length])
    line = refused("segment", "cut.tif", "--model", model_file, "--out", "o.tif")
    assert "cut.tif" in line


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy"])
def test_a_file_that_is_something_else_is_refused_by_name(refused, model_file, name):
    with open(name, "w") as file:
        file.write("this is no image\n" * 100)
    assert name in refused("segment", name, "--model", model_file, "--out", "o.tif")


def test_a_palette_tiff_is_refused(refused, model_file):
    colors = np.zeros((3, 256), np.uint16)
    tifffile.imwrite("p.tif", cells(1)[0], photometric="palette", colormap=colors)
    line = refused("segment", "p.tif", "--model", model_file, "--out", "o.tif")
    assert "p.tif" in line and "palette" in line


def test_a_colour_tiff_is_refused(refused, model_file):
    tifffile.imwrite("c.tif", np.zeros((20, 20, 3), np.uint8), photometric="rgb")
    assert "c.tif" in refused("segment", "c.tif", "--model", model_file, "--out", "o.tif")


@pytest.mark.parametrize(
    "content",
    [b"", bytes(7), b"\xff" * 64, b"hello" * 99],
    ids=["empty", "zeros", "ones", "text"],
)
def test_a_file_that_is_no_model_is_refused_by_name(refused, content):
    with open("bad.safetensors", "wb") as file:
        file.write(content)
    line = refused("segment", "image.tif", "--model", "bad.safetensors", "--out", "o.tif")
    assert "bad.safetensors" in line


def test_a_missing_model_is_named(refused):
    line = refused("segment", "image.tif", "--model", "none.safetensors", "--out", "o.tif")
    assert "none.safetensors" in line


def test_weights_that_are_no_weights_are_refused_by_name(refused):
    with open("w.safetensors", "wb") as file:
        file.write(b"x" * 50)
    line = refused(*train()[:-4], "--weights", "w.safetensors", "--steps", 1)
    assert "w.safetensors" in line


@pytest.mark.parametrize("text", ["a", "a,", "a=1,b", "a=1,b=1", "a=x,b=2", "a,a"])
def test_class_names_that_cannot_be_read_are_refused(refused, text):
    refused(*train(), "--classes", text)


def folders(images, labels):
    for folder, stems in (("images", images), ("labels", labels)):
        os.mkdir(folder)
        for stem in stems:
            pixels = cells(1)[0] if folder == "images" else scribbles(1)[0]
            Image.fromarray(pixels).save(f"{folder}/{stem}.png")


def test_an_image_without_labels_is_named(refused):
    folders(["a", "b"], ["a"])
    assert "images/b.png has no labels" in refused(*train("images", "labels"))


def test_labels_without_an_image_are_named(refused):
    folders(["a"], ["a", "b"])
    assert "labels/b.png has no image" in refused(*train("images", "labels"))


def test_two_files_of_one_name_are_refused(refused):
    folders(["a"], ["a"])
    tif("images/a.tif", cells(1)[0])
    assert "have the same name" in refused(*train("images", "labels"))


def limited(limit, amount, *arguments):
    def apply():
        resource.setrlimit(limit, (amount, amount))

    return subprocess.run(
        [sys.executable, "-m", "napari_cem", *map(str, arguments)],
        preexec_fn=apply, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_no_space_left_is_one_line_and_leaves_nothing(files, model_file):
    done = limited(
        resource.RLIMIT_FSIZE, 10000,
        "segment", "image.tif", "--model", model_file, "--out", "o.tif",
    )  # fmt: skip
    assert done.returncode == 2
    assert "no room for" in done.stderr.splitlines()[-1]
    assert sorted(os.listdir()) == ["image.tif", "labels.tif"]


def test_no_space_for_the_model_is_one_line_and_keeps_the_old_one(files):
    with open("m.safetensors", "w") as file:
        file.write("precious")
    done = limited(resource.RLIMIT_FSIZE, 1 << 20, *train(), "--overwrite")
    assert done.returncode == 2
    assert "m.safetensors" in done.stderr.splitlines()[-1]
    assert sorted(os.listdir()) == ["image.tif", "labels.tif", "m.safetensors"]
    with open("m.safetensors") as file:
        assert file.read() == "precious"


def test_too_little_memory_is_one_line(files, model_file):
    np.save("wide.npy", np.tile(cells(1)[0], (40, 40)))
    done = limited(
        resource.RLIMIT_AS, 900 << 20,
        "segment", "wide.npy", "--model", model_file, "--out", "o.tif", "--threads", 1,
    )  # fmt: skip
    assert done.returncode == 2
    assert "memory" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not os.path.exists("o.tif")


# Every command with something that a user can mend, run one after the other in one process.
REFUSED = """
import contextlib, io, json, sys
from napari_cem.cli import app
for arguments in json.load(sys.stdin):
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            app(arguments)
            status = 0
        except SystemExit as end:
            status = end.code
    print(json.dumps([status, err.getvalue().splitlines()[-1]]))
"""


def test_refusals_do_not_depend_on_assertions(files, model_file):
    tif("flat.tif", np.full((2, SIZE, SIZE), 9, np.uint8))
    tif("narrow.tif", scribbles(2)[:, :50])
    tif("empty.tif", np.zeros((2, SIZE, SIZE), np.uint8))
    tif("far.tif", np.full((2, SIZE, SIZE), 70000, np.int32))
    segment = ("segment", "image.tif", "--model")
    commands = [
        train("labels.tif", "image.tif"),
        train("image.tif", "narrow.tif"),
        train("image.tif", "empty.tif"),
        train("image.tif", "far.tif"),
        train("none.tif"),
        train("image.tif", "labels.tif", "--set", "batch=0"),
        train("image.tif", "labels.tif", "--set", "nonsense=1"),
        train("image.tif", "labels.tif", "--classes", "a,a"),
        train("image.tif", "labels.tif", "--resume"),
        ("segment", "flat.tif", "--model", model_file, "--out", "o.tif"),
        (*segment, "image.tif", "--out", "o.tif"),
        (*segment, model_file, "--out", "image.tif"),
        (*segment, model_file, "--out", "o.png"),
        (*segment, model_file, "--out", "o.tif", "--scale", "big"),
        ("evaluate", "labels.tif", "narrow.tif"),
        ("evaluate", "labels.tif", "empty.tif"),
        ("objects", "image.tif", "--out", "o.jpg"),
        ("objects", "labels.tif", "--out", "o.tif", "--connectivity", "7"),
        ("weights", "import", "image.tif"),
        ("weights", "fetch", "nothing"),
        ("demo", "--out", "none/demo"),
    ]
    runs = [
        subprocess.run(
            [sys.executable, *flags, "-c", REFUSED], capture_output=True, text=True, check=True,
            input=json.dumps([list(map(str, arguments)) for arguments in commands]),
        ).stdout.splitlines()
        for flags in ([], ["-O"])
    ]  # fmt: skip
    assert runs[0] == runs[1]
    for arguments, (status, line) in zip(commands, map(json.loads, runs[0]), strict=True):
        assert status == 2 and line.startswith("napari-cem: "), arguments


def test_a_bug_ends_with_exit_status_1_and_a_traceback(files):
    program = "import sys; from napari_cem import cli, doctor; doctor.examine = None; cli.main()"
    for flags in ([], ["-O"]):
        done = subprocess.run(
            [sys.executable, *flags, "-c", program, "doctor"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("TypeError")
