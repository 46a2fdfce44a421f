"""More voxels than 32 bits can count: the last slices of files that are mostly holes."""

import numpy as np
import pytest
import tifffile
from samples import cells, scribbles

import napari_cem as cem
from napari_cem.images import open_volume
from napari_cem.live import Live, Rounded
from napari_cem.objects import neighbour_steps
from napari_cem.preview import View, Window
from napari_cem.segmentation import Segmentation
from napari_cem.session import Session

SHAPE = (233_017, 96, 96)  # 2**31 voxels and 1 million
LAST = SHAPE[0] - 1


@pytest.fixture
def large(tmp_path):
    """A .npy file of that shape, with cells in its first and last slices."""
    assert np.prod(SHAPE, dtype=np.int64) > 2**31
    array = np.lib.format.open_memmap(tmp_path / "i.npy", "w+", np.uint8, SHAPE)
    array[:2] = array[-2:] = cells(2)
    array.flush()
    return tmp_path / "i.npy"


def test_the_core_writes_where_32_bits_do_not_reach(model, large):
    stack, out = np.load(large, mmap_mode="r"), np.empty((SHAPE[0], 2, 96, 96), np.float32)
    where = {"first_tile": LAST, "tiles": 1}
    model.core.predict(out, stack, 128.0, 0.02, **where)
    alone = np.empty((1, 2, 96, 96), np.float32)
    model.core.predict(alone, cells(2)[1:], 128.0, 0.02)
    assert (out[-1] == alone[0]).all()
    assert np.abs(out[-1].sum(axis=0) - 1).max() < 1e-6


def test_the_last_slices_of_a_large_volume_are_segmented_as_they_are_alone(model, large):
    job = Segmentation(large, model)
    job.run.compute("xy", LAST - 1, LAST + 1)
    found = np.stack([job.run.labels(z) for z in (LAST - 1, LAST)])
    constants = cem.measure(large).intensity
    assert (found == cem.segment(cells(2), model, intensity=constants)).all()
    assert not job.run.labels(LAST - 2).any()


def test_the_last_slice_of_a_large_volume_is_painted_learned_and_kept(model, large, tmp_path):
    live = Live(large, model)
    live.look(View(LAST, (0, 96), (0, 96)))
    live.annotate(LAST, scribbles(1)[0])
    live.train(0.01)
    assert Rounded in [type(event) for event in live.work()]
    page = live.pages.find(Window(LAST, 0, 0, 96, 96))
    assert set(np.unique(page.labels([1, 2], 0.5))) <= {1, 2}
    Session(tmp_path / "s.cem", SHAPE).save_slice(LAST, scribbles(1)[0])
    session = Session(tmp_path / "s.cem", SHAPE)
    assert session.annotated() == [LAST]
    assert (session.labels[LAST] == scribbles(1)[0]).all()


def test_a_tiff_of_more_than_two_to_the_31_bytes_is_read_to_its_end(tmp_path):
    shape = (2100, 1024, 1024)
    array = tifffile.memmap(tmp_path / "i.tif", shape=shape, dtype=np.uint8, imagej=True)
    array[-1, :96, :96] = cells(1)[0]
    array.flush()
    volume = open_volume(tmp_path / "i.tif")
    assert volume.shape == shape
    assert (volume.slice(2099)[:96, :96] == cells(1)[0]).all()
    assert not volume.slice(2098).any()


def test_neighbours_are_far_apart_in_a_large_stack():
    assert max(neighbour_steps((3, 70_000, 70_000), 6)) == 4_900_000_000
