"""Training and segmenting from macros in a real ImageJ: the bits of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fiji import ImageJ, bridges, build
from samples import cells, scribbles

Command = Callable[..., tuple[int, str, str]]

TRAIN = "image=image.tif labels=labels.tif weights=scratch"


@pytest.fixture(scope="module")
def imagej() -> ImageJ:
    """ImageJ 1.54p with the plugin."""
    return build()


@dataclass(frozen=True)
class Case:
    """An image with labels, and options of training, for the macro and for the command line."""

    image: np.ndarray
    labels: np.ndarray
    options: str = ""
    arguments: tuple[str, ...] = ()


def odd() -> Case:
    """8 bits, sides that are no multiples of 32."""
    return Case(cells(4, 101)[:, :, :75], scribbles(4, 101)[:, :, :75])


def three_classes() -> Case:
    """16 bits, three classes with names and values, and options of training."""
    image = cells(3, 90).astype(np.uint16) * 201 + 7
    labels = scribbles(3, 90).astype(np.uint16)
    labels[1, 70:73, 5:80] = 300
    return Case(
        image, labels,
        "classes=[background=1, a disk=2, else=300] seed=7 "
        "set=[class_weights=1,2,0.5 learning_rate=0.001 batch=2]",
        ("--classes", "background=1, a disk=2, else=300", "--seed", "7",
         "--set", "class_weights=1,2,0.5", "--set", "learning_rate=0.001", "--set", "batch=2"),
    )  # fmt: skip


def dense() -> Case:
    """Signed 16 bits and the paper's recipe, in which every pixel counts."""
    image = cells(2, 70).astype(np.int16) * 31 - 3000
    labels = (cells(2, 70) < 110).astype(np.uint8)
    return Case(
        image, labels,
        "recipe=cem500k freeze=layer4 set=[crop=64 batch=2 learning_rate=1] pixel_nm=12",
        ("--recipe", "cem500k", "--freeze", "layer4", "--set", "crop=64", "--set", "batch=2",
         "--set", "learning_rate=1", "--pixel-nm", "12"),
    )  # fmt: skip


def single() -> Case:
    """One image of floats."""
    image = (cells(1, 80)[0] / np.float32(7)).astype(np.float32)
    return Case(image, scribbles(1, 80)[0])


CASES = [odd, three_classes, dense, single]


def write(folder: Path, case: Case) -> None:
    """Saves image.tif, 8 nm a pixel, and labels.tif as ImageJ does."""
    axes = "ZYX"[3 - case.image.ndim :]
    metadata: dict[str, Any] = {"axes": axes, "unit": "nm", "spacing": 30}
    image = case.image
    if image.dtype == np.int16:  # what ImageJ writes for signed pixels
        metadata |= {"cf": 0, "c0": "-32768.0", "c1": "1.0", "vunit": "Gray Value"}
        image = (image.astype(np.int32) + 32768).astype(np.uint16)
    tifffile.imwrite(folder / "image.tif", image, imagej=True, metadata=metadata,
                     resolution=(1 / 8, 1 / 8))  # fmt: skip
    tifffile.imwrite(folder / "labels.tif", case.labels, imagej=True, metadata={"axes": axes})


def finetune(command: Command, folder: Path, case: Case, steps: int = 20) -> Path:
    """The model that the command line makes."""
    out = folder / "python.safetensors"
    image = folder / "image.tif"
    if case.image.dtype == np.int16:
        image = folder / "signed.tif"
        sizes = "ImageJ=1.54p\nimages=2\nslices=2\nunit=nm\nspacing=30\n"
        tifffile.imwrite(image, case.image, description=sizes, resolution=(1 / 8, 1 / 8),
                         resolutionunit="NONE", metadata=None)  # fmt: skip
    status, _, error = command(
        "finetune", image, folder / "labels.tif", "--out", out, "--weights", "scratch",
        "--steps", steps, *case.arguments,
    )  # fmt: skip
    assert not status, error
    return out


def segmented(command: Command, folder: Path, case: Case, *arguments: str) -> bytes:
    """What the command line finds, as a file."""
    out = folder / "python.tif"
    image = folder / ("signed.tif" if case.image.dtype == np.int16 else "image.tif")
    status, _, error = command(
        "segment", image, "--model", folder / "python.safetensors", "--out", out, "--overwrite",
        *arguments,
    )  # fmt: skip
    assert not status, error
    return out.read_bytes()


def opened(folder: Path) -> str:
    """The beginning of a macro."""
    return f'setBatchMode(true); open("{folder}/image.tif"); open("{folder}/labels.tif");\n'


def trained(folder: Path, case: Case, steps: int = 20) -> str:
    """A macro's training."""
    return (
        f'run("CEM Train...", "{TRAIN} steps={steps} output=[{folder}/imagej.safetensors] '
        f'{case.options}");\n'
    )


def saved(folder: Path, name: str, options: str = "") -> str:
    """A macro's segmentation, saved by the core."""
    return (
        f'run("CEM Segment...", "image=image.tif model={folder}/imagej.safetensors '
        f'save={folder}/{name}.tif {options}");\n'
    )


def check_equal(
    imagej: ImageJ, command: Command, folder: Path, case: Case, java: int, kind: str
) -> None:
    """The model, the labels and the probabilities of both ways have the same bytes."""
    write(folder, case)
    macro = opened(folder) + trained(folder, case) + saved(folder, "both", "result=both")
    result = imagej.run(macro, folder, java, f"-Dcem.bridge={kind}")
    assert result.ended, result.output
    model = finetune(command, folder, case)
    assert (folder / "imagej.safetensors").read_bytes() == model.read_bytes()
    assert (folder / "both.tif").read_bytes() == segmented(command, folder, case)
    segmented(command, folder, case, "--probabilities")
    names = [entry["name"] for entry in card(model)["classes"]]
    chosen = names[1:] if len(names) == 2 else names
    for name in chosen:
        safe = name.replace(" ", "_")
        expected = folder / ("python.tif" if len(names) == 2 else f"python_{safe}.tif")
        assert (folder / f"both_{safe}.tif").read_bytes() == expected.read_bytes()


def card(model: Path) -> dict[str, Any]:
    """The card in a file."""
    from napari_cem.weights import read_card

    found: dict[str, Any] = read_card(model)
    return found


def test_a_macro_trains_and_segments_to_the_bytes_of_the_command_line(
    imagej: ImageJ, command: Command, tmp_path: Path
) -> None:
    check_equal(imagej, command, tmp_path, odd(), *bridges()[-1])


@pytest.mark.long
@pytest.mark.parametrize(("java", "kind"), bridges())
@pytest.mark.parametrize("case", CASES)
def test_each_bridge_has_the_bytes_of_the_command_line(
    imagej: ImageJ, command: Command, tmp_path: Path, case: Callable[[], Case], java: int, kind: str
) -> None:
    check_equal(imagej, command, tmp_path, case(), java, kind)


@pytest.mark.long
@pytest.mark.parametrize("case", [odd, three_classes])
def test_every_plane_has_the_bytes_of_the_command_line(
    imagej: ImageJ, command: Command, tmp_path: Path, case: Callable[[], Case]
) -> None:
    write(tmp_path, case())
    planes = ("xz", "yz", "ortho")
    macro = opened(tmp_path) + trained(tmp_path, case(), 2)
    for plane in planes:
        macro += saved(tmp_path, plane, f"planes={plane} result=both")
    result = imagej.run(macro, tmp_path, *bridges()[0][:1])
    assert result.ended, result.output
    finetune(command, tmp_path, case(), 2)
    for plane in planes:
        labels = segmented(command, tmp_path, case(), "--planes", plane)
        assert (tmp_path / f"{plane}.tif").read_bytes() == labels
        segmented(command, tmp_path, case(), "--planes", plane, "--probabilities")
        if case is odd:
            expected = (tmp_path / "python.tif").read_bytes()
            assert (tmp_path / f"{plane}_class_2.tif").read_bytes() == expected
        else:
            expected = (tmp_path / "python_else.tif").read_bytes()
            assert (tmp_path / f"{plane}_else.tif").read_bytes() == expected


def test_a_shown_result_has_the_sizes_and_slice_labels_of_its_image_and_tells_the_card(
    imagej: ImageJ, model_file: Path, tmp_path: Path
) -> None:
    import napari_cem as cem

    write(tmp_path, odd())
    macro = f"""{opened(tmp_path)}
selectImage("image.tif"); setSlice(3); run("Set Label...", "label=third");
run("CEM Segment...", "image=image.tif model={model_file} slices=2-3 result=both");
print(getTitle());
selectImage("image-labels");
setSlice(2); print(getInfo("slice.label"));
getVoxelSize(width, height, depth, unit); print(width, height, depth, unit);
getLut(red, green, blue); print(red[2], green[2], blue[2]);
print(getMetadata("Info"));
saveAs("tiff", "{tmp_path}/shown.tif");
selectImage("image-probabilities"); saveAs("tiff", "{tmp_path}/map.tif");
"""
    result = imagej.run(macro, tmp_path, bridges()[0][0])
    assert result.ended, result.output
    lines = result.output.splitlines()
    assert lines[:4] == ["image-probabilities", "third", "8 8 30 nm", "230 159 0"]
    model = cem.Model.load(model_file)
    classes = next(line for line in lines if line.startswith("classes: "))
    assert json.loads(classes.removeprefix("classes: ")) == model.class_entries
    expected = cem.segment(odd().image, model)[1:3]
    assert np.array_equal(tifffile.imread(tmp_path / "shown.tif"), expected)
    maps = cem.segment(odd().image, model, probabilities=True)[1, 1:3]
    assert np.array_equal(tifffile.imread(tmp_path / "map.tif"), maps)


BAD = [
    ("image=image.tif labels=labels.tif output={0}/m.txt", "must end in .safetensors"),
    ("image=image.tif labels=labels.tif output={0}/none/m.safetensors", "make it first"),
    ("image=image.tif labels=labels.tif output={0}/there.safetensors", "add overwrite"),
    ("image=image.tif labels=labels.tif output={0}/m.safetensors", "napari-cem weights fetch"),
    (TRAIN + " output={0}/m.safetensors color=red", "there is no option color; there are image"),
    (TRAIN + " output={0}/m.safetensors steps=-1", "steps is '-1', must be a whole number"),
    (TRAIN + " output={0}/m.safetensors set=[batch=x]", "batch is x, must be a number"),
    (TRAIN + " output={0}/m.safetensors set=[batch=1.5]", "batch is 1.5, must be a whole number"),
    (TRAIN + " output={0}/m.safetensors set=[bach=2]", "there is no option bach; there are"),
    (TRAIN + " output={0}/m.safetensors recipe=best", "must be one of interactive, cem500k"),
    (TRAIN + " output={0}/m.safetensors classes=a,b,,c", "write names with commas"),
    (TRAIN + " output={0}/m.safetensors classes=a=1,b=5", "the label 2, which is none of"),
    ("image=image.tif labels=empty output={0}/m.safetensors", "has no annotated pixel"),
    ("image=image.tif labels=small output={0}/m.safetensors", "labels have the shape of"),
    ("image=image.tif labels=image.tif output={0}/m.safetensors", "looks like an image"),
    ("image=flat labels=labels.tif output={0}/m.safetensors", "looks like labels"),
    ("image=colour labels=labels.tif output={0}/m.safetensors", "is a colour image"),
    ("image=image.tif labels=overlay output={0}/m.safetensors", "overlay has no ROIs"),
    ("image=nothing labels=overlay output={0}/m.safetensors", "no open image is called 'nothing'"),
]


@pytest.mark.parametrize(("options", "line"), BAD)
@pytest.mark.long
def test_what_cannot_be_trained_on_stops_the_macro_and_writes_nothing(
    imagej: ImageJ, tmp_path: Path, options: str, line: str
) -> None:
    write(tmp_path, odd())
    (tmp_path / "there.safetensors").touch()
    macro = f"""{opened(tmp_path)}
newImage("empty", "8-bit black", 75, 101, 4);
newImage("flat", "8-bit black", 75, 101, 4);
newImage("small", "8-bit black", 75, 100, 4);
newImage("colour", "RGB black", 75, 101, 4);
run("CEM Train...", "{options.format(tmp_path)}");
print("WENT ON"); saveAs("tiff", "{tmp_path}/wrong.tif");
"""
    result = imagej.run(macro, tmp_path, bridges()[0][0])
    assert not result.ended and "WENT ON" not in result.output
    assert any(
        text.startswith("CEM ERROR: ") and line in text for text in result.output.splitlines()
    ), result.output
    assert not (tmp_path / "wrong.tif").exists()
    assert not (tmp_path / "m.safetensors").exists()


def test_a_failed_segmentation_never_saves_the_image_as_its_result(
    imagej: ImageJ, tmp_path: Path
) -> None:
    write(tmp_path, odd())
    (tmp_path / "torch.pth").write_bytes(b"PK\x03\x04 something")
    macro = f"""{opened(tmp_path)}
run("CEM Segment...", "image=image.tif model={tmp_path}/torch.pth");
saveAs("tiff", "{tmp_path}/wrong.tif");
"""
    result = imagej.run(macro, tmp_path, bridges()[0][0])
    assert not result.ended
    assert "CEM ERROR: " in result.output and "napari-cem weights import" in result.output
    assert not (tmp_path / "wrong.tif").exists()
