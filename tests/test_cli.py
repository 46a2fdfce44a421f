"""The command line: what it lists, prints, and returns, and that it agrees with Python."""

import json
import signal
import time

import numpy as np
import pytest
import tifffile
from PIL import Image
from samples import cells, scribbles

import napari_cem as cem


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with image.tif and labels.tif, which the command runs in."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("image.tif", cells(3), photometric="minisblack")
    tifffile.imwrite("labels.tif", scribbles(3), photometric="minisblack")
    return tmp_path


def train(*options, image="image.tif", labels="labels.tif", out="m.safetensors"):
    return ("finetune", image, labels, "--out", out, "--weights", "scratch", *options)


def events(out):
    return [json.loads(line) for line in out.splitlines()]


def test_help_lists_the_commands_that_are_there(command):
    status, out, _ = command("--help")
    assert status == 0
    for name in (
        "curate", "demo", "doctor", "weights", "finetune", "segment", "evaluate", "objects",
    ):  # fmt: skip
        assert name in out
    assert "pretrain" not in out


@pytest.mark.parametrize(
    "name",
    [
        "curate",
        "demo",
        "doctor",
        "finetune",
        "segment",
        "evaluate",
        "objects",
        "weights",
        "weights list",
    ],
)
def test_every_command_explains_itself(command, name):
    status, out, _ = command(*name.split(), "--help")
    assert status == 0
    assert "Usage" in out


def test_an_option_that_does_not_exist_is_a_usage_error(command):
    status, _, err = command("doctor", "--nonsense")
    assert status == 2
    assert "--nonsense" in err


def test_a_few_labels_become_a_model_and_a_segmentation(command, folder):
    status, out, _ = command(*train("--steps", 12, "--classes", "background,disk"))
    assert status == 0
    assert out.startswith("trained 12 steps: m.safetensors")
    assert cem.Model.load("m.safetensors").classes == ["background", "disk"]
    status, out, err = command("segment", "image.tif", "--model", "m.safetensors", "--out", "o.tif")
    assert status == 0
    assert out.startswith("wrote o.tif")
    assert "image.tif: 3 x 96 x 96 uint8, intensity offset" in err
    assert (tifffile.imread("o.tif") == cem.segment(cells(3), "m.safetensors")).all()


def test_python_and_the_command_line_make_the_same_model(command, folder):
    command(*train("--steps", 3, "--classes", "background,disk", "--seed", 5))
    model = cem.Model.from_weights("scratch", ["background", "disk"], seed=5)
    trainer = cem.Trainer(model, seed=5, freeze="all")
    trainer.add(cells(3), scribbles(3))
    list(trainer.run(steps=3))
    model.save("python.safetensors")
    with open("m.safetensors", "rb") as one, open("python.safetensors", "rb") as other:
        assert one.read() == other.read()


def test_json_lines_tell_progress_notes_and_the_result(command, folder):
    status, out, err = command(*train("--steps", 4, "--json"))
    assert (status, err) == (0, "")
    lines = events(out)
    assert lines[0] == {"event": "note", "message": "starting from scratch"}
    steps = [line for line in lines if line["event"] == "progress"]
    assert steps[-1]["done"] == steps[-1]["total"] == 4
    assert steps[-1]["unit"] == "step" and steps[-1]["loss"] > 0
    assert lines[-1]["event"] == "result"
    assert lines[-1]["model"] == "m.safetensors" and lines[-1]["steps"] == 4
    status, out, _ = command(
        "segment", "image.tif", "--model", "m.safetensors", "--out", "o.zarr", "--json"
    )
    lines = events(out)
    slices = [line["done"] for line in lines if line["event"] == "progress"]
    assert slices == sorted(slices) and slices[-1] == 3
    assert lines[-1]["out"] == "o.zarr"


def test_errors_are_a_json_line_too(command, folder):
    status, out, err = command("segment", "none.tif", "--model", "m", "--out", "o.tif", "--json")
    assert status == 2
    assert events(out) == [{"event": "error", "message": "none.tif does not exist"}]
    assert err == "napari-cem: none.tif does not exist\n"


def test_pairs_are_matched_by_name_whatever_the_order_of_the_files(command, folder):
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for k in (2, 0, 1):
        Image.fromarray(cells(3)[k]).save(f"images/s{k}.png")
    for k in (1, 2, 0):
        tifffile.imwrite(f"labels/s{k}.tif", scribbles(1)[0] * (k + 1 if k < 2 else 1))
    tifffile.imwrite("labels/s1.tif", np.where(scribbles(1)[0] == 2, 2, 1).astype(np.uint8))
    (folder / "images" / "Thumbs.db").write_text("x")
    status, _, err = command(*train("--steps", 1, image="images", labels="labels"))
    assert status == 0, err
    card = cem.Model.load("m.safetensors").card
    counted = [source["labels"].get("1") for source in card["data"]]
    assert counted == [560, 96 * 96 - 128, 560]
    assert len({source["offset"] for source in card["data"]}) == 1


def test_dense_labels_keep_their_values(command, folder):
    labels = np.where(cells(3) < 110, 255, 0).astype(np.uint8)
    labels[:, :20, :20] = 127
    tifffile.imwrite("dense.tif", labels, photometric="minisblack")
    names = "background=0,corner=127,disk=255"
    status, _, err = command(
        *train("--steps", 2, "--dense", "--classes", names, labels="dense.tif")
    )
    assert status == 0, err
    assert cem.Model.load("m.safetensors").values == [0, 127, 255]
    assert set(np.unique(cem.segment(cells(1), "m.safetensors"))) <= {0, 127, 255}


def test_classes_without_names_take_the_values_of_the_labels(command, folder):
    labels = scribbles(3)
    labels[labels == 2] = 9
    tifffile.imwrite("labels.tif", labels, photometric="minisblack")
    command(*train("--steps", 1))
    entries = cem.Model.load("m.safetensors").class_entries
    assert [(entry["name"], entry["value"]) for entry in entries] == [
        ("background", 1),
        ("class 9", 9),
    ]


def test_training_goes_on_from_a_model_and_from_a_checkpoint(command, folder):
    command(*train("--steps", 6, out="straight.safetensors"))
    command(*train("--steps", 3, "--checkpoint", "state"))
    status, out, _ = command(
        *train("--steps", 6, "--checkpoint", "state", "--resume", out="resumed.safetensors")
    )
    assert status == 0
    assert out.startswith("trained 6 steps")
    with open("straight.safetensors", "rb") as one, open("resumed.safetensors", "rb") as other:
        assert one.read() == other.read()
    status, _, err = command(
        "finetune", "image.tif", "labels.tif", "--out", "more.safetensors",
        "--weights", "m.safetensors", "--steps", 1,
    )  # fmt: skip
    assert status == 0
    assert "going on with the model m.safetensors" in err


def test_the_paper_recipe_runs_from_the_command_line(command, folder):
    tifffile.imwrite("dense.tif", (cells(3) < 110).astype(np.uint8), photometric="minisblack")
    status, _, err = command(
        *train(
            "--steps", 1, "--recipe", "cem500k", "--freeze", "layer4",
            "--set", "crop=64", "--set", "batch=2", "--set", "class_weights=0.1,1",
            labels="dense.tif",
        )
    )  # fmt: skip
    assert status == 0, err
    card = cem.Model.load("m.safetensors").card
    assert card["training"]["first_stage"] == 4
    assert card["intensity_rule"] == "norms"


def test_an_existing_model_is_replaced_when_told_to(command, folder):
    (folder / "m.safetensors").write_text("old")
    assert command(*train("--steps", 1))[0] == 2
    assert (folder / "m.safetensors").read_text() == "old"
    assert command(*train("--steps", 1, "--overwrite"))[0] == 0
    assert cem.Model.load("m.safetensors").classes[0] == "background"


def test_the_doctor_names_library_instruction_set_and_weights(command):
    status, out, _ = command("doctor")
    assert status == 0
    assert "libcem" in out and "oneDNN" in out and "weights cem500k" in out
    status, out, _ = command("doctor", "--json")
    assert events(out)[0]["cores"] == str(cem._core.cores())


def test_weights_are_listed(command):
    status, out, _ = command("weights", "list")
    assert status == 0
    assert "cem500k" in out and "not in the cache" in out


def wait_for_progress(process, event):
    """Reads JSON lines of `process` until `event` says so."""
    for line in process.stdout:
        if event(json.loads(line)):
            return
    pytest.fail(f"the command ended first: {process.stderr.read()}")


@pytest.mark.parametrize("what", ["finetune", "segment"])
def test_ctrl_c_stops_within_a_second_and_leaves_no_result(start, folder, model_file, what):
    tifffile.imwrite("long.tif", np.tile(cells(1), (300, 1, 1)), photometric="minisblack")
    if what == "finetune":
        process = start(*train("--seconds", 600, "--json"))
    else:
        process = start("segment", "long.tif", "--model", model_file, "--out", "o.tif", "--json")
    wait_for_progress(process, lambda line: line["event"] == "progress" and line["done"] > 0)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 1.0
    assert process.returncode == 2
    assert err.splitlines()[-1].startswith("napari-cem: stopped by Ctrl-C")
    assert "Traceback" not in err
    assert not (folder / "m.safetensors").exists() and not (folder / "o.tif").exists()
