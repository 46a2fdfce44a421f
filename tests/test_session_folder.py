"""The folder of a session: what was painted and learned is there again."""

import json

import numpy as np
import pytest
import zarr

import napari_cem as cem
from napari_cem.session import Session, folder_for


def test_labels_model_and_settings_come_back(tmp_path):
    folder = folder_for(tmp_path / "stack.tif")
    assert folder.name == "stack.tif.cem"
    session = Session(folder, (4, 600, 700))
    page = np.zeros((600, 700), np.uint16)
    page[500:520, 600:640] = 2
    session.save_slice(2, page)
    session.update(classes=[{"name": "a", "value": 1}], threshold=0.4)
    model = cem.Model.from_weights("scratch", widths=[16] * 5)
    session.save_model(model)
    again = Session.open(folder)
    assert again.annotated() == [2]
    assert (again.labels[2] == page).all() and not again.labels[1].any()
    assert again.settings["threshold"] == 0.4
    assert again.load_model().fingerprint() == model.fingerprint()


def test_labels_that_are_wiped_are_gone(tmp_path):
    session = Session(tmp_path / "a.cem", (3, 40, 50))
    session.save_slice(1, np.ones((40, 50)))
    session.save_slice(1, np.zeros((40, 50)))
    assert session.annotated() == []


def test_a_single_image_has_a_session_too(tmp_path):
    session = Session(tmp_path / "a.cem", (40, 50))
    session.save_slice(0, np.full((40, 50), 3))
    session.update()
    assert Session.open(tmp_path / "a.cem").annotated() == [0]


def test_an_image_of_another_shape_is_refused(tmp_path):
    Session(tmp_path / "a.cem", (3, 40, 50)).update()
    with pytest.raises(ValueError, match=r"shape \(3, 40, 50\), this one has \(3, 40, 51\)"):
        Session(tmp_path / "a.cem", (3, 40, 51))


def test_the_image_is_found_where_it_is_now(tmp_path):
    image = tmp_path / "deep" / "stack.npy"
    image.parent.mkdir()
    np.save(image, np.zeros((3, 4, 5)))
    session = Session(folder_for(image), (3, 4, 5))
    session.update(image={"path": str(image)})
    moved = tmp_path / "other"
    image.parent.rename(moved)
    assert Session.open(moved / "stack.npy.cem").image_path() == moved / "stack.npy"
    (moved / "stack.npy").unlink()
    session = Session.open(moved / "stack.npy.cem")
    assert session.image_path() is None
    session.save_image(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
    assert cem.open_volume(session.image_path()).slice(2)[3, 4] == 59


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', "\x00\xff"])
def test_settings_that_are_damaged_are_refused(tmp_path, text):
    Session(tmp_path / "a.cem", (3, 4, 5)).update()
    (tmp_path / "a.cem" / "session.json").write_text(text)
    with pytest.raises(ValueError, match=r"session\.json"):
        Session.open(tmp_path / "a.cem")


def test_a_damaged_store_of_labels_is_refused(tmp_path):
    Session(tmp_path / "a.cem", (3, 4, 5)).update()
    (tmp_path / "a.cem" / "labels.zarr" / "zarr.json").write_text(json.dumps({"x": 1}))
    with pytest.raises(ValueError, match="not an array of labels"):
        Session.open(tmp_path / "a.cem")


def test_a_folder_without_settings_is_no_session(tmp_path):
    with pytest.raises(ValueError, match="is no session"):
        Session.open(tmp_path)


def test_a_session_that_was_killed_while_it_was_made_begins_anew(tmp_path):
    (tmp_path / "a.cem" / "labels.zarr").mkdir(parents=True)
    (tmp_path / "a.cem" / "labels.zarr" / "zarr.0123.partial").write_text("{")
    (tmp_path / "a.cem" / "session.json.77.tmp").write_text("{")
    session = Session(tmp_path / "a.cem", (3, 4, 5))
    session.save_slice(1, np.ones((4, 5)))
    session.update()
    assert Session.open(tmp_path / "a.cem").annotated() == [1]


def test_labels_that_are_put_aside_are_kept(tmp_path):
    session = Session(tmp_path / "a.cem", (3, 40, 50))
    session.save_slice(1, np.full((40, 50), 2))
    aside = session.put_labels_aside()
    assert session.annotated() == [] and zarr.open(str(aside), mode="r")[1].all()
    session.save_slice(2, np.full((40, 50), 1))
    assert session.put_labels_aside() != aside


def test_a_session_that_names_itself_as_its_image_finds_the_copy_in_it(tmp_path):
    session = Session(tmp_path / "x.cem", (3, 40, 50))
    session.save_image(np.zeros((3, 40, 50), np.uint8))
    session.update(image={"path": str(tmp_path / "x.cem")})
    assert Session.open(tmp_path / "x.cem").image_path() == tmp_path / "x.cem" / "image.zarr"
