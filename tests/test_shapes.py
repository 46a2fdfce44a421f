"""Stacks of one slice or ten, four pixels wide or four slices deep: from labels to a table."""

import numpy as np
import pytest
import tifffile
import zarr
from samples import cells, scribbles

import napari_cem as cem
from napari_cem.finetuning import Plan, finetune
from napari_cem.live import Live, Rounded
from napari_cem.object_files import make_objects
from napari_cem.preview import View
from napari_cem.session import Session


def painted(shape):
    """Labels of `shape` with a stroke of background and one of a class on the last slice."""
    labels = np.zeros(shape, np.uint8)
    labels[-1, 1:3], labels[-1, 8:10] = 1, 2
    return labels


def save(path, stack):
    if path.suffix == ".npy":
        np.save(path, stack)
    elif path.suffix == ".zarr":
        zarr.save_array(path, stack)
    else:
        tifffile.imwrite(path, stack, photometric="minisblack", metadata=None)
    return path


@pytest.mark.parametrize(
    ("shape", "ending"),
    [
        ((3, 24, 32), "tif"),
        ((4, 24, 32), "tif"),
        ((24, 32, 4), "tif"),
        ((1, 24, 32), "tif"),
        ((32, 24, 3), "npy"),
        ((1, 24, 32), "zarr"),
        ((24, 32, 4), "zarr"),
    ],
)
def test_the_first_axis_is_z_from_labels_to_objects(tmp_path, model_file, shape, ending):
    image = save(tmp_path / f"i.{ending}", np.random.default_rng(0).integers(0, 255, shape, "u1"))
    labels = save(tmp_path / f"l.{ending}", painted(shape))
    plan = Plan(model_file, steps=1, options={"crop": 32, "batch": 1})
    model, _ = finetune(image, labels, tmp_path / "m.safetensors", plan)
    single = shape[0] == 1 and ending == "tif"  # a TIFF of one page is an image
    assert model.card["data"][0]["shape"] == list(shape[single:])
    cem.segment(image, model, tmp_path / "o.tif")
    assert tifffile.imread(tmp_path / "o.tif").shape == shape[shape[0] == 1 :]
    make_objects(tmp_path / "o.tif", tmp_path / "n.tif", tmp_path / "t.csv")
    assert tifffile.imread(tmp_path / "n.tif").shape == shape[shape[0] == 1 :]


@pytest.mark.parametrize("depth", range(1, 11))
def test_stacks_of_any_depth_go_all_the_way(model, depth):
    stack, labels = cells(depth, 32), scribbles(depth, 32, annotated=depth // 2)
    trainer = cem.Trainer(model, crop=32, batch=1)
    trainer.add(stack, labels)
    assert [report.step for report in trainer.run(steps=1)] == [1]
    for planes in ("xy", "ortho"):
        found = cem.segment(stack, model, planes=planes)
        assert found.shape == stack.shape
        assert set(np.unique(found)) <= {1, 2}
    objects, class_of = cem.find_objects(labels, fill=True)
    table = cem.measure_objects(objects, (40, 8, 8), class_of=class_of, image=stack)
    assert table["voxels"].sum() == (labels == 2).sum()
    assert len(table) == len(class_of) > 0


@pytest.mark.parametrize("depth", [1, 10])
def test_a_stack_of_any_depth_can_be_painted_live_and_kept(tmp_path, model, depth):
    stack, last = cells(depth, 48), depth - 1
    session = Session(tmp_path / "s.cem", stack.shape)
    live = Live(stack, model)
    live.look(View(last, (0, 48), (0, 48)))
    live.annotate(last, scribbles(1, 48)[0])
    live.train(0.05)
    assert Rounded in [type(event) for event in live.work()]
    session.save_slice(last, scribbles(1, 48)[0])
    session.save_model(live.model)
    session.update()
    again = Session.open(tmp_path / "s.cem")
    assert again.annotated() == [last]
    assert again.load_model().fingerprint() == live.model.fingerprint()


@pytest.mark.parametrize("images", [16, 17, 336])
def test_any_number_of_images_trains(model, images):
    trainer = cem.Trainer(model, crop=32, batch=4)
    for number in range(images):
        trainer.add(cells(1, 32, number)[0], scribbles(1, 32)[0])
    reports = list(trainer.run(steps=3))
    assert [report.step for report in reports] == [1, 2, 3]
    assert len(model.card["data"]) == images
