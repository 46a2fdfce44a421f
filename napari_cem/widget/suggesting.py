"""What to label next: boxes found in a worker, shown one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_cem.suggestion import Suggestion, suggest
from napari_cem.widget import layers, preferences
from napari_cem.widget.viewport import go_to_slice

if TYPE_CHECKING:
    from napari_cem.widget.project import Project

COLOR = "#ffd400"


class Suggesting(QObject):
    """Boxes of the image that are worth labelling, the best one first.

    Attributes
    ----------
    found : list of Suggestion
        Those in which nothing is painted yet.
    shown : int
        Place in `found` of the one on screen, -1 if there is none.

    Signals
    -------
    changed : there are others, or another one is shown.
    """

    changed = Signal()

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.project = project
        self.found: list[Suggestion] = []
        self.shown = -1

    def search(self) -> None:
        """Looks for boxes, in a worker, by the model if there is one."""
        p, image = self.project, self.project.image
        painting, make, volume = p.annotation.painting, p.export(), p.volume()
        labels = None if painting is None else painting.layer.data
        threads = preferences.load().threads
        p.errands.send(
            "looking for what to label next",
            lambda report: suggest(
                volume, None if make is None else make(), labels, threads=threads, progress=report
            ),
            lambda found: self._take(found) if p.image == image else None,
        )

    def _take(self, found: list[Suggestion]) -> None:
        self.forget()
        self.found = found
        self.project.told.emit(
            f"{len(found)} boxes to label next; N goes from one to the next"
            if found else "nothing to suggest: all that differs is labelled, or nothing is there"
        )  # fmt: skip
        if found:
            self.show(0)
        self.changed.emit()

    def forget(self) -> None:
        """There are none any more."""
        self.found, self.shown = [], -1
        for layer in self._boxes():
            self.project.viewer.layers.remove(layer)
        self.changed.emit()

    def update(self) -> None:
        """Drops the boxes in which something is painted by now."""
        painting = self.project.annotation.painting
        if painting is None:
            return
        annotated, before = painting.slices, len(self.found)
        kept = [
            each for each in self.found
            if each.z not in annotated or not painting.page(each.z)[inside(each)].any()
        ]  # fmt: skip
        if len(kept) != before:
            shown = self.found[self.shown] if self.shown >= 0 else None
            self.found = kept
            self.shown = kept.index(shown) if shown in kept else min(self.shown, len(kept)) - 1
            self.changed.emit()

    def next(self) -> None:
        """Shows the next one, after the last one the first."""
        self.update()
        if self.found:
            self.show((self.shown + 1) % len(self.found))
        else:
            self.project.told.emit("press Suggest first")

    def show(self, number: int) -> None:
        """Goes to a box and draws its outline."""
        self.shown = number
        each, viewer, image = self.found[number], self.project.viewer, self.project.image
        go_to_slice(viewer, image, each.z)
        middle = (each.y + each.height / 2, each.x + each.width / 2)
        place = image.data_to_world((each.z, *middle) if image.ndim == 3 else middle)
        camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        camera.center = (*camera.center[:-2], *place[-2:])
        self._outline(each)
        self.project.told.emit(each.reason)
        self.changed.emit()

    def _boxes(self) -> list[Any]:
        image = self.project.image
        return [] if image is None else layers.ours(self.project.viewer, layers.SUGGESTION, image)

    def _outline(self, each: Suggestion) -> None:
        viewer, image = self.project.viewer, self.project.image
        selection = set(viewer.layers.selection)
        top, left = each.y - 0.5, each.x - 0.5
        bottom, right = top + each.height, left + each.width
        corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
        if image.ndim == 3:
            corners = np.column_stack([np.full(4, each.z), corners])
        for layer in self._boxes():
            viewer.layers.remove(layer)
        viewer.add_shapes(
            [corners], name="CEM suggestion", shape_type="rectangle", edge_color=COLOR,
            face_color="transparent", edge_width=2, ndim=image.ndim,
            metadata=layers.marked(layers.SUGGESTION, image), **layers.placed_like(image),
        )  # fmt: skip
        viewer.layers.selection = selection


def inside(each: Suggestion) -> tuple[slice, slice]:
    """Rows and columns of a box."""
    return slice(each.y, each.y + each.height), slice(each.x, each.x + each.width)
