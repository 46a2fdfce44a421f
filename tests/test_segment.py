"""Segmenting stacks: planes, formats, sizes, and runs that were stopped."""

import logging

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from samples import cells, scribbles

import napari_cem as cem
from napari_cem.images import open_volume
from napari_cem.intensity import Intensity, measure


@pytest.fixture
def three(tmp_path_factory):
    """A model of three classes with the values 0, 127 and 300."""
    return cem.Model.from_weights(
        "scratch", {0: "background", 127: "my/elin", 300: "axon"}, widths=[32, 16, 16, 16, 16]
    )


class Counted:
    """An array that counts the slices that are read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, []

    def __getitem__(self, z):
        self.read.append(z)
        return self.array[z]


def test_an_array_comes_back_as_an_array_of_its_shape(model):
    labels = cem.segment(cells(3), model)
    assert labels.shape == (3, 96, 96)
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {1, 2}


def test_an_image_comes_back_as_an_image(model, tmp_path):
    assert cem.segment(cells(1)[0], model).shape == (96, 96)
    assert cem.segment(cells(1)[0], model, probabilities=True).shape == (2, 96, 96)
    cem.segment(cells(1)[0], model, tmp_path / "o.zarr")
    assert zarr.open(tmp_path / "o.zarr")["0"].shape == (96, 96)


def test_labels_are_the_classified_probabilities(model):
    probabilities = cem.segment(cells(2), model, probabilities=True)
    assert (cem.segment(cells(2), model) == model.classify(probabilities)).all()


@pytest.mark.parametrize(("planes", "axis"), [("xz", 1), ("yz", 2)])
def test_a_plane_is_the_stack_cut_the_other_way(model, planes, axis):
    stack = cells(20)[:, :40, :50]
    turned = np.moveaxis(stack, axis, 0)
    constants = measure(stack).intensity
    straight = cem.segment(turned, model, intensity=constants, probabilities=True)
    found = cem.segment(stack, model, planes=planes, intensity=constants, probabilities=True)
    assert (np.moveaxis(found, axis + 1, 1)[1] == straight[1]).all()


def test_a_slice_alone_is_segmented_as_in_its_stack(model, tmp_path):
    stack = cells(9)
    constants = measure(stack).intensity
    together = cem.segment(stack, model, tmp_path / "o.zarr", intensity=constants)
    for z in (0, 3, 4, 8):
        alone = cem.segment(stack[z], model, intensity=constants)
        assert (alone == open_volume(together).slice(z)).all()


def test_a_scale_shows_the_network_another_size_and_gives_back_the_same_shape(model):
    stack = cells(2)[:, :90, :70]
    large = np.kron(stack, np.ones((2, 2), np.uint8))
    constants = measure(stack).intensity
    straight = cem.segment(stack, model, intensity=constants, probabilities=True)[1]
    found = cem.segment(large, model, intensity=constants, probabilities=True, scale=0.5)[1]
    assert found.shape == large.shape
    small = found.reshape(2, 90, 2, 70, 2).mean(axis=(2, 4))
    assert np.corrcoef(small.ravel(), straight.ravel())[0, 1] > 0.98
    labels = cem.segment(large, model, intensity=constants, scale="0.5")
    assert labels.shape == large.shape and labels.dtype == np.uint8


def test_the_scale_can_be_that_of_the_training(model, tmp_path):
    volume = open_volume(cells(1)[0])
    model.update_card(pixel_nm=8.0)
    volume.pixel_nm = 4.0
    half = cem.segment(cells(1)[0], model, scale=0.5)
    assert (cem.segment(volume, model, scale="model") == half).all()
    volume.pixel_nm = 0.0
    with pytest.raises(ValueError, match="pixel size of image is not known"):
        cem.segment(volume, model, scale="model")


@pytest.mark.parametrize("scale", ["big", "0", 17, float("nan")])
def test_a_scale_that_is_none_is_refused(model, scale):
    with pytest.raises(ValueError, match="the scale is"):
        cem.segment(cells(1)[0], model, scale=scale)
    with pytest.raises(ValueError, match="goes with xy only"):
        cem.segment(cells(2), model, planes="ortho", scale=2)


def test_ortho_is_the_mean_of_the_three_planes(model):
    stack = cells(20)[:, :40, :50]
    parts = [cem.segment(stack, model, planes=p, probabilities=True) for p in ("xy", "xz", "yz")]
    found = cem.segment(stack, model, planes="ortho", probabilities=True)
    assert np.abs(found[1] - np.mean(parts, axis=0)[1]).max() < 1e-6
    assert np.abs(found.sum(axis=0) - 1).max() < 1e-6
    labels = cem.segment(stack, model, planes="ortho")
    assert (labels == model.classify(found)).all()


@pytest.mark.parametrize(
    "convert",
    [
        lambda p: p.astype(np.uint16) * 16,
        lambda p: p.astype(np.uint16) * 257,
        lambda p: p.astype(np.float32) / 255,
        lambda p: p.astype(np.float64) * 257,
        lambda p: (p.astype(np.int16) - 128).astype(np.int8),
        lambda p: p.astype(np.int32) * 65536,
    ],
    ids=["12 bit", "16 bit", "float 0-1", "float 0-65535", "signed", "int32"],
)
def test_the_type_of_the_pixels_does_not_change_the_result(model, convert):
    expected = cem.segment(cells(2), model)
    found = cem.segment(convert(cells(2)), model)
    assert (found != expected).mean() < 1e-3


@pytest.mark.parametrize("shape", [(1, 33, 65), (3, 1, 40), (4, 31, 7), (3, 20, 3)])
def test_stacks_of_any_shape_keep_it(model, shape):
    stack = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    for planes in ("xy", "ortho"):
        assert cem.segment(stack, model, planes=planes).shape == shape


def test_a_tiff_keeps_its_pixel_size_and_opens_in_imagej(model, tmp_path):
    tifffile.imwrite(
        tmp_path / "i.tif", cells(3), imagej=True, resolution=(1 / 0.008, 1 / 0.008),
        metadata={"axes": "ZYX", "spacing": 0.04, "unit": "um"},
    )  # fmt: skip
    cem.segment(tmp_path / "i.tif", model, tmp_path / "o.tif")
    made = open_volume(tmp_path / "o.tif")
    assert made.dtype == np.uint8
    assert (round(made.pixel_nm, 3), round(made.spacing_nm, 3)) == (8.0, 40.0)
    with tifffile.TiffFile(tmp_path / "o.tif") as file:
        assert file.is_imagej
        assert file.series[0].shape == (3, 96, 96)
        told = file.imagej_metadata
        pixels, lengths = file.pages[0].tags["XResolution"].value
        nanometres = {"nm": 1, "um": 1000, "micron": 1000, "\\u00B5m": 1000}[told["unit"]]
        assert told["spacing"] * nanometres == pytest.approx(40)
        assert lengths / pixels * nanometres == pytest.approx(8)
        assert (file.asarray() == cem.segment(cells(3), model)).all()


def test_every_output_holds_the_same_labels(model, tmp_path):
    expected = cem.segment(cells(3), model)
    for name in ("o.tif", "o.zarr"):
        assert cem.segment(cells(3), model, tmp_path / name) == tmp_path / name
        volume = open_volume(tmp_path / name)
        assert (np.stack([volume.slice(z) for z in range(3)]) == expected).all()
    cem.segment(cells(3)[1], model, tmp_path / "o.png", intensity=Intensity(120, 0.02))
    alone = cem.segment(cells(3)[1], model, intensity=Intensity(120, 0.02))
    assert (np.asarray(Image.open(tmp_path / "o.png")) == alone).all()


def test_a_folder_of_slices_is_one_stack(model, tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    for z in reversed(range(11)):
        Image.fromarray(cells(11)[z]).save(folder / f"s{z}.png")
    (folder / "Thumbs.db").write_text("x")
    assert (cem.segment(folder, model) == cem.segment(cells(11), model)).all()


def test_an_ome_zarr_result_names_classes_and_pixel_size(model, tmp_path):
    volume = open_volume(cells(2))
    volume.pixel_nm, volume.spacing_nm = 8.0, 40.0
    cem.segment(volume, model, tmp_path / "o.zarr")
    group = zarr.open(tmp_path / "o.zarr", mode="r")
    image = group.attrs["ome"]["multiscales"][0]
    assert [axis["unit"] for axis in image["axes"]] == ["nanometer"] * 3
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"] == [40.0, 8.0, 8.0]
    assert group.attrs["classes"][1]["name"] == "disk"


def test_label_values_beyond_255_take_16_bits(three, tmp_path):
    labels = cem.segment(cells(2), three)
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) <= {0, 127, 300}


def test_probabilities_of_two_classes_are_one_stack_of_the_foreground(model, tmp_path):
    cem.segment(cells(2), model, tmp_path / "p.tif", probabilities=True)
    expected = cem.segment(cells(2), model, probabilities=True)
    pages = tifffile.imread(tmp_path / "p.tif")
    assert pages.dtype == np.float32
    assert (pages == expected[1]).all()


def test_probabilities_of_several_classes_are_a_file_each(three, tmp_path):
    cem.segment(cells(2), three, tmp_path / "p.tif", probabilities=True)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["p_axon.tif", "p_background.tif", "p_my_elin.tif"]
    total = sum(tifffile.imread(tmp_path / name) for name in names)
    assert np.abs(total - 1).max() < 1e-5
    with pytest.raises(FileExistsError, match=r"p_background\.tif exists"):
        cem.segment(cells(2), three, tmp_path / "p.tif", probabilities=True)


def test_probabilities_in_zarr_hold_all_classes(three, tmp_path):
    cem.segment(cells(2), three, tmp_path / "p.zarr", probabilities=True)
    array = zarr.open(tmp_path / "p.zarr", mode="r")["0"]
    assert array.shape == (3, 2, 96, 96)
    assert (array[:] == cem.segment(cells(2), three, probabilities=True)).all()


def test_slices_are_read_in_small_numbers_and_scratch_is_removed(model, tmp_path):
    source = Counted(np.tile(cells(1), (200, 1, 1)))
    seen = []
    cem.segment(
        source, model, tmp_path / "o.tif", threads=1,
        progress=lambda done, total: seen.append((done, len(source.read), total)),
    )  # fmt: skip
    sampled = seen[0][1]
    assert sampled == 64
    assert seen[-1][::2] == (200, 200)
    assert max(read - sampled - done for done, read, _ in seen) <= 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.tif"]


def stopped(source, model, out, after, **options):
    """Runs until `after` slices are done and then fails like a machine that goes down."""

    def progress(done, total):
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cem.segment(source, model, out, threads=1, progress=progress, **options)


@pytest.mark.parametrize("planes", ["xy", "yz", "ortho"])
def test_a_run_that_was_stopped_goes_on_to_the_same_file(model, tmp_path, planes, caplog):
    stack = cells(9)[:, :33, :40]
    cem.segment(stack, model, tmp_path / "straight.tif", planes=planes)
    stopped(stack, model, tmp_path / "o.tif", 5, planes=planes)
    assert not (tmp_path / "o.tif").exists()
    first = []
    cem.segment(
        stack, model, tmp_path / "o.tif", planes=planes, resume=True,
        progress=lambda done, total: first.append(done),
    )  # fmt: skip
    assert first[0] >= 5
    assert (tmp_path / "o.tif").read_bytes() == (tmp_path / "straight.tif").read_bytes()
    assert not (tmp_path / "o.tif.partial").exists()


def test_slices_that_are_done_are_not_computed_again(model, tmp_path):
    stack = np.tile(cells(1), (10, 1, 1))
    stopped(stack, model, tmp_path / "o.tif", 6)
    source = Counted(stack)
    cem.segment(source, model, tmp_path / "o.tif", resume=True)
    computed = source.read[10:]
    assert computed == [6, 7, 8, 9]


def test_what_is_left_of_another_run_is_neither_used_nor_lost(model, tmp_path):
    stopped(cells(4), model, tmp_path / "o.tif", 2)
    with pytest.raises(FileExistsError, match=r"o\.tif\.partial is left from a run"):
        cem.segment(cells(4), model, tmp_path / "o.tif")
    with pytest.raises(ValueError, match="belongs to a run with another image"):
        cem.segment(cells(4, seed=1), model, tmp_path / "o.tif", resume=True)
    other = model.copy()
    other.update_card(threshold=0.123)
    with pytest.raises(ValueError, match="belongs to a run with another model"):
        cem.segment(cells(4), other, tmp_path / "o.tif", resume=True)
    cem.segment(cells(4), model, tmp_path / "o.tif", resume=True)


def test_a_run_that_fails_before_its_first_slice_leaves_nothing(model, tmp_path):
    stopped(cells(4), model, tmp_path / "o.tif", 0)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_result_is_replaced_only_when_told_to(model, tmp_path):
    for name in ("o.tif", "o.zarr"):
        cem.segment(cells(1), model, tmp_path / name)
        with pytest.raises(FileExistsError):
            cem.segment(cells(2), model, tmp_path / name)
        assert open_volume(tmp_path / name).shape[0] == 1
        cem.segment(cells(2), model, tmp_path / name, overwrite=True)
        assert open_volume(tmp_path / name).shape[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.tif", "o.zarr"]


def test_a_pixel_size_unlike_that_of_the_training_is_a_warning(model, caplog):
    model.update_card(pixel_nm=8.0)
    volume = open_volume(cells(1))
    for size, warned in ((8.0, False), (9.0, False), (10.0, True), (5.0, True), (0.0, False)):
        volume.pixel_nm = size
        caplog.clear()
        cem.segment(volume, model)
        found = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert bool(found) == warned
        assert not warned or f"{size:g} nm, those of the model's training 8 nm" in found[0].message


def test_inverted_contrast_is_a_warning(model, caplog):
    cem.segment(255 - cells(2), model)
    assert any("looks inverted" in record.message for record in caplog.records)
    caplog.clear()
    cem.segment(cells(2, seed=4), model)
    assert not any(record.levelno == logging.WARNING for record in caplog.records)


def test_the_constants_of_the_intensity_are_logged(model, caplog):
    caplog.set_level(logging.INFO, "napari_cem")
    cem.segment(cells(2), model)
    found = measure(cells(2)).intensity
    assert f"intensity offset {found.offset:.6g}, scale {found.scale:.6g}" in caplog.text


def test_a_warm_model_segments_what_its_scribbles_showed(model):
    labels = cem.segment(cells(3), model)
    truth = scribbles(3)
    where = truth > 0
    assert (labels[where] == truth[where]).mean() > 0.7
