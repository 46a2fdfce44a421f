"""The dialogs of the Fiji plugin, filled in by a driver, and many commands in one ImageJ."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fiji import ImageJ, build, jdks
from samples import cells, scribbles

pytestmark = pytest.mark.long

JAVA = min(jdks())
SHOTS = os.environ.get("CEM_SHOTS")


@pytest.fixture(scope="module")
def imagej() -> ImageJ:
    """ImageJ 1.54p with the plugin."""
    return build()


def fill(folder: Path, size: int = 96) -> None:
    """An image and its labels."""
    for name, stack in (("image", cells(3, size)), ("labels", scribbles(3, size))):
        tifffile.imwrite(folder / f"{name}.tif", stack, imagej=True, metadata={"axes": "ZYX"})


def shot(folder: Path, name: str) -> list[str]:
    """A line that takes a picture of the screen; CEM_SHOTS names a folder to keep it in."""
    return [f"shot {SHOTS or folder}/{name}.png"]


def recorded(output: str, command: str) -> str:
    """The Recorder's line of a command."""
    return next(line for line in output.splitlines() if line.startswith(f'run("{command}"'))


def test_what_the_recorder_writes_of_training_and_segmenting_gives_the_same_bytes(
    imagej: ImageJ, tmp_path: Path
) -> None:
    fill(tmp_path)
    model, result = tmp_path / "m.safetensors", tmp_path / "out.tif"
    done = imagej.drive(
        [
            f"open {tmp_path}/labels.tif", f"open {tmp_path}/image.tif", "command CEM Train...",
            "set labels labels.tif", f"set output {model}", "set weights scratch", "set steps 25",
            "set classes background,disk", *shot(tmp_path, "train"), "ok",
            f"wait saved {model}", "command CEM Segment...", "set image image.tif",
            f"set model {model}", "set result both", f"set save {result}",
            *shot(tmp_path, "segment"), "ok", "wait out_disk.tif", "recorded",
        ],
        tmp_path, JAVA,
    )  # fmt: skip
    assert done.ended, done.output
    train, segment = recorded(done.output, "CEM Train..."), recorded(done.output, "CEM Segment...")
    assert train == (
        f'run("CEM Train...", "image=image.tif labels=labels.tif output={model} weights=scratch '
        "classes=background,disk recipe=interactive steps=25 seconds=0 freeze=all dense=recipe "
        'set=[] pixel_nm=0 seed=0 threads=0 preview");'
    )
    assert segment == (
        f'run("CEM Segment...", "image=image.tif model={model} result=both planes=xy slices=[] '
        f'save={result} threads=0");'
    )
    files = [model, result, tmp_path / "out_disk.tif"]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    opening = f'open("{tmp_path}/labels.tif"); open("{tmp_path}/image.tif");\n'
    replayed = imagej.run(opening + train + "\n" + segment, tmp_path, JAVA)
    assert replayed.ended, replayed.output
    assert [file.read_bytes() for file in files] == before


def test_what_the_recorder_writes_of_the_other_dialogs_does_the_same(
    imagej: ImageJ, model_file: Path, tmp_path: Path
) -> None:
    fill(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", cells(1, 70)[0])
    stroke = "makeRectangle(3, 4, 5, 6); Roi.setGroup(2); Roi.setPosition(2); Overlay.addSelection;"
    done = imagej.drive(
        [
            f"open {tmp_path}/image.tif", f"macro {stroke} Overlay.setPosition(2);",
            "command CEM Labels from ROIs...", *shot(tmp_path, "rois"), "ok", "title image-labels",
            f'macro saveAs("tiff", "{tmp_path}/first.tif");',
            "command CEM Batch Folder...", f"set input {tmp_path}/in", f"set model {model_file}",
            f"set output {tmp_path}/out", *shot(tmp_path, "batch"), "ok", "wait segmented 1 images",
            "command CEM Model Info...", f"set model {model_file}", *shot(tmp_path, "info"), "ok",
            "wait architecture", "recorded",
        ],
        tmp_path, JAVA,
    )  # fmt: skip
    assert done.ended, done.output
    rois, batch, info = (
        recorded(done.output, f"CEM {name}...")
        for name in ("Labels from ROIs", "Batch Folder", "Model Info")
    )
    assert rois.endswith('"image=image.tif source=overlay classes=[]");')
    assert f"input={tmp_path}/in" in batch and f'"model={model_file}"' in info
    segmented = (tmp_path / "out" / "a.tif").read_bytes()
    (tmp_path / "out" / "a.tif").unlink()
    macro = f"""open("{tmp_path}/image.tif"); {stroke} Overlay.setPosition(2);
{rois}
saveAs("tiff", "{tmp_path}/second.tif");
{batch}
{info}"""
    replayed = imagej.run(macro, tmp_path, JAVA)
    assert replayed.ended and "architecture" in replayed.output, replayed.output
    assert (tmp_path / "out" / "a.tif").read_bytes() == segmented
    first, second = (tifffile.imread(tmp_path / f"{name}.tif") for name in ("first", "second"))
    assert np.array_equal(first, second) and first[1, 4:10, 3:8].min() == 2 and first.sum() == 60


def figures(output: str, word: str) -> list[int]:
    """Numbers that follow a word."""
    return [int(number) for number in re.findall(rf"^{word} (\d+)$", output, re.M)]


def test_esc_ends_any_work_and_leaves_nothing(imagej: ImageJ, tmp_path: Path) -> None:
    fill(tmp_path, 250)
    done = imagej.endure("escape 20", tmp_path, JAVA)
    assert done.ended and "all the same" not in done.output, done.output
    times = figures(done.output, "escaped")
    assert len(times) >= 10, done.output
    print("milliseconds from Esc to the end:", sorted(times))


def test_two_models_at_once_are_what_they_are_one_after_the_other(
    imagej: ImageJ, tmp_path: Path
) -> None:
    fill(tmp_path)
    done = imagej.endure("together", tmp_path, JAVA)
    assert done.ended, done.output
    for name in ("0.safetensors", "1.safetensors", "0.tif", "1.tif"):
        assert (tmp_path / f"together{name}").read_bytes() == (
            tmp_path / f"alone{name}"
        ).read_bytes()


def test_two_hundred_cycles_do_not_grow(imagej: ImageJ, tmp_path: Path) -> None:
    fill(tmp_path, 64)
    done = imagej.endure("cycles 200", tmp_path, JAVA, timeout=900)
    assert done.ended, done.output
    resident = figures(done.output, "resident")
    assert len(resident) == 200
    # before the ninetieth Java still compiles
    assert np.median(resident[180:]) < np.median(resident[90:110]) * 1.05, resident[::10]


def test_slices_of_a_virtual_stack_of_3_gib_are_segmented_in_little_memory(
    imagej: ImageJ, model_file: Path, tmp_path: Path
) -> None:
    import napari_cem as cem
    from napari_cem.intensity import measure

    shape = (3072, 1024, 1024)
    file = tmp_path / "volume.raw"
    with file.open("wb") as handle:
        handle.truncate(int(np.prod(shape)))
    volume = np.memmap(file, np.uint8, "r+", shape=shape)
    chosen = [0, 1, 3070, 3071]
    for z in {*cem._core.sample(shape[0], 64), *chosen}:
        volume[z] = cells(1, 1024, seed=z)[0]
    volume.flush()
    macro = f"""setBatchMode(true);
run("Raw...", "open=[{file}] image=8-bit width=1024 height=1024 number=3072 little-endian use");
run("CEM Segment...", "model={model_file} slices=1-2,3071-3072 save={tmp_path}/found.tif");
"""
    result = imagej.run(macro, tmp_path, JAVA, "-Xmx400m")
    assert result.ended, result.output
    model = cem.Model.load(model_file)
    maps = model.predict(volume[chosen], measure(volume).intensity)
    assert np.array_equal(tifffile.imread(tmp_path / "found.tif"), model.classify(maps))
