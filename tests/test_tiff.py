"""TIFF files of other programs are read as tifffile reads them, and ours open elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cem import _core

DTYPES = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64"]


def stack(dtype: str, depth: int = 3, height: int = 37, width: int = 53) -> np.ndarray:
    """A (z, y, x) stack that needs the sign and the fraction of its type."""
    values = np.arange(depth * height * width).reshape(depth, height, width) * 37 % 211
    if dtype.startswith("int"):
        values = values - 100
    return (values / 4 if dtype.startswith("float") else values % 128).astype(dtype)


def read(path: Path) -> np.ndarray:
    """All pages of a file, (z, y, x)."""
    file = _core.Tiff(path)
    pages = np.empty((file.pages, file.height, file.width), file.dtype)
    for index, page in enumerate(pages):
        file.read(index, page)
    file.close()
    return pages


def sizes(path: Path) -> tuple[float, float]:
    """Pixel side and slice distance in nm."""
    file = _core.Tiff(path)
    return file.pixel_nm, file.spacing_nm


def write(path: Path, pages: np.ndarray, **options: float) -> None:
    """A whole file of ours."""
    file = _core.TiffWriter(path, *pages.shape, pages.dtype, **options)
    for page in pages:
        file.write(page)
    file.finish()
    file.close()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 8}, {"tile": (16, 32)}])
def test_strips_and_tiles_of_every_type_are_read_as_tifffile_wrote_them(
    tmp_path: Path, dtype: str, byteorder: str, bigtiff: bool, layout: dict
) -> None:
    pages = stack(dtype)
    path = tmp_path / "a.tif"
    for options in ({}, {"compression": "zlib"}):
        tifffile.imwrite(
            path,
            pages,
            photometric="minisblack",
            byteorder=byteorder,
            bigtiff=bigtiff,
            **layout,
            **options,
        )
        np.testing.assert_array_equal(read(path), pages)


def test_planar_bilevel_and_white_is_zero_files_are_read_as_tifffile_reads_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.tif"
    for pages, options in (
        (stack("uint16")[0], {"planarconfig": "separate", "photometric": "minisblack"}),
        (stack("uint8") > 60, {}),
        (stack("uint8"), {"photometric": "miniswhite"}),
    ):
        tifffile.imwrite(path, pages, **options)
        pages = read(path)
        np.testing.assert_array_equal(pages, tifffile.imread(path).reshape(pages.shape))


@pytest.mark.parametrize("truncate", [False, True])
def test_imagej_stacks_are_read_with_their_pixel_size(tmp_path: Path, truncate: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        stack("uint16"),
        imagej=True,
        truncate=truncate,
        resolution=(250, 250),
        metadata={"axes": "ZYX", "unit": "um", "spacing": 0.04},
    )
    np.testing.assert_array_equal(read(path), stack("uint16"))
    assert sizes(path) == (4, 40)


def test_ome_files_are_read_with_their_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.004,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeZ": 50,
        "PhysicalSizeZUnit": "nm",
    }
    tifffile.imwrite(path, stack("uint8"), ome=True, photometric="minisblack", metadata=metadata)
    np.testing.assert_array_equal(read(path), stack("uint8"))
    assert sizes(path) == (4, 50)


@pytest.mark.parametrize(("resolution", "unit"), [(1, "NONE"), (72, "INCH"), (300, "INCH")])
def test_a_print_resolution_is_not_a_pixel_size(
    tmp_path: Path, resolution: float, unit: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, stack("uint8")[0], resolution=(resolution, resolution), resolutionunit=unit
    )
    assert sizes(path) == (0, 0)


def test_pages_of_a_pyramid_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = stack("uint8", height=32, width=64)
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, photometric="minisblack", metadata=None)
            file.write(page[::2, ::2], photometric="minisblack", metadata=None, subfiletype=1)
    np.testing.assert_array_equal(read(path), pages)


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (np.zeros((8, 9, 3), np.uint8), {"photometric": "rgb"}, "3 values a pixel"),
        (
            np.zeros((8, 9), np.uint8),
            {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)},
            "palette",
        ),
        (np.zeros((8, 9), np.float16), {}, "16-bit float"),
        (np.zeros((8, 9), np.complex64), {}, "complex"),
        (np.zeros((8, 9), np.int64), {}, "64-bit signed"),
        (
            np.zeros((4, 2, 8, 9), np.uint8),
            {"imagej": True, "metadata": {"axes": "ZCYX"}},
            "2 channels",
        ),
    ],
)
def test_what_is_not_a_grey_stack_is_refused_with_file_and_remedy(
    tmp_path: Path, pixels: np.ndarray, options: dict, message: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options)
    with pytest.raises(ValueError, match=rf"a\.tif'.*{message}.*; (convert|save) "):
        _core.Tiff(path)


@pytest.mark.parametrize("dtype", DTYPES)
def test_our_files_are_imagej_stacks_to_tifffile(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.tif"
    pages = stack(dtype, height=301, width=257)
    write(path, pages, pixel_nm=3.7, spacing_nm=40.5, labels=99)
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), pages)
        assert file.series[0].axes == "ZYX"
        metadata = file.imagej_metadata
        above, below = file.pages[0].tags["XResolution"].value
    assert (metadata["unit"], metadata["spacing"], metadata["max"]) == ("nm", 40.5, 99)
    assert below / above == pytest.approx(3.7, rel=1e-6)
    assert sizes(path) == (3.7, 40.5)
    np.testing.assert_array_equal(read(path), pages)


def test_a_file_that_is_closed_unfinished_leaves_nothing(tmp_path: Path) -> None:
    file = _core.TiffWriter(tmp_path / "a.tif", 3, 37, 53, np.uint8)
    file.write(stack("uint8")[0])
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path, stack("uint8"))
    with pytest.raises(OSError, match=r"a\.tif' exists already"):
        write(path, stack("uint16"))
    np.testing.assert_array_equal(read(path), stack("uint8"))
    write(path, stack("uint16"), overwrite=True)
    np.testing.assert_array_equal(read(path), stack("uint16"))
