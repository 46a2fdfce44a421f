"""Deleting, merging and splitting objects, and taking it back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cem import ObjectEdits, find_objects


def balls(shape, spacing, *centres_and_radii):
    """Masks of balls, (balls, z, y, x); centres in voxels, radii in units of the spacing."""
    grid = np.indices(shape)
    return np.array([
        sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, spacing, strict=True)) <= radius**2
        for centre, radius in centres_and_radii
    ])  # fmt: skip


def scattered(seed, shape=(6, 7, 8)):
    """Objects of random voxels, disconnected and interleaved."""
    return np.random.default_rng(seed).integers(0, 5, shape).astype(np.uint32)


def true_boxes(objects):
    """Bounding boxes, the slow way."""
    found = {}
    for number in np.unique(objects[objects > 0]).tolist():
        places = np.nonzero(objects == number)
        found[number] = tuple(slice(int(p.min()), int(p.max()) + 1) for p in places)
    return found


def test_deleting_empties_the_object_and_nothing_else():
    objects = scattered(0)
    before = objects.copy()
    ObjectEdits(objects).delete(3)
    assert (objects == np.where(before == 3, 0, before)).all()


def test_merging_gives_one_object_the_other_number():
    objects = scattered(0)
    before = objects.copy()
    change = ObjectEdits(objects).merge(4, 1)
    assert (objects == np.where(before == 1, 4, before)).all()
    assert change.numbers == (4, 1)
    assert change.box == true_boxes(before)[1]


def test_touching_balls_are_split_into_two_nearly_equal_halves():
    spacing, centres = (8.0, 4.0, 4.0), ((8, 20, 20), (8, 20, 38))
    both = balls((17, 41, 60), spacing, (centres[0], 40), (centres[1], 40)).any(axis=0)
    objects = np.pad(both.astype(np.uint32) * 9, 3)
    class_of = {9: 2}
    edits = ObjectEdits(objects, spacing, class_of)
    change = edits.split(9, [tuple(c + 3 for c in centre) for centre in centres])
    assert change.numbers == (9, 10)
    sizes = [(objects == number).sum() for number in (9, 10)]
    assert sum(sizes) == both.sum()
    assert abs(sizes[0] - sizes[1]) < 0.03 * both.sum()
    assert objects[11, 23, 23] == 9 and objects[11, 23, 41] == 10
    assert edits.class_of == {9: 2, 10: 2} and class_of == {9: 2}


def test_the_cut_follows_the_spacing():
    spacing, centres = (8.0, 4.0, 4.0), ((10, 24, 24), (22, 24, 24))
    large, small = balls((34, 50, 50), spacing, (centres[0], 60), (centres[1], 40))
    objects = (large | small).astype(np.uint16)
    ObjectEdits(objects, spacing).split(1, centres)
    assert (objects[small & ~large] == 2).mean() > 0.99
    assert (objects[large & ~small] == 1).mean() > 0.99


def test_three_points_make_three_parts_of_an_image():
    objects = np.zeros((12, 40), np.uint8)
    for k in range(3):
        objects[3:9, 4 + 10 * k : 12 + 10 * k] = 4
    objects[5:7, 4:32] = 4
    before = objects.copy()
    change = ObjectEdits(objects).split(4, [(6, 8), (6, 28), (6.2, 17.9)])
    assert change.numbers == (4, 5, 6)
    assert ((objects > 0) == (before > 0)).all()
    assert [objects[6, x] for x in (5, 30, 18)] == [4, 5, 6]
    assert [(objects == n).sum() > 40 for n in (4, 5, 6)] == [True] * 3


def test_parts_joined_by_corners_are_split_and_parts_without_a_point_keep_the_number():
    objects = np.zeros((3, 12, 12), np.uint32)
    for k in range(8):
        objects[1, k, k] = 1
    objects[1, 11, 0:3] = 1
    edits = ObjectEdits(objects)
    edits.split(1, [(1, 0, 0), (1, 7, 7)])
    assert [objects[1, k, k] for k in (0, 1, 6, 7)] == [1, 1, 2, 2]
    assert objects[1, 11, :3].tolist() == [1, 1, 1]
    assert edits.boxes == true_boxes(objects)


def test_a_number_is_never_given_twice():
    objects = np.zeros((3, 20), np.uint8)
    objects[1, 1:9], objects[1, 11:19] = 1, 2
    edits = ObjectEdits(objects, class_of={1: 2, 2: 3})
    edits.delete(2)
    assert edits.split(1, [(1, 1), (1, 8)]).numbers == (1, 3)
    edits.undo()
    edits.undo()
    assert edits.split(2, [(1, 11), (1, 18)]).numbers == (2, 4)
    assert edits.class_of == {1: 2, 2: 3, 3: 2, 4: 3}


def random_edit(edits, draw):
    """One edit of random objects; None if it was refused."""
    numbers = sorted(edits.boxes)
    number, other = (draw(st.sampled_from(numbers)) for _ in range(2))
    kind = draw(st.sampled_from(["delete", "merge", "split"]))
    if kind == "delete":
        return edits.delete(number)
    if kind == "merge":
        return edits.merge(number, other) if number != other else None
    places = np.argwhere(edits.objects == number)
    chosen = draw(st.lists(st.integers(0, len(places) - 1), min_size=2, max_size=4, unique=True)
                  if len(places) > 1 else st.just([]))  # fmt: skip
    return edits.split(number, places[chosen].tolist()) if chosen else None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_edits_stay_in_their_box_and_undo_and_redo_restore_exactly(data):
    shape = data.draw(st.sampled_from([(4, 5, 6), (9, 8)]))
    objects = scattered(data.draw(st.integers(0, 99)), shape)
    edits = ObjectEdits(objects, (2, 1, 1))
    states = [objects.copy()]
    for _ in range(data.draw(st.integers(1, 6))):
        change = random_edit(edits, data.draw) if edits.boxes else None
        if change is None:
            continue
        inside = np.zeros(shape, bool)
        inside[change.box] = True
        assert (objects == states[-1])[~inside].all()
        assert (objects != states[-1]).any()
        assert edits.boxes == true_boxes(objects)
        states.append(objects.copy())
    for expected in states[-2::-1]:
        assert edits.can_undo
        edits.undo()
        assert (objects == expected).all() and edits.boxes == true_boxes(objects)
    assert not edits.can_undo and edits.undo() is None
    for expected in states[1:]:
        assert edits.can_redo
        edits.redo()
        assert (objects == expected).all() and edits.boxes == true_boxes(objects)
    assert not edits.can_redo and edits.redo() is None


def test_a_new_edit_forgets_what_was_undone():
    objects = scattered(1)
    edits = ObjectEdits(objects)
    edits.delete(1)
    edits.undo()
    edits.delete(2)
    assert edits.redo() is None
    assert 2 not in objects and 1 in objects


def test_the_history_is_small():
    objects = np.ones((40, 200, 200), np.uint32)
    objects[:, :, 100:] = 2
    edits = ObjectEdits(objects)
    edits.merge(1, 2)
    edits.delete(1)
    kept = sum(s.bits.nbytes + s.before.nbytes + s.after.nbytes for s in edits._done)
    assert kept < objects.nbytes / 10


def test_changes_from_elsewhere_are_seen_after_a_scan():
    objects = scattered(2)
    edits = ObjectEdits(objects)
    objects[0, 0, 0] = 50
    with pytest.raises(ValueError, match="object 50 does not exist"):
        edits.delete(50)
    edits.rescan()
    edits.delete(50)
    assert objects[0, 0, 0] == 0


def test_large_numbers_are_edited():
    objects = np.zeros((3, 8), np.uint64)
    objects[1, 1:7] = 2**40
    change = ObjectEdits(objects).split(2**40, [(1, 1), (1, 6)])
    assert change.numbers == (2**40, 2**40 + 1)
    assert set(np.unique(objects)) == {0, 2**40, 2**40 + 1}


def test_objects_that_were_found_are_edited_and_keep_their_classes():
    labels = np.array([[2, 2, 0, 3, 3, 3]], np.uint8)
    objects, class_of = find_objects(labels)
    edits = ObjectEdits(objects, class_of=class_of)
    edits.split(2, [(0, 3), (0, 5)])
    assert edits.class_of == {1: 2, 2: 3, 3: 3}


def read_only():
    objects = scattered(0)
    objects.flags.writeable = False
    return objects


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda e: e.delete(77), "object 77 does not exist; give the number of one"),
        (lambda e: e.delete(0), "object 0 does not exist; 0 is no object"),
        (lambda e: e.merge(1, 77), "object 77 does not exist"),
        (lambda e: e.merge(1, 1), "object 1 cannot be merged with itself"),
        (lambda e: e.split(1, [(1, 1), (2, 1)]), r"point \(2, 1\) is not inside object 1; put"),
        (lambda e: e.split(1, [(1, 1), (1, -1)]), r"point \(1, -1\) is not inside object 1"),
        (lambda e: e.split(1, [(1, 1), (9, 1)]), r"point \(9, 1\) is not inside object 1"),
        (lambda e: e.split(1, [(1, 1), (0, 1, 1)]), r"point \(0, 1, 1\) is no position in 2 dim"),
        (lambda e: e.split(1, [(1, 1), (1, np.nan)]), r"point \(1, nan\) is no position"),
        (lambda e: e.split(1, [(1, 1)]), "two or more points in different voxels; there are 1"),
        (lambda e: e.split(1, [(1, 1), (1, 1.2)]), "two or more points .* there are 1"),
        (lambda e: e.split(1, []), "two or more points .* there are 0"),
        (lambda e: e.split(255, [(1, 5), (1, 7)]), "no number above 255 .* uint8; use a larger"),
        (lambda e: ObjectEdits(read_only()), "cannot be written to; give a NumPy array"),
        (lambda e: ObjectEdits([[1, 2]]), "objects is no array; give a NumPy array"),
        (lambda e: ObjectEdits(np.ones((2, 2))), "objects has values of type float64"),
        (lambda e: ObjectEdits(np.ones((2, 2), int), (1, 2, 3, 4)), "spacing is"),
    ],
)
def test_what_cannot_be_edited_is_refused_in_one_line_and_nothing_changes(call, line):
    objects = np.zeros((3, 9), np.uint8)
    objects[1, 1:4], objects[1, 5:8] = 1, 255
    before = objects.copy()
    edits = ObjectEdits(objects)
    with pytest.raises(ValueError, match=line) as refusal:
        call(edits)
    assert "\n" not in str(refusal.value)
    assert (objects == before).all() and not edits.can_undo
