"""Images, stacks and labels from every kind of source."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_cem import ome_zarr
from napari_cem.images import describe, open_labels, open_volume


def read(volume):
    return np.stack([volume.slice(z) for z in range(volume.shape[0])])


def ramp(*shape, dtype=np.uint8):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


@pytest.mark.parametrize("shape", [(3, 20, 30), (4, 20, 30), (20, 30, 4), (20, 30, 3), (1, 20, 30)])
def test_the_first_axis_is_z_whatever_the_sizes(shape):
    volume = open_volume(ramp(*shape))
    assert volume.shape == shape
    assert volume.ndim == 3
    assert (read(volume) == ramp(*shape)).all()


def test_an_image_is_a_stack_of_one_slice():
    volume = open_volume(ramp(7, 9))
    assert (volume.ndim, volume.shape) == (2, (1, 7, 9))
    assert (volume.slice(0) == ramp(7, 9)).all()


@pytest.mark.parametrize("depth", range(1, 11))
def test_a_tiff_of_any_depth_is_read_page_by_page(tmp_path, depth):
    tifffile.imwrite(tmp_path / "a.tif", ramp(depth, 20, 30), photometric="minisblack")
    volume = open_volume(tmp_path / "a.tif")
    assert volume.shape == (depth, 20, 30)
    assert (read(volume) == ramp(depth, 20, 30)).all()


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pixels_of_every_type_and_byte_order_are_read_right(tmp_path, dtype, byteorder):
    pixels = ramp(2, 20, 30, dtype="uint8").astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, byteorder=byteorder, photometric="minisblack", tile=(16, 16)
    )
    volume = open_volume(tmp_path / "a.tif")
    assert volume.dtype == pixels.dtype
    assert (read(volume) == pixels).all()


def test_an_array_of_foreign_byte_order_comes_out_native():
    pixels = ramp(2, 5, 6).astype(">u2")
    page = open_volume(pixels).slice(1)
    assert page.dtype == np.uint16 and page.dtype.isnative
    assert (page == pixels[1]).all()


@pytest.mark.parametrize(
    ("given", "seen"), [("bool", "uint8"), ("float16", "float32"), ("int64", "float64")]
)
def test_types_the_core_does_not_know_are_widened(given, seen):
    pixels = ramp(5, 6).astype(given)
    page = open_volume(pixels).slice(0)
    assert page.dtype == seen
    assert (page == pixels).all()


def test_a_strided_view_is_handed_on_contiguous():
    pixels = ramp(4, 10, 12)[:, ::2, ::-1]
    page = open_volume(pixels).slice(3)
    assert page.flags.c_contiguous
    assert (page == pixels[3]).all()


@pytest.mark.parametrize("array", [np.zeros((2, 3, 4, 5)), np.zeros(7), np.zeros((0, 5, 5))])
def test_what_is_no_image_or_stack_is_refused_with_its_shape(array):
    with pytest.raises(ValueError, match=str(array.shape).replace("(", r"\(").replace(")", r"\)")):
        open_volume(array)


def test_complex_pixels_are_refused():
    with pytest.raises(ValueError, match="complex128"):
        open_volume(np.zeros((4, 4), complex))


def test_slices_of_a_folder_are_in_the_natural_order_of_their_names(tmp_path):
    for z in (10, 2, 1, 9):
        tifffile.imwrite(tmp_path / f"slice_{z}.tif", np.full((5, 6), z, np.uint8))
    assert read(open_volume(tmp_path))[:, 0, 0].tolist() == [1, 2, 9, 10]


def test_stray_files_of_a_folder_are_ignored_and_counted(tmp_path, caplog):
    caplog.set_level("INFO", "napari_cem")
    Image.fromarray(ramp(5, 6)).save(tmp_path / "0.png")
    for name in ("Thumbs.db", ".DS_Store", "notes.txt", "._0.png"):
        (tmp_path / name).write_text("x")
    assert open_volume(tmp_path).shape == (1, 5, 6)
    assert caplog.messages == [f"{tmp_path}: 1 of 5 entries are images; the others are ignored"]


def test_a_slice_of_another_size_is_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "0.tif", ramp(5, 6))
    tifffile.imwrite(tmp_path / "1.tif", ramp(5, 7))
    volume = open_volume(tmp_path)
    with pytest.raises(ValueError, match=r"1\.tif is 5 x 7 uint8, but .* 2 x 5 x 6 uint8"):
        volume.slice(1)


def test_a_stack_inside_a_folder_of_slices_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "0.tif", ramp(3, 5, 6), photometric="minisblack")
    with pytest.raises(ValueError, match=r"0\.tif has 3 pages"):
        open_volume(tmp_path)


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    with pytest.raises(ValueError, match="holds no slices"):
        open_volume(tmp_path)


def test_grey_stored_as_colour_is_read_as_grey(tmp_path):
    Image.fromarray(np.repeat(ramp(5, 6)[..., None], 3, axis=2)).save(tmp_path / "a.png")
    assert (open_volume(tmp_path / "a.png").slice(0) == ramp(5, 6)).all()


def test_the_alpha_channel_of_a_grey_png_is_left_out(tmp_path):
    pixels = np.stack([ramp(5, 6), np.full((5, 6), 255, np.uint8)], axis=-1)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (open_volume(tmp_path / "a.png").slice(0) == ramp(5, 6)).all()


def test_a_png_of_16_bits_keeps_them(tmp_path):
    pixels = ramp(5, 6).astype(np.uint16) * 257
    Image.fromarray(pixels).save(tmp_path / "a.png")
    page = open_volume(tmp_path / "a.png").slice(0)
    assert page.dtype == np.uint16
    assert (page == pixels).all()


def test_a_png_of_one_bit_is_0_and_1(tmp_path):
    Image.fromarray(ramp(5, 6) > 10).save(tmp_path / "a.png")
    assert (open_labels(tmp_path / "a.png").slice(0) == (ramp(5, 6) > 10)).all()


def test_real_colour_is_refused(tmp_path):
    pixels = np.zeros((5, 6, 3), np.uint8)
    pixels[2, 3] = (9, 8, 7)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is a colour image; convert"):
        open_volume(tmp_path / "a.png")


def test_a_palette_is_refused(tmp_path):
    Image.fromarray(ramp(5, 6)).convert("P").save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png has a colour palette; convert"):
        open_volume(tmp_path / "a.png")


@pytest.mark.parametrize("length", [0, 8, 40, 100])
def test_a_png_that_was_cut_off_is_refused_by_name(tmp_path, length):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)).save(
        tmp_path / "whole.png"
    )
    (tmp_path / "a.png").write_bytes((tmp_path / "whole.png").read_bytes()[:length])
    with pytest.raises(ValueError, match=r"a\.png is not a whole PNG file"):
        open_volume(tmp_path / "a.png")


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.tif does not exist"):
        open_volume(tmp_path / "none.tif")


def test_a_file_of_another_kind_is_refused_with_what_is_read(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"a\.jpg is of a kind .* TIFF, PNG, \.npy, \.zarr"):
        open_volume(tmp_path / "a.jpg")


def test_npy_files_are_mapped_and_objects_in_them_refused(tmp_path):
    np.save(tmp_path / "a.npy", ramp(3, 5, 6))
    assert (read(open_volume(tmp_path / "a.npy")) == ramp(3, 5, 6)).all()
    np.save(tmp_path / "b.npy", np.array([{}], object))
    with pytest.raises(ValueError, match=r"b\.npy is not an array"):
        open_volume(tmp_path / "b.npy")


def test_zarr_arrays_are_read_slice_by_slice(tmp_path):
    import zarr

    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=(3, 5, 6), dtype="uint16")
    array[:] = ramp(3, 5, 6)
    assert (read(open_volume(tmp_path / "a.zarr")) == ramp(3, 5, 6)).all()
    assert (read(open_volume(array)) == ramp(3, 5, 6)).all()


def test_an_ome_zarr_image_brings_its_pixel_size(tmp_path):
    array = ome_zarr.create(tmp_path / "a.zarr", "zyx", (3, 5, 6), "uint8", 8.0, 40.0)
    array[:] = ramp(3, 5, 6)
    volume = open_volume(tmp_path / "a.zarr")
    assert (volume.pixel_nm, volume.spacing_nm) == (8.0, 40.0)
    assert (read(volume) == ramp(3, 5, 6)).all()


def test_a_zarr_group_without_an_image_is_refused(tmp_path):
    import zarr

    zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    with pytest.raises(ValueError, match="without an OME-Zarr image"):
        open_volume(tmp_path / "a.zarr")


def test_a_directory_called_zarr_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ValueError, match=r"a\.zarr is not a zarr array"):
        open_volume(tmp_path / "a.zarr")


def test_lazy_arrays_are_computed_a_slice_at_a_time():
    class Lazy:
        def __init__(self, array):
            self.array, self.shape, self.dtype, self.asked = array, array.shape, array.dtype, []

        def __getitem__(self, z):
            self.asked.append(z)
            return Computed(self.array[z])

    class Computed:
        def __init__(self, array):
            self.array = array

        def compute(self):
            return self.array

    lazy = Lazy(ramp(4, 5, 6))
    assert (open_volume(lazy).slice(2) == ramp(4, 5, 6)[2]).all()
    assert lazy.asked == [2]


def test_samples_are_evenly_spaced_and_reach_both_ends():
    volume = open_volume(np.zeros((1000, 1, 1), np.uint8))
    numbers = volume.sample(64)
    assert (numbers[0], numbers[-1], len(numbers)) == (0, 999, 64)
    assert max(np.diff(numbers)) - min(np.diff(numbers)) <= 1


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint32", "bool"])
def test_labels_of_any_whole_type_come_as_int32(dtype):
    page = open_labels(np.array([[0, 1], [1, 0]], dtype)).slice(0)
    assert page.dtype == np.int32
    assert page.tolist() == [[0, 1], [1, 0]]


def test_labels_that_are_not_whole_numbers_are_refused():
    with pytest.raises(ValueError, match="float64; labels are whole numbers"):
        open_labels(np.zeros((3, 3)))


def test_a_label_beyond_32_bits_is_refused_with_its_value():
    with pytest.raises(ValueError, match="has the label 4294967296"):
        open_labels(np.array([[0, 2**32]])).slice(0)


def test_descriptions_leave_out_the_axis_an_image_does_not_have():
    assert describe(open_volume(ramp(5, 6))) == "5 x 6 uint8"
    assert describe(open_volume(ramp(1, 5, 6))) == "1 x 5 x 6 uint8"
