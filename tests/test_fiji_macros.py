"""The example macros, labels from ROIs, Ext functions and folders, in a real ImageJ."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fiji import PROJECT, ImageJ, bridges, build, jdks
from samples import cells, scribbles

import napari_cem as cem

JAVA = min(jdks())
MACROS = sorted(path.stem for path in (PROJECT / "macros").glob("*.ijm"))


@pytest.fixture(scope="module")
def imagej() -> ImageJ:
    """ImageJ 1.54p with the plugin."""
    return build()


@pytest.fixture
def weights(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> None:
    """Something called cem500k in the cache."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    folder.mkdir(exist_ok=True)
    if not (folder / "cem500k.safetensors").exists():
        cem.Model.from_weights("scratch", seed=5).save(folder / "cem500k.safetensors")


def fill(folder: Path, model_file: Path) -> None:
    """What the examples ask for."""
    image, labels = cells(34, 128)[:, :, :120], scribbles(34, 128, 16)[:, :, :120]
    tifffile.imwrite(folder / "image.tif", image, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "labels.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    truth = np.where(image < 115, np.uint8(2), np.uint8(1))
    tifffile.imwrite(folder / "truth.tif", truth, imagej=True, metadata={"axes": "ZYX"})
    (folder / "membrane.safetensors").write_bytes(model_file.read_bytes())
    (folder / "images").mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(folder / "images" / f"{name}.tif", cells(2, 70, seed=ord(name)))
    (folder / "images" / "notes.txt").write_text("no image")


def example(name: str) -> str:
    """A macro of the folder, with few steps of training."""
    text = (PROJECT / "macros" / f"{name}.ijm").read_text()
    return re.sub(r"steps=300|\b300\b", lambda hit: hit[0].replace("300", "2"), text)


EXPECTED = {
    "batch_folder": ["results/a.tif", "results/b.tif", "results/a_disk.tif", "results/b_disk.tif"],
    "best_of_seeds": ["best.safetensors"],
    "large_stack": ["probabilities.tif"],
    "train_and_segment": ["membrane.safetensors", "membrane.tif"],
    "train_on_rois": ["strokes.safetensors", "strokes.tif"],
}


@pytest.mark.long
@pytest.mark.parametrize("display", ["xvfb", "plain", "patched"])
@pytest.mark.parametrize("name", MACROS)
def test_each_example_runs(
    imagej: ImageJ, weights: None, model_file: Path, tmp_path: Path, name: str, display: str
) -> None:
    fill(tmp_path, model_file)
    for file in EXPECTED[name]:
        (tmp_path / file).unlink(missing_ok=True)
    result = imagej.run(example(name), tmp_path, JAVA, display=display, argument=f"{tmp_path}/")
    assert result.ended and "CEM ERROR" not in result.output, result.output
    for file in EXPECTED[name]:
        assert (tmp_path / file).is_file()


@pytest.mark.long
def test_a_folder_becomes_what_the_command_line_makes_of_each_image(
    imagej: ImageJ, model_file: Path, tmp_path: Path
) -> None:
    fill(tmp_path, model_file)
    macro = example("batch_folder")
    assert imagej.run(macro, tmp_path, JAVA, argument=f"{tmp_path}/").ended
    for name in ("a", "b"):
        image, results = tmp_path / "images" / f"{name}.tif", tmp_path / "results"
        for probabilities, file in ((False, f"{name}.tif"), (True, f"{name}_disk.tif")):
            expected = tmp_path / f"expected {file}"
            cem.segment(image, model_file, expected, probabilities=probabilities)
            assert (results / file).read_bytes() == expected.read_bytes()


DRAW = """
setBatchMode(true);
newImage("image", "8-bit ramp", 40, 30, 3);
makeRectangle(2, 3, 5, 4); Roi.setGroup(1); add(1);
makeLine(20, 5, 30, 5, 3); Roi.setName("2 mitochondrion"); add(2);
makeSelection("freeline", newArray(5, 5, 25), newArray(10, 25, 25)); Roi.setStrokeWidth(3);
Roi.setName("membrane of a cell"); add(3);
makePoint(35, 28); Roi.setGroup(4); add(3);
makeSelection("freeline", newArray(12, 30), newArray(14, 14)); Roi.setGroup(2); add(3);
Roi.remove;
"""
ADD = """
function add(slice) {
    Roi.setPosition(slice);
    Overlay.addSelection; Overlay.setPosition(slice);
}
"""


def drawn() -> np.ndarray:
    """What these ROIs mean."""
    labels = np.zeros((3, 30, 40), np.uint8)
    labels[0, 3:7, 2:7] = 1
    labels[1, 4:7, 20:31] = 2
    labels[2, 9:27, 4:7] = labels[2, 24:27, 4:27] = 3
    labels[2, 28, 35] = 4
    labels[2, 14, 12:31] = 2
    return labels


def test_rois_of_an_overlay_are_drawn_by_group_or_name_at_their_slices(
    imagej: ImageJ, tmp_path: Path
) -> None:
    macro = f"""{DRAW}
run("CEM Labels from ROIs...", "source=overlay classes=background,mito,membrane");
saveAs("tiff", "{tmp_path}/labels.tif");
{ADD}"""
    result = imagej.run(macro, tmp_path, JAVA)
    assert result.ended, result.output
    found = tifffile.imread(tmp_path / "labels.tif")
    differing = np.argwhere(found != drawn())
    corners = {(2, 9, 4), (2, 9, 6), (2, 26, 4), (2, 24, 26), (2, 26, 26)}  # of a round brush
    assert {tuple(map(int, where)) for where in differing} <= corners


@pytest.mark.long
@pytest.mark.parametrize("display", ["xvfb", "patched"])
def test_a_file_with_one_roi_is_drawn(imagej: ImageJ, tmp_path: Path, display: str) -> None:
    macro = f"""{DRAW}
Overlay.activateSelection(0);
saveAs("selection", "{tmp_path}/roi.roi");
run("CEM Labels from ROIs...", "image=image source=[{tmp_path}/roi.roi]");
saveAs("tiff", "{tmp_path}/one.tif");
{ADD}"""
    result = imagej.run(macro, tmp_path, JAVA, display=display)
    assert result.ended, result.output
    assert np.array_equal(tifffile.imread(tmp_path / "one.tif"), drawn() == 1)


@pytest.mark.long
def test_points_of_one_roi_are_drawn_on_its_slice(imagej: ImageJ, tmp_path: Path) -> None:
    macro = f"""setBatchMode(true); newImage("image", "8-bit ramp", 40, 30, 3);
makeSelection("multi-point", newArray(7, 8), newArray(9, 9));
Roi.setGroup(2); Overlay.addSelection; Overlay.setPosition(3);
run("CEM Labels from ROIs...", "source=overlay");
saveAs("tiff", "{tmp_path}/points.tif");
"""
    result = imagej.run(macro, tmp_path, JAVA)
    assert result.ended, result.output
    found = tifffile.imread(tmp_path / "points.tif")
    assert [tuple(map(int, where)) for where in np.argwhere(found)] == [(2, 9, 7), (2, 9, 8)]


@pytest.mark.long
def test_the_roi_manager_and_its_zip_are_drawn_as_the_overlay_is(
    imagej: ImageJ, tmp_path: Path
) -> None:
    macro = f"""{DRAW}
Overlay.removeSelection(3);
run("To ROI Manager");
roiManager("save", "{tmp_path}/rois.zip");
for (i = 0; i < 3; i++) {{
    source = newArray("overlay", "roi_manager", "{tmp_path}/rois.zip");
    selectImage("image");
    if (i == 0) {{ run("From ROI Manager"); }}
    run("CEM Labels from ROIs...", "source=[" + source[i] + "] classes=background,mito,membrane");
    saveAs("tiff", "{tmp_path}/" + i + ".tif");
}}
{ADD}"""
    result = imagej.run(macro, tmp_path, JAVA)
    assert result.ended, result.output
    found = [tifffile.imread(tmp_path / f"{i}.tif") for i in range(3)]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    assert (found[0] != np.where(drawn() == 4, 0, drawn())).sum() <= 5


@pytest.mark.long
@pytest.mark.parametrize(
    ("roi", "line"),
    [
        ('Roi.setName("0002-0010-0015"); add(1);', "ROI 1 (0002-0010-0015) has no class"),
        ('Roi.setName("somewhere"); add(1);', "ROI 1 (somewhere) has no class"),
        ('Roi.setName("70000"); add(1);', "ROI 1 (70000) has no class"),
        ("Roi.setGroup(2); add(0);", "has no slice; set its position to one from 1 to 2"),
    ],
)
def test_a_roi_without_class_or_slice_is_named(
    imagej: ImageJ, tmp_path: Path, roi: str, line: str
) -> None:
    macro = f"""setBatchMode(true); newImage("image", "8-bit ramp", 40, 30, 2);
makeRectangle(2, 3, 5, 4); {roi}
run("CEM Labels from ROIs...", "source=overlay");
{ADD}"""
    result = imagej.run(macro, tmp_path, JAVA)
    assert not result.ended and line in result.output, result.output


EXTENSIONS = """
setBatchMode(true);
open("{0}/image.tif"); open("{0}/labels.tif");
Ext.install("cem.command.MacroExtensions");
loss = -1; model = ""; other = ""; iou = -1;
print(Ext.CEM_version());
Ext.CEM_train("image.tif", "labels.tif", 3, 1, loss, model, "scratch");
Ext.CEM_saveModel(model, "{0}/ext.safetensors");
Ext.CEM_loadModel("{1}", other);
title = Ext.CEM_segment(other, "image.tif");
print(title);
Ext.CEM_iou(title, title, 2, iou);
print("IoU " + iou);
Ext.CEM_segment(model, "image.tif", "probabilities");
Ext.CEM_close(model);
Ext.CEM_close(other);
"""


@pytest.mark.parametrize(
    ("java", "kind"),
    [bridges()[0], *(pytest.param(*one, marks=pytest.mark.long) for one in bridges()[1:])],
)
def test_models_are_trained_and_used_in_memory_through_ext(
    imagej: ImageJ,
    command: Callable[..., tuple[int, str, str]],
    model_file: Path,
    tmp_path: Path,
    java: int,
    kind: str,
) -> None:
    for name, stack in (("image", cells(2, 70)), ("labels", scribbles(2, 70))):
        tifffile.imwrite(tmp_path / f"{name}.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    macro = EXTENSIONS.format(tmp_path, model_file)
    result = imagej.run(macro, tmp_path, java, f"-Dcem.bridge={kind}")
    assert result.ended, result.output
    assert result.output.splitlines()[:3] == [cem.__version__, "image-labels", "IoU 1"]
    python = tmp_path / "python.safetensors"
    command(
        "finetune", tmp_path / "image.tif", tmp_path / "labels.tif", "--out", python,
        "--weights", "scratch", "--steps", 3, "--seed", 1,
    )  # fmt: skip
    assert (tmp_path / "ext.safetensors").read_bytes() == python.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize(
    ("call", "line"),
    [
        ('Ext.CEM_close("model9");', "there is no model 'model9'"),
        ('Ext.CEM_loadModel("/nowhere.safetensors", text);', "/nowhere.safetensors does not exist"),
        ('Ext.CEM_iou("a", "b", 1, number);', "no open image is called 'a'"),
    ],
)
def test_an_ext_function_that_fails_stops_the_macro(
    imagej: ImageJ, tmp_path: Path, call: str, line: str
) -> None:
    macro = f'setBatchMode(true); text = ""; number = 0; run("CEM Macro Extensions"); {call}'
    result = imagej.run(macro, tmp_path, JAVA, display="plain")
    assert not result.ended and f"CEM ERROR: {line}" in result.output, result.output


@pytest.mark.long
def test_model_info_tells_the_card(imagej: ImageJ, model_file: Path, tmp_path: Path) -> None:
    result = imagej.run(f'run("CEM Model Info...", "model={model_file}");', tmp_path, JAVA)
    assert result.ended
    assert "architecture: unet-resnet50" in result.output.splitlines()
    assert '"name":"disk"' in result.output
