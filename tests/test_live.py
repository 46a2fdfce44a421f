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


def test_going_back_shows_the_model_before_the_last_round(live):
    live.look(View(0, *WHOLE))
    live.annotate(0, scribbles(1)[0])
    live.train(0.2)
    list(live.work())
    first = live.pages.find(Window(0, 0, 0, 96, 96)).probabilities.copy()
    live.train(0.5)
    list(live.work())
    assert (live.pages.find(Window(0, 0, 0, 96, 96)).probabilities != first).any()
    live.revert()
    list(live.work())
    assert (live.pages.find(Window(0, 0, 0, 96, 96)).probabilities == first).all()


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
