"""Objects of a segmentation: which they are, their holes, and their measurements."""

import math
import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import marching_cubes, mesh_surface_area

from napari_cem import fill_holes, find_objects, measure_objects, objects
from napari_cem.measurements import surface_of

SHAPES = [(9, 11, 13), (5, 30, 4), (23, 31)]
REACH = {6: 1, 18: 2, 26: 3}


def structure(connectivity, ndim):
    """SciPy's name for a connectivity."""
    return ndimage.generate_binary_structure(ndim, min(ndim, REACH[connectivity]))


def blobs(seed, shape, values=4, smooth=0.7):
    """Smooth random labels 0 to `values` - 1, with holes and touching parts."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), smooth)
    return np.digitize(noise, np.quantile(noise, np.linspace(0, 1, values + 1)[1:-1]))


def naive_objects(labels, classes, connectivity):
    """Components class by class, then in the order of their first voxels."""
    masks = []
    for value in classes:
        parts, count = ndimage.label(labels == value, structure(connectivity, labels.ndim))
        masks += [(np.flatnonzero(parts == k)[0], value, parts == k) for k in range(1, count + 1)]
    made = np.zeros(labels.shape, np.int64)
    masks.sort(key=lambda entry: entry[0])
    for number, (_, _, mask) in enumerate(masks, 1):
        made[mask] = number
    return made, {number: value for number, (_, value, _) in enumerate(masks, 1)}


def naive_fill(numbers, connectivity):
    """Object by object: what of the complement lies inside and is empty becomes the object."""
    made = numbers.copy()
    outside = np.ones(numbers.shape, bool)
    outside[(slice(1, -1),) * numbers.ndim] = False
    across = structure(objects.COMPLEMENT[connectivity], numbers.ndim)
    for number in np.unique(numbers[numbers > 0]):
        gaps, count = ndimage.label(numbers != number, across)
        for gap in (gaps == k for k in range(1, count + 1)):
            if not (gap & outside).any() and not numbers[gap].any():
                made[gap] = number
    return made


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("shape", SHAPES)
def test_objects_are_the_components_of_each_class_in_the_order_of_their_first_voxels(
    shape, connectivity
):
    for seed in range(5):
        labels = blobs(seed, shape).astype(np.uint8)
        found, class_of = find_objects(labels, connectivity=connectivity)
        expected, classes = naive_objects(labels, (2, 3), connectivity)
        assert found.dtype == np.uint32
        assert (found == expected).all()
        assert class_of == classes
        assert len(class_of) > 3


def test_the_order_of_axes_in_memory_does_not_change_the_numbers():
    labels = blobs(0, (9, 11, 13)).astype(np.int16)
    found, class_of = find_objects(labels)
    turned, classes = find_objects(np.asfortranarray(labels))
    assert (found == turned).all() and class_of == classes


def test_only_the_classes_asked_for_become_objects():
    labels = np.array([[1, 1, 0, 2, 2, 0, 300]], np.uint16)
    assert find_objects(labels)[0].tolist() == [[0, 0, 0, 1, 1, 0, 2]]
    found, class_of = find_objects(labels, classes=[300, 1])
    assert found.tolist() == [[1, 1, 0, 0, 0, 0, 2]]
    assert class_of == {1: 1, 2: 300}


def test_touching_classes_are_different_objects():
    assert find_objects(np.array([[2, 2, 3, 3, 2]]))[0].tolist() == [[1, 1, 2, 2, 3]]


def test_small_objects_are_left_out_and_the_others_numbered_without_gaps():
    labels = np.array([[2, 0, 2, 2, 0, 3, 0, 3, 3, 3]], np.uint8)
    found, class_of = find_objects(labels, min_voxels=2)
    assert found.tolist() == [[0, 0, 1, 1, 0, 0, 0, 2, 2, 2]]
    assert class_of == {1: 2, 2: 3}


def test_a_file_gives_the_same_objects_as_its_array(tmp_path):
    labels = blobs(3, (9, 11, 13)).astype(np.uint8)
    np.save(tmp_path / "labels.npy", labels)
    from_file, class_of = find_objects(tmp_path / "labels.npy", fill=True)
    found, classes = find_objects(labels, fill=True)
    assert (from_file == found).all() and class_of == classes


def test_no_object_is_an_answer():
    found, class_of = find_objects(np.ones((3, 4, 5), np.uint8))
    assert not found.any() and class_of == {}


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("shape", SHAPES)
def test_filling_agrees_with_filling_object_by_object(shape, connectivity):
    changed = 0
    for seed in range(12):
        labels = blobs(seed, shape, 2, 0.7 + seed % 3) + 1
        labels[np.random.default_rng(seed).random(shape) < 0.03 + seed % 4 * 0.05] = 0
        numbers = naive_objects(labels, (1, 2), connectivity)[0]
        filled = fill_holes(numbers, connectivity)
        assert (filled == naive_fill(numbers, connectivity)).all()
        changed += int((filled != numbers).sum())
    assert changed


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_filling_changes_only_what_is_empty_and_no_object_crosses_another(data):
    shape = data.draw(st.sampled_from([(3, 4, 5), (5, 5, 3), (6, 7)]))
    values = data.draw(st.lists(st.integers(0, 2), min_size=math.prod(shape)).map(np.array))
    numbers = values[: math.prod(shape)].reshape(shape).astype(np.uint32)
    connectivity = data.draw(st.sampled_from([6, 18, 26]))
    filled = fill_holes(numbers, connectivity)
    assert (filled[numbers > 0] == numbers[numbers > 0]).all()
    assert (filled == naive_fill(numbers, connectivity)).all()
    assert (fill_holes(filled, connectivity) == filled).all()


def test_parallel_bars_stay_as_they_are():
    y, x = np.indices((60, 60))
    along = (y + x > 20) & (y + x < 98)
    bars = np.zeros((6, 60, 60), np.uint32)
    bars[2:4, along & (abs(y - x - 6) < 5)] = 1
    bars[2:4, along & (abs(y - x + 6) < 5)] = 2
    corner = bars[2, 20:50, 20:50]
    assert {1, 2, 0} == set(np.unique(corner)), "their bounding boxes overlap"
    assert (fill_holes(bars) == bars).all()
    assert (fill_holes(bars[2]) == bars[2]).all()
    bars[2:4, (abs(y + x - 59) < 25) & (abs(y - x - 6) < 2)] = 0
    filled = fill_holes(bars[2])
    assert (filled[bars[2] == 2] == 2).all() and (filled == 1).sum() > (bars[2] == 1).sum()
    assert (fill_holes(bars) == bars).all(), "in a stack both sides are open"


def test_a_hole_that_two_objects_enclose_belongs_to_neither():
    ring = np.ones((5, 6), np.uint8)
    ring[:, 3:] = 2
    ring[2, 2:4] = 0
    assert (fill_holes(ring) == ring).all()
    ring[2, 3] = 2
    assert fill_holes(ring)[2, 2] == 0, "the last empty pixel still touches both"
    ring[2, 1:3] = (0, 1)
    assert fill_holes(ring)[2, 1] == 1


def test_an_object_inside_a_hollow_one_is_kept_and_so_is_the_gap_between():
    numbers = np.full((9, 9, 9), 7, np.uint32)
    numbers[2:7, 2:7, 2:7] = 0
    numbers[4, 4, 4] = 3
    assert (fill_holes(numbers) == numbers).all()
    numbers[4, 4, 4] = 0
    assert (fill_holes(numbers) == 7).all()


def test_a_tunnel_is_a_hole_in_an_image_and_none_in_a_stack():
    tube = np.ones((4, 5, 5), np.uint16)
    tube[:, 2, 2] = 0
    assert (fill_holes(tube) == tube).all()
    assert (fill_holes(tube[0]) == 1).all()


def test_nothing_leaks_through_a_corner():
    diamond = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0],
                        [0, 0, 0, 0, 0]])  # fmt: skip
    assert fill_holes(diamond)[2, 2] == 1
    assert fill_holes(diamond, connectivity=6)[2, 2] == 0


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("shape", [(1, 3), (1, 2, 9), (23, 31), (5, 7, 3), (9, 1, 5), (1, 1)])
def test_components_of_masks_and_labels_are_those_of_scipy(shape, connectivity):
    random = np.random.default_rng(0)
    for _ in range(60):
        mask = random.random(shape) < random.choice([0.3, 0.5, 0.7])
        found, count = objects.components(mask, connectivity)
        expected, number = ndimage.label(mask, structure(connectivity, mask.ndim))
        pairs = set(zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True))
        assert count == number == found.max()
        assert len(pairs - {(0, 0)}) == count


def test_holes_are_filled_with_numbers_of_any_size():
    numbers = np.full((3, 3, 3), 2**40 + 5, np.uint64)
    numbers[1, 1, 1] = 0
    assert (fill_holes(numbers) == 2**40 + 5).all()


def test_seventy_thousand_objects_take_no_longer_than_a_few():
    labels = np.zeros((126, 126, 126), np.uint8)
    labels[1::3, 1::3, 1::3] = 2
    few = np.zeros_like(labels)
    few[:60] = 2
    seconds = []
    for one in (few, labels):
        start = time.perf_counter()
        found, class_of = find_objects(one, min_voxels=1, fill=True)
        seconds.append(time.perf_counter() - start)
    assert len(class_of) == 42**3 == 74088
    assert found.max() == 74088 and found[-2, -2, -2] == 74088
    assert set(class_of.values()) == {2}
    # A pass over the volume for each object would take some 70000 times as long.
    assert seconds[1] < 100 * seconds[0] + 5


def box(shape, *bounds, value=1):
    """Objects with one box."""
    made = np.zeros(shape, np.uint32)
    made[tuple(slice(*bound) for bound in bounds)] = value
    return made


def ball(radius, spacing, centre=None):
    """The voxels of a ball, in a stack with some room around it."""
    half = [math.ceil(radius / size) + 2 for size in spacing]
    grid = np.ogrid[tuple(slice(-h, h + 1) for h in half)]
    return sum((g * s) ** 2 for g, s in zip(grid, spacing, strict=True)) <= radius**2


def test_a_box_has_the_measures_of_a_box():
    row = measure_objects(box((20, 30, 40), (2, 12), (5, 25), (8, 38)), (8, 4, 5)).iloc[0]
    sides = np.array([10 * 8, 20 * 4, 30 * 5.0])
    assert row["object"] == 1 and row["voxels"] == 6000
    assert row["volume_nm3"] == sides.prod()
    assert [row[f"centroid_{a}_nm"] for a in "zyx"] == [6.5 * 8, 14.5 * 4, 22.5 * 5]
    assert [row[f"{a}_start"] for a in "zyx"] == [2, 5, 8]
    assert [row[f"{a}_stop"] for a in "zyx"] == [12, 25, 38]
    assert row["extent"] == 1
    surface = 2 * (sides.prod() / sides).sum()
    assert surface * 0.95 < row["surface_area_nm2"] < surface
    assert math.isclose(row["equivalent_diameter_nm"], (6 * sides.prod() / math.pi) ** (1 / 3))


@pytest.mark.parametrize("spacing", [(1, 1, 1), (8, 4, 4), (3, 5, 4)])
def test_a_ball_has_the_measures_of_a_ball_whatever_the_spacing(spacing):
    radius = 25 * max(spacing)
    row = measure_objects(ball(radius, spacing).astype(int), spacing, "pixel").iloc[0]
    volume, surface = 4 / 3 * math.pi * radius**3, 4 * math.pi * radius**2
    assert math.isclose(row["volume_pixel3"], volume, rel_tol=0.01)
    assert math.isclose(row["equivalent_diameter_pixel"], 2 * radius, rel_tol=0.01)
    assert math.isclose(row["major_axis_pixel"], 2 * radius, rel_tol=0.01)
    assert math.isclose(row["minor_axis_pixel"], 2 * radius, rel_tol=0.01)
    assert surface < row["surface_area_pixel2"] < 1.13 * surface
    assert 0.87 < row["sphericity"] < 0.95


def test_a_surface_meshed_in_slabs_is_the_surface_meshed_at_once():
    mask, spacing = ball(20, (1, 1, 1)) & (blobs(0, (45, 45, 45), 5, 2) > 0), (8.0, 4.0, 5.0)
    points, faces, _, _ = marching_cubes(np.pad(mask, 1), 0.5, spacing=spacing)
    a, b, c = points.astype(float)[faces].transpose(1, 0, 2)
    expected = (mesh_surface_area(points, faces), abs((a * np.cross(b, c)).sum() / 6))
    for most in (1, 47 * 47 * 5, 2**30):
        assert surface_of(mask, spacing, most) == pytest.approx(expected, rel=1e-5)


def test_the_axes_of_an_ellipsoid_are_found():
    spacing = (8.0, 4.0, 2.0)
    stretched = ball(60, (2.0, 4.0, 2.0))  # 4 times as long in z once a slice is 8 nm
    row = measure_objects(stretched.astype(np.uint8), spacing).iloc[0]
    assert math.isclose(row["major_axis_nm"], 480, rel_tol=0.01)
    assert math.isclose(row["minor_axis_nm"], 120, rel_tol=0.01)
    assert 0.5 < row["sphericity"] < 0.8


def test_an_image_is_measured_in_areas():
    numbers = box((20, 30), (2, 12), (5, 25))
    for spacing in ((4, 5), (8, 4, 5)):
        row = measure_objects(numbers, spacing).iloc[0]
        assert row["area_nm2"] == 200 * 20
        assert (row["centroid_y_nm"], row["centroid_x_nm"]) == (6.5 * 4, 14.5 * 5)
    assert not {"volume_nm3", "surface_area_nm2", "z_start"} & set(row.index)


def test_columns_say_the_unit():
    numbers = box((4, 4, 4), (1, 3), (1, 3), (1, 3))
    assert "volume_pixel3" in measure_objects(numbers).columns
    assert "volume_nm3" in measure_objects(numbers, (1, 1, 1)).columns
    assert measure_objects(numbers, (2, 1, 1), "pixel")["volume_pixel3"].item() == 16


def test_thin_objects_have_measures_too():
    numbers = np.zeros((5, 6, 7), np.uint8)
    numbers[0, 0, 0], numbers[2, 1:5, 3], numbers[4, 1:5, 1:6] = 1, 2, 3
    table = measure_objects(numbers, (8, 4, 4))
    assert table["voxels"].tolist() == [1, 4, 20]
    assert np.isfinite(table.select_dtypes("number")).all(axis=None)
    assert ((table["sphericity"] > 0) & (table["sphericity"] <= 1)).all()
    assert table["minor_axis_nm"].tolist() == pytest.approx([0, 0, 0], abs=1e-3)


def test_the_mean_grey_value_is_that_of_the_image(tmp_path):
    numbers = blobs(1, (9, 11, 13)).astype(np.uint32) * 5
    image = np.random.default_rng(0).integers(0, 65536, numbers.shape, np.uint16)
    np.save(tmp_path / "image.npy", image)
    expected = ndimage.mean(image, numbers, [5, 10, 15])
    for source in (image, tmp_path / "image.npy"):
        found = measure_objects(numbers, image=source)["mean_grey"]
        assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    page = measure_objects(numbers[0], image=image[0])["mean_grey"]
    assert page.tolist() == pytest.approx(ndimage.mean(image[0], numbers[0], [5, 10, 15]).tolist())


def test_classes_get_their_names():
    table = measure_objects(
        np.array([[1, 0, 2, 0, 3]]), class_of={1: 2, 2: 255, 3: 2}, class_names={2: "nuclei"}
    )
    assert table["class"].tolist() == ["nuclei", "class 255", "nuclei"]
    assert table["label"].tolist() == [2, 255, 2]


def test_more_than_ten_thousand_objects_of_one_class_keep_apart():
    labels = np.zeros((66, 66, 66), np.uint8)
    for steps in product((0, 1), repeat=3):
        labels[tuple(slice(step, None, 3) for step in steps)] = 2
    found, class_of = find_objects(labels)
    table = measure_objects(found, (2, 1, 1), class_of=class_of)
    assert table["object"].tolist() == list(range(1, 22**3 + 1))
    assert (table["voxels"] == 8).all() and (table["volume_nm3"] == 16).all()
    assert table.iloc[-1]["z_start"] == 63 and len(table) == 10648
    assert set(table["label"]) == {2}


def test_numbers_beyond_32_bits_are_measured_as_they_are():
    numbers = np.zeros((4, 5, 6), np.uint64)
    numbers[0], numbers[1:3, 1:3], numbers[3, 4, 5] = 2**32, 2**53 + 1, 2**63 + 9
    table = measure_objects(numbers)
    assert table["object"].tolist() == [2**32, 2**53 + 1, 2**63 + 9]
    assert table["voxels"].tolist() == [30, 24, 1]


def test_progress_ends_with_all_objects():
    told = []
    measure_objects(blobs(0, (9, 11, 13)), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: find_objects(np.ones((2, 2))), "labels has pixels of type float64; labels are"),
        (lambda: find_objects(np.ones(4, int)), r"labels has shape \(4,\); give one \(y, x\)"),
        (lambda: find_objects(np.array([[-3, 2]])), "labels has the number -3; objects are 1 and"),
        (lambda: find_objects(np.ones((2, 2), int), connectivity=8), "connectivity is 8; give 6"),
        (lambda: find_objects(np.ones((2, 2), int), min_voxels=-1), "min_voxels is -1; give 0"),
        (lambda: find_objects(np.ones((2, 2), int), [0]), "classes has the value 0; label values"),
        (lambda: fill_holes(np.ones((2, 2))), "objects has values of type float64"),
        (lambda: fill_holes(np.ones((2, 2), int), 4), "connectivity is 4; give 6"),
        (lambda: fill_holes(np.ones((0, 2), int)), r"objects has shape \(0, 2\)"),
        (lambda: measure_objects(np.ones((2, 2), int), (1,)), r"spacing is \(1,\); .* axes y, x"),
        (lambda: measure_objects(np.ones((2, 2), int), (0, 1)), r"spacing is \(0, 1\); give a"),
        (lambda: measure_objects(np.ones((2, 2), int), unit="um"), "unit is 'um'; give one of nm"),
        (
            lambda: measure_objects(np.ones((2, 2), int), image=np.ones((2, 3))),
            "image is 2 x 3 float64 but the objects are 2 x 2; give the image",
        ),
        (
            lambda: measure_objects(np.ones((2, 2), int), class_of={2: 2}),
            "object 1 is not in class_of; give the class of every object",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line_with_the_remedy(call, line):
    with pytest.raises(ValueError, match=line) as refusal:
        call()
    assert "\n" not in str(refusal.value)
