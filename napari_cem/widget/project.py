"""One image being worked on: its labels, its model, and what follows from each stroke."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_cem import weights
from napari_cem.images import ArrayVolume
from napari_cem.live import Differs, Live, Predicted, Result, Rounded, Stopped, Trained
from napari_cem.model import SCRATCH, Model
from napari_cem.preview import Page, window_of
from napari_cem.widget import layers, preferences
from napari_cem.widget.annotation import Annotation
from napari_cem.widget.errand import Errands
from napari_cem.widget.overlay import Overlay
from napari_cem.widget.suggesting import Suggesting
from napari_cem.widget.training import Training, summary
from napari_cem.widget.viewport import Viewport, slice_of

BUDGETS: dict[str, float | None] = {
    "Quick (5 s)": 5.0, "Better (20 s)": 20.0, "Best (60 s)": 60.0, "until stopped": None,
}  # fmt: skip


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
        self.base: str | None = "cem500k" if weights.cached("cem500k") else None
        self.model_file: Path | None = None
        self.budget: float | None = BUDGETS["Better (20 s)"]
        self.follows, self.seed = True, 0
        self.rounds: list[Rounded] = []
        self.differences: list[str] = []
        self.own_threshold: float | None = None
        self.errands = Errands(self)
        self.annotation = Annotation(viewer, self)
        self.training = Training(self)
        self.overlay = Overlay(viewer, self)
        self.viewport = Viewport(viewer, self)
        self.suggesting = Suggesting(self)
        self._connect()

    def _connect(self) -> None:
        a, t = self.annotation, self.training
        self.errands.told.connect(self._say)
        self.errands.worked.connect(self.worked)
        self.errands.ended.connect(self.changed)
        a.changed.connect(self._annotation_changed)
        a.painted.connect(self._painted)
        a.replaced.connect(self._begin_anew)
        a.told.connect(self._say)
        t.ready.connect(self._ready)
        t.reported.connect(self._report)
        t.predicted.connect(self._predicted)
        t.rounded.connect(self._rounded)
        t.differs.connect(self._differs)
        t.stopped.connect(self._stopped)
        t.failed.connect(self._failed)
        t.busy.connect(self.changed)
        self.overlay.dismissed.connect(self.changed)
        self.viewport.moved.connect(self.look)
        self.viewer.layers.events.removed.connect(self._removed)
        self.viewer.layers.events.inserted.connect(self._inserted)

    def _say(self, line: str) -> None:
        self.told.emit(line)
        self.changed.emit()

    # ---- image and labels ----

    def use_image(self, image: Any) -> str | None:
        """Works on `image` from now on; why not, if it cannot be, in which case nothing changes."""
        reason = layers.why_not(image)
        if reason is not None or image == self.image:
            return reason
        self.leave()
        self.image = image
        self.overlay.attach(image, self.annotation.classes)
        self.annotation.attach(image)
        self._resume()
        self.changed.emit()
        return None

    def leave(self) -> None:
        """Forgets image, labels and model; what was made of them is in the session."""
        self.training.end()
        self.suggesting.forget()
        self.overlay.remove()
        self.annotation.detach()
        self.image = None
        self._forget_model()
        self.own_threshold = None
        self.changed.emit()

    def new_labels(self) -> Any:
        """A labels layer over the image, with what the image's session kept."""
        layer = self.annotation.new()
        self._take_labels()
        return layer

    def use_labels(self, layer: Any) -> str | None:
        """Takes a labels layer; why not, if it cannot be, in which case nothing changes."""
        reason = self.annotation.use(layer)
        if reason is None:
            self._take_labels()
        return reason

    def _take_labels(self) -> None:
        """Goes on with the labels there are now, and with the session's model if there is none."""
        self._resume()
        self.training.give(self.annotation.pages)
        self.changed.emit()

    def _removed(self, event: Any) -> None:
        layer, painting = event.value, self.annotation.painting
        if self.image is not None and layer == self.image:
            self.leave()
            self.told.emit(f"{layer.name} was removed; its session is saved")
        elif painting is not None and layer == painting.layer:
            self.annotation.drop()
            self.training.cancel()
            self.training.give({})
            self.changed.emit()

    def _inserted(self, event: Any) -> None:
        if self.image is None or self.annotation.painting is not None:
            return
        if event.value in layers.ours(self.viewer, layers.LABELS, self.image):
            self.use_labels(event.value)

    def _painted(self, z: int, page: np.ndarray) -> None:
        self.training.annotate(z, page)
        self._keep()
        if self.follows:
            self.train()

    def _annotation_changed(self) -> None:
        self.overlay.set_classes(self.annotation.classes)
        self.changed.emit()

    def _keep(self) -> None:
        self.annotation.keep(base=self.base, threshold=self.own_threshold, budget=self.budget)

    def _resume(self) -> None:
        """Goes on with the model of the session, if there is one."""
        keeper = self.annotation.keeper
        if keeper is None or self.training.started:
            return
        settings = keeper.session.settings
        self.base = settings.get("base") or self.base
        self.budget = settings.get("budget", self.budget)
        self.own_threshold = self.overlay.threshold = settings.get("threshold")
        if keeper.has_model:
            self._begin(keeper.load_model)
        self.changed.emit()

    @property
    def has_model(self) -> bool:
        """Whether there is a model to go on with: here, on its way, or in the session."""
        keeper = self.annotation.keeper
        return self.training.started or (keeper is not None and keeper.has_model)

    def take_prediction(self) -> int:
        """Labels what is not annotated on this slice as it is predicted; how many pixels."""
        return self.annotation.take(self._page(), self.overlay.threshold)

    # ---- the model ----

    def why_not_train(self) -> str | None:
        """What is missing for a round, with the remedy."""
        if self.annotation.painting is None:
            return "add labels first"
        if self.annotation.missing:
            return f"paint some {', '.join(entry['name'] for entry in self.annotation.missing)} too"
        if self.base is None and not self.has_model:
            return "choose what to start from, in the section Train"
        return None

    def train(self) -> None:
        """Starts a round, or says what is missing."""
        reason = self.why_not_train()
        if reason is not None:
            self.told.emit(reason)
        else:
            if not self.training.started:
                keeper = self.annotation.keeper if self.has_model else None
                self._begin(keeper.load_model if keeper is not None else None)
            self.training.train(self.budget)
        self.changed.emit()

    def start_anew(self, base: str) -> None:
        """Trains from other weights, forgetting the model."""
        self.base = base
        self._begin_anew()
        self._keep()
        self.train()

    def start_over(self) -> None:
        """Forgets the model; what to start from is to be chosen anew."""
        self.base = None
        self._begin_anew()
        self.changed.emit()

    def _begin_anew(self) -> None:
        """Forgets the model here, and puts it aside in the session."""
        keeper = self.annotation.keeper
        if keeper is not None and keeper.has_model:
            keeper.forget_model()
            self.told.emit("the model of before is put aside in the session's folder")
        self._forget_model()

    def _forget_model(self) -> None:
        self.training.end()
        self.overlay.show(None)
        self.rounds, self.differences, self.model_file = [], [], None

    def volume(self) -> ArrayVolume:
        """The image, with its pixel sizes if they are known."""
        volume = ArrayVolume(layers.full_data(self.image), self.image.name)
        spacing = layers.spacing_nm(self.image)
        if spacing is not None:
            volume.pixel_nm = spacing[-1]
            volume.spacing_nm = spacing[0] if self.image.ndim == 3 else 0.0
        return volume

    def _begin(self, load: Callable[[], Model] | None) -> None:
        """Works with what `load` loads; None: with a new model."""
        base, entries, seed = self.base or SCRATCH, self.annotation.classes, self.seed
        volume, wanted = self.volume(), preferences.load()

        def make() -> Live:
            if load is not None:
                model = load()
                model.update_card(classes=entries)
            else:
                model = Model.from_weights(base, entries, seed, pixel_nm=volume.pixel_nm or None)
            return Live(
                volume, model, load is not None, wanted.threads, seed,
                feature_bytes=wanted.feature_bytes,
            )  # fmt: skip

        self.training.begin(make)
        self.worked.emit("getting the model ready", None, None)
        self.training.give(self.annotation.pages)
        self.look()

    def use_model(self, model: Model, path: Path) -> None:
        """Predicts with, and trains on from, a model that was loaded from a file."""
        self._begin_anew()
        self.annotation.set_classes(model.class_entries)
        self.model_file, self.own_threshold = path, None
        if self.annotation.keeper is not None:
            kept = model.copy()
            self.annotation.keeper.model(lambda: kept)
        self._begin(lambda: model)
        self._say(f"predicting with {path.name}")

    @property
    def result(self) -> Result | None:
        """What came of the last complete round, or what was opened; None if there is none."""
        live = self.training.live
        return None if live is None else live.result

    def export(self) -> Callable[[], Model] | None:
        """Makes a copy of the result, with the classes and the threshold of now, in any thread."""
        result, entries, threshold = self.result, self.annotation.classes, self.own_threshold
        if result is None:
            return None

        def make() -> Model:
            copy = result.copy()
            copy.update_card(classes=entries)
            if threshold is not None:
                copy.update_card(threshold=threshold)
            return copy

        return make

    def set_threshold(self, threshold: float) -> None:
        """Sets the threshold by hand."""
        self.own_threshold = threshold
        self.overlay.set_threshold(threshold)
        self._keep()

    def cancel(self) -> None:
        """Ends what runs; the model stays what it was."""
        if not self.errands.cancel():
            self.training.cancel()

    @property
    def running(self) -> bool:
        """Whether something runs, a segmentation excepted."""
        return self.training.running or self.errands.running

    # ---- what the worker tells ----

    def _ready(self) -> None:
        self._take_threshold()
        self.look()
        self.changed.emit()

    def _take_threshold(self) -> None:
        if self.result is not None and self.own_threshold is None:
            self.overlay.threshold = self.result.card.get("threshold")

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
        self._keep_result()
        self._say(summary(event))

    def _keep_result(self) -> None:
        self._take_threshold()
        made, keeper = self.export(), self.annotation.keeper
        if keeper is not None and made is not None:
            keeper.model(made)
        elif keeper is not None:
            keeper.forget_model()
        self._keep()

    def _differs(self, event: Differs) -> None:
        self.differences = event.lines
        self.changed.emit()

    def _stopped(self, event: Stopped) -> None:
        if event.why == "reverted":
            self._keep_result()
        self.overlay.show(self._page())
        self._say(event.why)

    def _failed(self, line: str) -> None:
        self.overlay.show(self._page() if self.image is not None else None)
        self._say(line)

    # ---- the view ----

    def _shape(self) -> tuple[int, int, int]:
        z, y, x = (1, *layers.full_data(self.image).shape)[-3:]
        return z, y, x

    def _page(self) -> Page | None:
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
        self.viewer.layers.events.inserted.disconnect(self._inserted)
        self.viewport.close()
        self.errands.close()
        self.leave()
        self.overlay.close()
