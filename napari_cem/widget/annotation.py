"""The labels of an image: the layer they are painted in, their classes, and the session that keeps
them."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_cem.preview import Page
from napari_cem.widget import annotating, classes, keeping, layers
from napari_cem.widget.classes import BACKGROUND_BRUSH, Class
from napari_cem.widget.painting import Painting

MOST_IN_MEMORY = 1 << 30  # pixels of labels; those of larger images are painted on disk


class Annotation(QObject):
    """Labels layer, classes and session of one image at a time.

    Signals
    -------
    changed : something that is shown of it is different.
    painted : emitted with a slice and its labels, (y, x), without those of no class, when a
        moment has passed since the last stroke.
    replaced : the label values of the classes are others now.
    told : emitted with a line for the footer.
    """

    changed = Signal()
    painted = Signal(int, object)
    replaced = Signal()
    told = Signal(str)

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.image: Any = None
        self.painting: Painting | None = None
        self.keeper: keeping.Keeper | None = None
        self.classes = classes.new_classes()
        self._fresh: set[int] = set()

    # ---- the layer ----

    def attach(self, image: Any) -> None:
        """Belongs to `image` from now on, and takes labels of it that are in the viewer."""
        self.detach()
        self.image = image
        for layer in layers.ours(self.viewer, layers.LABELS, image):
            self.use(layer)

    def detach(self) -> None:
        """Leaves image and labels; everything is written."""
        self.drop()
        if self.keeper is not None:
            self.keeper.close()
        self.image = self.keeper = None

    def drop(self) -> None:
        """Leaves the labels layer."""
        if self.painting is not None:
            self.painting.settled.disconnect(self._settled)
            if self.painting.layer in self.viewer.layers:
                self.painting.compare()
            self.painting.close()
        self.painting = None
        self._fresh = set()

    @property
    def is_kept(self) -> bool:
        """Whether labels of this image were kept that are not in the viewer."""
        return self.image is not None and self.painting is None and keeping.is_kept(self.image)

    def new(self) -> Any:
        """A labels layer over the image, ready to paint the last class; kept in a session."""
        shape = layers.full_data(self.image).shape
        small = int(np.prod(shape, dtype=np.int64)) <= MOST_IN_MEMORY
        values: Any = np.uint16 if self.is_kept else np.uint8
        self._keep_session()
        data = np.zeros(shape, values) if small or not self.keeper else self.keeper.session.labels
        layer = self.viewer.add_labels(
            data, name="CEM labels", metadata=layers.marked(layers.LABELS, self.image),
            **layers.placed_like(self.image),
        )  # fmt: skip
        self.use(layer)
        self.paint_with(classes.values_of(self.classes)[-1])
        layer.brush_size = 5
        return layer

    def use(self, layer: Any) -> str | None:
        """Takes a labels layer; why not, if it cannot be, in which case nothing changes."""
        reason = layers.why_not_labels(layer, self.image)
        if reason is not None or (self.painting is not None and layer == self.painting.layer):
            return reason
        self.drop()
        known = layers.facts_of(layer).get("classes")
        mine = layers.role_of(layer) == layers.LABELS
        layer.metadata = {**layer.metadata, **layers.marked(layers.LABELS, self.image)}
        self.painting = Painting(self.viewer, layer, self)
        self.painting.changed.connect(self._changed)
        self.painting.settled.connect(self._settled)
        self._keep_session()
        if self.keeper is not None:
            self.keeper.flush()
            if keeping.restore(self.keeper.session, self.painting, mine):
                self.told.emit("the labels kept before were put aside in the session's folder")
            for z, page in self.painting.pages.items():
                self._save(z, page)
            kept = self.keeper.session.settings.get("classes")
            self.classes = kept or self.classes  # those of its model, which goes on
            known = kept or known
        self.set_classes(known or self.classes)
        return None

    def _keep_session(self) -> None:
        if self.keeper is not None:
            return
        try:
            self.keeper = keeping.Keeper(self.image, self.told.emit)
        except (OSError, ValueError) as error:
            self.told.emit(f"nothing is saved: {error}")

    def keep(self, **settings: Any) -> None:
        """Keeps settings in the session, and the classes."""
        if self.keeper is not None:
            self.keeper.settings(classes=self.classes, **settings)

    def _changed(self, z: int, page: np.ndarray) -> None:
        self._save(z, page)
        self._fresh.add(z)
        self.changed.emit()

    def _save(self, z: int, page: np.ndarray) -> None:
        if self.keeper is None or self.painting is None:
            return
        if self.painting.layer.data is not self.keeper.session.labels:  # painted in there already
            self.keeper.slice(z, page)
        self.keep()

    def _settled(self) -> None:
        fresh, self._fresh = self._fresh, set()
        pages = {} if self.painting is None else self.painting.pages
        for z in sorted(fresh & set(pages)):
            self.painted.emit(z, classes.only_known(pages[z], self.classes))

    @property
    def pages(self) -> dict[int, np.ndarray]:
        """Labels of the slices that are or were annotated, without those of no class."""
        known = {} if self.painting is None else self.painting.pages
        return {z: classes.only_known(page, self.classes) for z, page in known.items()}

    @property
    def counts(self) -> dict[int, int]:
        """Painted pixels of each label value."""
        return {} if self.painting is None else self.painting.counts

    @property
    def slices(self) -> dict[int, int]:
        """Annotated slices and their painted pixels."""
        return {} if self.painting is None else self.painting.slices

    @property
    def missing(self) -> list[Class]:
        """Classes of which nothing is painted."""
        return classes.missing(self.counts, self.classes)

    @property
    def strangers(self) -> list[int]:
        """Values that are painted but belong to no class."""
        return classes.strangers(self.counts, self.classes)

    # ---- painting ----

    def paint_with(self, value: int) -> None:
        """Selects the labels layer, its brush, and a class."""
        if self.painting is not None:
            layer = self.painting.layer
            self.viewer.layers.selection.active = layer
            layer.selected_label = value
            layer.mode = "paint"

    def complete_boxes(self, boxes: Any) -> int:
        """Makes background of what is not annotated inside rectangles of a shapes layer."""
        if self.painting is None:
            return 0
        background = self.classes[0]["value"]
        return annotating.complete_boxes(self.painting, self.image, boxes, background)

    def take(self, page: Page | None, threshold: float | None) -> int:
        """Labels what is not annotated on a slice as it is predicted, to be corrected."""
        if page is None or self.painting is None:
            return 0
        values = classes.values_of(self.classes)
        return annotating.label_as_predicted(self.painting, page, values, threshold)

    # ---- classes ----

    def set_classes(self, wanted: list[Class]) -> None:
        """Other classes."""
        anew = classes.values_of(wanted) != classes.values_of(self.classes)
        self.classes = [dict(entry) for entry in wanted]
        if self.painting is not None:
            self.painting.layer.colormap = layers.class_colors(self.classes, BACKGROUND_BRUSH)
        if anew:
            self.replaced.emit()
        self.keep()
        self.changed.emit()

    def add_class(self, value: int | None = None, name: str | None = None) -> str | None:
        """One class more, by default of a new label value; why not, if there are too many."""
        if len(self.classes) >= classes.MOST:
            return f"there are {classes.MOST} classes already; remove one first"
        value = value or max([*classes.values_of(self.classes), *self.strangers]) + 1
        self.set_classes(classes.with_value(self.classes, value, name))
        self.paint_with(value)
        return None

    def remove_class(self, value: int) -> str | None:
        """Removes a class; why not, if something of it is painted or it has to stay."""
        entry = next(each for each in self.classes if each["value"] == value)
        if len(self.classes) <= 2 or entry is self.classes[0]:
            return "background and one class have to stay"
        count = self.counts.get(value, 0)
        if count:
            return f"erase the {count} pixels of {entry['name']} first"
        self.set_classes([each for each in self.classes if each is not entry])
        return None
