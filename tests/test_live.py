"""A model that learns while one paints, without a viewer."""

import threading
import time

import numpy as np
import pytest
from samples import cells, scribbles

import napari_cem as cem
from napari_cem import _core, preview
from napari_cem.live import Live, Predicted, Rounded, Stopped, Trained
from napari_cem.preview import Page, Pages, View, Window, window_of
from napari_cem.tiles import Tiling

WHOLE = ((0, 96), (0, 96))


@pytest.fixture
def live():
    model = cem.Model.from_weights("scratch", ("background", "disk"), widths=[32] + [16] * 4)
    return Live(cells(3), model, threads=2)


def kinds(events):
    return [type(event) for event in events]


@pytest.mark.parametrize(
    ("height", "width", "tile", "halo"),
    [(40, 33, 512, 64), (512, 513, 512, 64), (1000, 700, 512, 64), (131, 97, 96, 32)],
)
def test_the_tiles_are_those_of_the_core(height, width, tile, halo):
    model = cem.Model.from_weights("scratch", widths=[16] * 5)
    tiling = Tiling(height, width, tile, halo)
    pixels = np.random.default_rng(0).integers(0, 255, (1, height, width), np.uint8)
    assert tiling.count == _core.predict_tiles(1, height, width, tile=tile, halo=halo)
    for number in {0, tiling.count - 1, tiling.count // 2}:
        out = np.full((1, 2, height, width), -1, np.float32)
        model.core.predict(out, pixels, 0, 1, tile=tile, halo=halo, first_tile=number, tiles=1)
        written = out[0, 0] >= 0
        y, x = tiling.core(number)
        assert written[y, x].all()
        assert written.sum() == (y.stop - y.start) * (x.stop - x.start)


def test_tiles_come_from_the_middle_of_the_view_outwards():
    tiling = Tiling(2000, 2000, 512, 64)
    order = tiling.order((1000, 1700), (1000, 1700))
    middle = [
        (np.mean([y.start, y.stop]), np.mean([x.start, x.stop])) for y, x in map(tiling.core, order)
    ]
    apart = [abs(y - 1350) + abs(x - 1350) for y, x in middle]
    assert apart == sorted(apart)
    assert 0 not in order and len(order) < tiling.count


def test_large_slices_are_predicted_around_the_view_only():
    window = window_of(View(3, (9000, 9900), (100, 700)), (5, 20000, 20000))
    assert (window.height, window.width) == (preview.WINDOW, preview.WINDOW)
    assert window.y <= 9000 and window.y + window.height >= 9900 and window.x == 0
    assert window_of(View(0, (0, 9), (0, 9)), (5, 700, 800)) == Window(0, 0, 0, 700, 800)


def test_strokes_become_a_prediction_of_what_is_on_screen(live):
    live.look(View(1, *WHOLE))
    live.annotate(0, scribbles(1)[0])
    live.train(0.5)
    events = list(live.work())
    assert kinds(events).count(Rounded) == 1
    assert Trained in kinds(events)
    assert events[-1].window.z in (0, 1, 2)
    pages = [live.pages.find(Window(z, 0, 0, 96, 96)) for z in range(3)]
    assert all(set(np.unique(page.labels([1, 2], 0.5))) <= {1, 2} for page in pages)
    fresh = live.model.predict(cells(3)[1], live.intensity.intensity)
    assert np.abs(pages[1].probabilities / 255 - fresh).max() <= 1 / 255
    assert not live.has_work


def test_a_second_look_reads_and_computes_nothing(live):
    reads = []
    slice_of = live.volume.slice
    live.volume.slice = lambda z: reads.append(z) or slice_of(z)
    live.annotate(0, scribbles(1)[0])
    live.train(0.01)
    live.look(View(1, *WHOLE))
    list(live.work())
    assert sorted(set(reads)) == [0, 1, 2]
    reads.clear()
    for z in (0, 2, 1):
        live.look(View(z, *WHOLE))
        assert list(live.work()) == []
    assert reads == []


def test_a_failure_reaches_the_caller_who_can_go_on(live):
    slice_of = live.volume.slice

    def fail(z):
        raise OSError(f"the disk with slice {z} is gone")

    before = live.model.fingerprint()
    assert live.intensity.low < live.intensity.high  # measured while the disk is there
    live.volume.slice = fail
    live.annotate(0, scribbles(1)[0])
    live.train(0.01)
    with pytest.raises(OSError, match="slice 0 is gone"):
        list(live.work())
    assert not live.has_work and not live.training
    assert live.model.fingerprint() == before
    live.volume.slice = slice_of
    live.annotate(0, scribbles(1)[0])
    live.train(0.01)
    assert Rounded in kinds(live.work())


def test_the_view_is_predicted_before_the_round_is_over(live):
    live.look(View(1, *WHOLE))
    live.annotate(0, scribbles(1)[0])
    live.train(3)
    found = kinds(live.work())
    assert Predicted in found[: found.index(Rounded)]


def test_painting_one_class_only_says_what_is_missing(live):
    before = live.model.fingerprint()
    labels = scribbles(1)[0]
    live.annotate(0, np.where(labels == 2, 2, 0))
    live.train(1)
    (event,) = live.work()
    assert "paint background (1) too" in event.why
    assert live.model.fingerprint() == before and not live.training


def test_a_cancelled_round_stops_at_once_and_keeps_the_model(live):
    before = live.model.fingerprint()
    live.annotate(0, scribbles(1)[0])
    live.train(None)
    stopped = 0.0
    for event in live.work():
        if isinstance(event, Trained) and event.report.step == 3:
            threading.Timer(0.05, live.cancel).start()
            start = time.monotonic()
        if isinstance(event, Stopped):
            stopped = time.monotonic() - start
    assert 0 < stopped < 1
    assert live.model.fingerprint() == before
    live.train(0.2)
    assert Rounded in kinds(live.work())
    assert live.model.fingerprint() != before


def test_a_round_takes_new_strokes_in_and_goes_on(live):
    live.annotate(0, scribbles(1)[0])
    live.train(1.5)
    steps, taken = [], False
    for event in live.work():
        if isinstance(event, Trained):
            steps.append(event.report.step)
            if event.report.step == 3:
                live.annotate(2, scribbles(1)[0])
    taken = len(live.model.card["data"])
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 3
    assert taken == 2


def test_strokes_that_are_undone_are_forgotten(live):
    labels = scribbles(1)[0]
    live.annotate(0, labels)
    live.annotate(1, labels)
    live.train(0.1)
    list(live.work())
    live.annotate(1, np.zeros_like(labels))
    live.train(0.1)
    list(live.work())
    counts = [source["labels"] for source in live.model.card["data"]]
    assert counts[1] == {} and counts[0]


def test_a_cancelled_round_teaches_the_next_one_nothing(live):
    live.annotate(0, scribbles(1)[0])
    live.train(0.1)
    list(live.work())
    live.train(None)
    for event in live.work():
        if isinstance(event, Trained) and event.report.step % 5 == 0:
            live.cancel()
    assert live.model.fingerprint() == live.result.copy().fingerprint()
    shown = live.model.copy()
    live._trainer.snapshot(shown)
    assert shown.fingerprint() == live.model.fingerprint()


def test_strokes_beside_one_that_cannot_be_taken_are_taken(live):
    add, refused = live._trainer.add, []

    def refuse_the_first(*args):
        if not refused:
            refused.append(args)
            raise MemoryError("no room")
        return add(*args)

    live._trainer.add = refuse_the_first
    for z in range(2):
        live.annotate(z, scribbles(1)[0])
    with pytest.raises(MemoryError):
        list(live.work())
    assert live.has_work
    live.train(0.1)
    assert Rounded in kinds(live.work())
    assert len(live.model.card["data"]) == 1


def test_going_back_shows_the_model_before_the_last_round(live):
    live.look(View(0, *WHOLE))
    live.annotate(0, scribbles(1)[0])
    live.train(0.2)
    list(live.work())
    first = live.pages.find(Window(0, 0, 0, 96, 96)).probabilities.copy()
    live.train(0.5)
    list(live.work())
    assert (live.pages.find(Window(0, 0, 0, 96, 96)).probabilities != first).any()
    assert live.can_revert
    live.revert()
    list(live.work())
    assert (live.pages.find(Window(0, 0, 0, 96, 96)).probabilities == first).all()
    assert live.result.copy().fingerprint() == live.model.fingerprint()
    assert not live.can_revert


def test_taking_the_first_round_back_leaves_no_prediction(live):
    live.look(View(0, *WHOLE))
    live.annotate(0, scribbles(1)[0])
    live.train(0.2)
    list(live.work())
    live.revert()
    list(live.work())
    assert live.result is None and not live.trained
    assert live.pages.find(Window(0, 0, 0, 96, 96)) is None


def test_pages_are_dropped_least_recent_first_under_their_cap():
    pages = Pages(3 * 2 * 100)
    windows = [Window(z, 0, 0, 10, 10) for z in range(4)]
    for window in windows[:3]:
        pages.room(window, 2)
    pages.find(windows[0])
    pages.room(windows[3], 2)
    assert [pages.find(w) is not None for w in windows] == [True, False, True, True]
    assert pages.bytes <= 600


def test_a_page_turns_into_labels_by_its_threshold_and_into_the_likeliest_class_without():
    probabilities = np.zeros((3, 1, 4), np.uint8)
    probabilities[:, 0, 1:] = np.transpose([[200, 30, 25], [120, 60, 75], [10, 200, 45]])
    page = Page(Window(0, 0, 0, 1, 4), probabilities)
    assert page.labels([1, 5, 9], None).tolist() == [[0, 1, 1, 5]]
    assert page.labels([1, 5, 9], 0.5).tolist() == [[0, 1, 9, 5]]
    assert page.labels([1, 5, 9], 0.1).tolist() == [[0, 5, 9, 5]]
    assert page.foreground()[0, 0] == 0


def test_a_page_is_uncertain_where_two_classes_are_as_likely():
    probabilities = np.zeros((3, 1, 4), np.uint8)
    probabilities[:, 0, 1:] = np.transpose([[255, 0, 0], [120, 15, 120], [0, 153, 102]])
    found = Page(Window(0, 0, 0, 1, 4), probabilities).uncertainty()
    assert found[0] == pytest.approx([0, 0, 1, 0.8])


def test_a_round_asked_for_while_another_ends_is_done_too(live, monkeypatch):
    live.annotate(0, scribbles(1)[0])
    live.train(0.1)
    finish = live._trainer.finish

    def finish_and_be_asked():
        finish()
        monkeypatch.setattr(live._trainer, "finish", finish)
        live.train(0.1)

    monkeypatch.setattr(live._trainer, "finish", finish_and_be_asked)
    assert kinds(live.work()).count(Rounded) == 2


def test_cancelling_a_prediction_ends_it(live):
    live.annotate(0, scribbles(1)[0])
    live.train(0.1)
    list(live.work())
    live.look(View(1, *WHOLE))
    live.cancel()
    assert Predicted not in kinds(live.work()) and not live.has_work
    live.look(View(1, *WHOLE))
    assert Predicted in kinds(live.work())
