"""One image being worked on: its labels, its model, and what follows from each stroke."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_cem import weights
from napari_cem.images import ArrayVolume
from napari_cem.live import Live, Predicted, Rounded, Stopped, Trained
from napari_cem.model import COLORS, SCRATCH, Model
from napari_cem.preview import window_of
from napari_cem.widget import layers, preferences
from napari_cem.widget.keeping import Keeper
from napari_cem.widget.overlay import Overlay
from napari_cem.widget.painting import Painting
from napari_cem.widget.training import Training
from napari_cem.widget.viewport import Viewport, slice_of

BACKGROUND_BRUSH = "#0072b2"
BUDGETS: dict[str, float | None] = {
    "Quick (5 s)": 5.0, "Better (20 s)": 20.0, "Best (60 s)": 60.0, "until stopped": None,
}  # fmt: skip


def new_classes() -> list[dict[str, Any]]:
    """Background and one class."""
    return [
        {"name": "background", "value": 1, "color": COLORS[0]},
        {"name": "class 1", "value": 2, "color": COLORS[1]},
    ]


class Project(QObject):
    """What the sections show, and what their buttons do.

    Signals
    -------
    changed : something that a section shows is different.
    told : emitted with a line for the footer.
    worked : emitted with what runs, how much of it is done and the seconds left (or None).
    reported : emitted with the report of each step.
    """

    changed = Signal()
    told = Signal(str)
    worked = Signal(str, object, object)
    reported = Signal(object)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.image: Any = None
        self.painting: Painting | None = None
        self.keeper: Keeper | None = None
        self.classes = new_classes()
        self.base: str | None = "cem500k" if weights.cached("cem500k") else None
        self.model_file: Path | None = None
        self.budget: float | None = BUDGETS["Better (20 s)"]
        self.follows, self.seed = True, 0
        self.rounds: list[Rounded] = []
        self.own_threshold: float | None = None
        self.training = Training(self)
        self.overlay = Overlay(viewer, self)
        self.viewport = Viewport(viewer, self)
        self._connect()

    def _connect(self) -> None:
        t = self.training
        t.ready.connect(self._ready)
        t.reported.connect(self._report)
        t.predicted.connect(self._predicted)
        t.rounded.connect(self._rounded)
        t.stopped.connect(self._stopped)
        t.failed.connect(self._failed)
        t.busy.connect(lambda busy: self.changed.emit())
        self.viewport.moved.connect(self.look)
        self.viewer.layers.events.removed.connect(self._removed)

    # ---- the image ----

    def use_image(self, image: Any) -> str | None:
        """Works on `image` from now on; why not, if it cannot be, in which case nothing changes."""
        reason = layers.why_not(image)
        if reason is not None or image is self.image:
            return reason
        self.leave()
        self.image = image
        self.overlay.attach(image, self.classes)
        self.changed.emit()
        return None

    def leave(self) -> None:
        """Forgets image, labels and model; what was made of them is in the session."""
        self.training.end()
        self.overlay.remove()
        if self.painting is not None:
            self.painting.compare()
            self.painting.close()
        if self.keeper is not None:
            self.keeper.close()
        self.image = self.painting = self.keeper = None
        self.rounds, self.model_file, self.own_threshold = [], None, None
        self.changed.emit()

    def _removed(self, event: Any) -> None:
        layer = event.value
        if layer is self.image:
            self.leave()
            self.told.emit(f"{layer.name} was removed; its session is saved")
        elif self.painting is not None and layer is self.painting.layer:
            self.painting.close()
            self.painting = None
            self.training.cancel()
            self.changed.emit()

    # ---- labels ----

    def new_labels(self) -> Any:
        """A labels layer over the image, ready to paint the first class; kept in a session."""
        shape = layers.full_data(self.image).shape
        layer = self.viewer.add_labels(
            np.zeros(shape, np.uint8), name="CEM labels", metadata=layers.marked(layers.LABELS),
            **layers.placed_like(self.image),
        )  # fmt: skip
        self.use_labels(layer)
        layer.selected_label = 2
        layer.brush_size = 5
        layer.mode = "paint"
        return layer

    def use_labels(self, layer: Any) -> str | None:
        """Takes a labels layer; why not, if it cannot be."""
        shape = layers.full_data(self.image).shape
        if layer.multiscale or tuple(layer.data.shape) != tuple(shape):
            return f"{layer.name} has another shape than {self.image.name}, {tuple(shape)}"
        if self.painting is not None:
            self.painting.close()
        layer.metadata = {**layer.metadata, **layers.marked(layers.LABELS)}
        layer.colormap = layers.class_colors(self.classes, BACKGROUND_BRUSH)
        self.painting = Painting(self.viewer, layer, self)
        self.painting.changed.connect(self._painted)
        self._open_session(layer)
        self.changed.emit()
        return None

    def _open_session(self, layer: Any) -> None:
        assert self.painting is not None
        try:
            self.keeper = Keeper(self.image, self.told.emit)
        except (OSError, ValueError) as error:
            self.keeper = None
            self.told.emit(f"nothing is saved: {error}")
            return
        session = self.keeper.session
        slices = session.annotated()
        if slices and not any(self.painting.page(z).any() for z in slices):
            for z in slices:
                self.painting.page(z)[...] = (
                    session.labels[z] if layer.ndim == 3 else session.labels
                )
            layer.refresh()
        self.painting.start(slices)
        if session.settings.get("classes"):
            self._put_back(session)
        self.painting.start([z for z in self._drawn(layer) if z not in self.painting.pages])

    def _drawn(self, layer: Any) -> list[int]:
        """Slices of a small layer that have labels; a large one is taken as it is looked at."""
        if layer.data.size > 1 << 28:
            return []
        data = np.asarray(layer.data)
        return [0] if data.ndim == 2 else [int(z) for z in np.flatnonzero(data.any(axis=(1, 2)))]

    def _put_back(self, session: Any) -> None:
        settings = session.settings
        self.set_classes(settings["classes"])
        self.base = settings.get("base", self.base)
        self.own_threshold = settings.get("threshold")
        self.overlay.threshold = self.own_threshold
        with contextlib.suppress(OSError, ValueError):
            model = session.load_model()
            if model is not None and model.classes == [c["name"] for c in self.classes]:
                self._begin(model)

    def _painted(self, z: int, page: np.ndarray) -> None:
        if self.keeper is not None:
            self.keeper.slice(z, page)
            self._keep()
        self.training.annotate(z, page)
        self.changed.emit()
        if self.follows:
            self.train()

    def _keep(self) -> None:
        if self.keeper is not None:
            self.keeper.settings(
                classes=self.classes, base=self.base, threshold=self.own_threshold,
                budget=self.budget,
            )  # fmt: skip

    def missing(self) -> list[dict[str, Any]]:
        """Classes of which nothing is painted."""
        counts = {} if self.painting is None else self.painting.counts
        return [entry for entry in self.classes if not counts.get(entry["value"])]

    def paint_with(self, value: int) -> None:
        """Selects the labels layer, its brush, and a class."""
        if self.painting is not None:
            layer = self.painting.layer
            self.viewer.layers.selection.active = layer
            layer.selected_label = value
            layer.mode = "paint"

    def complete_boxes(self, boxes: Any) -> int:
        """Makes background of what is not annotated inside rectangles of a shapes layer."""
        assert self.painting is not None
        filled = 0
        for corners in boxes.data:
            inside = [self.image.world_to_data(boxes.data_to_world(corner)) for corner in corners]
            low, high = np.min(inside, axis=0), np.max(inside, axis=0)
            z = round(float(low[0])) if self.image.ndim == 3 else 0
            page = self.painting.page(z)
            rows = slice(max(0, round(low[-2])), max(0, round(high[-2]) + 1))
            columns = slice(max(0, round(low[-1])), max(0, round(high[-1]) + 1))
            filled += self._fill(z, rows, columns, page)
        self.painting.compare()
        return filled

    def _fill(self, z: int, rows: slice, columns: slice, page: np.ndarray) -> int:
        assert self.painting is not None
        y, x = np.nonzero(page[rows, columns] == 0)
        if len(y) == 0:
            return 0
        places = (y + rows.start, x + columns.start)
        self._set(z, places, np.full(len(y), self.classes[0]["value"]))
        return len(y)

    def _set(self, z: int, places: tuple[np.ndarray, ...], values: np.ndarray) -> None:
        """Writes labels so that napari's undo knows of it."""
        assert self.painting is not None
        layer = self.painting.layer
        if layer.ndim == 3:
            places = (np.full(len(places[0]), z), *places)
        layer.data_setitem(places, values.astype(layer.data.dtype))

    def take_prediction(self) -> int:
        """Labels what is not annotated on this slice as it is predicted, to be corrected."""
        page = self._page()
        if page is None or self.painting is None:
            return 0
        values = [entry["value"] for entry in self.classes]
        found = page.labels(values, self.overlay.threshold)
        w = page.window
        labels = self.painting.page(w.z)[w.y : w.y + w.height, w.x : w.x + w.width]
        y, x = np.nonzero((labels == 0) & (found != 0))
        if len(y):
            self._set(w.z, (y + w.y, x + w.x), found[y, x])
            self.painting.compare()
        return len(y)

    # ---- classes ----

    def set_classes(self, classes: list[dict[str, Any]]) -> None:
        """Other classes; another number of them needs another model."""
        anew = len(classes) != len(self.classes)
        self.classes = [dict(entry) for entry in classes]
        self.overlay.classes = self.classes
        if self.painting is not None:
            self.painting.layer.colormap = layers.class_colors(self.classes, BACKGROUND_BRUSH)
        if anew and self.training.started:
            self.training.end()
            self.overlay.show(None)
        elif self.training.live is not None:
            self.training.live.model.update_card(classes=self.classes)
        self._keep()
        self.changed.emit()

    def add_class(self, name: str | None = None) -> None:
        """One class more."""
        value = max(entry["value"] for entry in self.classes) + 1
        color = COLORS[len(self.classes) % len(COLORS)]
        entry = {"name": name or f"class {value - 1}", "value": value, "color": color}
        self.set_classes([*self.classes, entry])
        self.paint_with(value)

    # ---- the model ----

    def train(self) -> None:
        """Starts a round, or says what is missing."""
        if self.painting is None:
            self.told.emit("add labels first")
        elif self.missing():
            names = ", ".join(entry["name"] for entry in self.missing())
            self.told.emit(f"paint some {names} too")
        elif self.base is None and not self.training.started:
            self.told.emit("choose what to start from, in the section Train")
        else:
            if not self.training.started:
                self._begin(None)
            self.training.train(self.budget)
        self.changed.emit()

    def start_anew(self, base: str) -> None:
        """Trains from other weights, forgetting the model."""
        self.base, self.model_file, self.rounds = base, None, []
        self.training.end()
        self.overlay.show(None)
        self._keep()
        self.train()

    def _begin(self, model: Model | None) -> None:
        base, classes = self.base or SCRATCH, self.classes
        seed, volume = self.seed, ArrayVolume(layers.full_data(self.image), self.image.name)
        spacing = layers.spacing_nm(self.image)
        wanted = preferences.load()

        def make() -> Live:
            begun = model or Model.from_weights(
                base, classes, seed, pixel_nm=None if spacing is None else spacing[-1]
            )
            return Live(
                volume, begun, model is not None, wanted.threads, seed,
                feature_bytes=wanted.feature_bytes,
            )  # fmt: skip

        self.training.begin(make)
        self.worked.emit("getting the model ready", None, None)
        if self.painting is not None:
            for z, page in self.painting.pages.items():
                self.training.annotate(z, page)
        self.look()

    def open_model(self, path: Path) -> None:
        """Predicts with, and trains on from, a model in a file."""
        model = Model.load(path)
        self.model_file, self.rounds = path, []
        self.set_classes(model.class_entries)
        self._begin(model)
        self.changed.emit()

    @property
    def model(self) -> Model | None:
        """The result of the last complete round, or what was opened; None if there is none."""
        live = self.training.live
        return live.model if live is not None and live.trained else None

    def chosen_model(self) -> Model | None:
        """A copy of the model with the threshold that is set."""
        if self.model is None:
            return None
        copy = self.model.copy()
        if self.own_threshold is not None:
            copy.update_card(threshold=self.own_threshold)
        return copy

    def set_threshold(self, threshold: float) -> None:
        """Sets the threshold by hand."""
        self.own_threshold = threshold
        self.overlay.set_threshold(threshold)

    def cancel(self) -> None:
        """Ends the round; the model stays what it was."""
        self.training.cancel()

    # ---- what the worker tells ----

    def _ready(self) -> None:
        self.look()
        self.changed.emit()

    def _report(self, event: Trained) -> None:
        self.reported.emit(event.report)
        done = None
        if event.left is not None and self.budget:
            done = min(1.0, 1 - event.left / self.budget)
        rate = event.report.steps_per_second
        self.worked.emit(f"training, {rate:.1f} steps/s", done, event.left)

    def _predicted(self, event: Predicted) -> None:
        view = self.viewport.view(self.image) if self.image is not None else None
        if view is not None and window_of(view, self._shape()) == event.window:
            self.overlay.show(self._page())

    def _rounded(self, event: Rounded) -> None:
        self.rounds.append(event)
        model = self.model
        if model is not None:
            if self.own_threshold is None:
                self.overlay.threshold = model.card.get("threshold")
            if self.keeper is not None:
                self.keeper.model(model.copy())
        self._keep()
        self.told.emit(summary(event))
        self.changed.emit()

    def _stopped(self, event: Stopped) -> None:
        self.told.emit(event.why)
        self.changed.emit()

    def _failed(self, line: str) -> None:
        self.told.emit(line)
        self.changed.emit()

    # ---- the view ----

    def _shape(self) -> tuple[int, int, int]:
        z, y, x = (1, *layers.full_data(self.image).shape)[-3:]
        return z, y, x

    def _page(self) -> Any:
        live, view = self.training.live, self.viewport.view(self.image)
        if live is None or view is None:
            return None
        return live.pages.find(window_of(view, self._shape()))

    def look(self) -> None:
        """The view is what it is now: shows what is known of it and asks for the rest."""
        if self.image is None:
            return
        self.overlay.show(self._page())
        self.training.look(self.viewport.view(self.image))

    @property
    def slice(self) -> int | None:
        """The slice on screen."""
        return None if self.image is None else slice_of(self.viewer, self.image)

    def close(self) -> None:
        """Ends everything; the session is saved."""
        self.viewer.layers.events.removed.disconnect(self._removed)
        self.viewport.close()
        self.leave()


def summary(event: Rounded) -> str:
    """A round in a line."""
    text = f"trained {event.steps} steps in {event.seconds:.0f} s"
    if event.held_out_iou:
        scores = ", ".join(f"{name} {value:.2f}" for name, value in event.held_out_iou.items())
        text += f"; IoU on {event.held_out} held-out pixels: {scores}"
    return text
