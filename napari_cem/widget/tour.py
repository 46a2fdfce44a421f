"""Five steps on the sample, each with a text and a button that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_cem.model import SCRATCH
from napari_cem.widget import layers
from napari_cem.widget.sections.base import button
from napari_cem.widget.viewport import go_to_slice

if TYPE_CHECKING:
    from napari_cem.widget.dock import CemWidget

SCRIBBLED, OTHER = 16, 32  # slices of the sample


@dataclass(frozen=True)
class Step:
    """A step: what to read, how to do it for the user, and whether it is done."""

    text: str
    act: Callable[[], object]
    done: Callable[[], bool]


def steps_of(widget: CemWidget) -> list[Step]:
    """The tour of a widget."""
    project = widget.project

    def take_scribbles() -> None:
        from napari.layers import Labels

        found = [layer for layer in project.viewer.layers if isinstance(layer, Labels)]
        drawn = [layer for layer in found if layers.role_of(layer) is None]
        if drawn:
            project.use_labels(drawn[0])
        go_to_slice(project.viewer, project.image, SCRIBBLED)

    def train() -> None:
        project.base = project.base or SCRATCH
        project.train()

    def move() -> None:
        go_to_slice(project.viewer, project.image, OTHER)

    def labelled() -> bool:
        return project.annotation.painting is not None and not project.annotation.missing

    return [
        Step("1/5  Open a stack: drop a file on the window, or take the sample.",
             widget.data.open_sample, lambda: project.image is not None),
        Step("2/5  Press New labels and paint a few strokes of each class, background too. The "
             "sample comes with some.", take_scribbles, labelled),
        Step("3/5  Train. The prediction appears while the network learns, and follows when you "
             "paint more.", train, lambda: bool(project.rounds)),
        Step("4/5  Move the slider: other slices are predicted as you come by. Correct with a "
             "stroke what is wrong; set the threshold in Preview.", move,
             lambda: project.slice not in (None, *project.annotation.slices)),
        Step("5/5  Segment the stack, then Find objects, measure and correct them, and save the "
             "table.", widget.segment.start, lambda: bool(widget.objects.results())),
    ]  # fmt: skip


class Tour(QFrame):
    """The step to do next; goes on by itself when it is done."""

    def __init__(self, widget: CemWidget) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.steps = steps_of(widget)
        self.at: int | None = None
        self.text = QLabel(wordWrap=True, objectName="tour")
        self.show_me = button("Show me", self._act, "tour-show")
        row = QHBoxLayout()
        row.addWidget(self.show_me)
        row.addWidget(button("Next", self._next, "tour-next"))
        row.addWidget(button("End the tour", self.end, "tour-end"))
        buttons = QWidget()
        buttons.setLayout(row)
        row.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)
        self.hide()

    def begin(self) -> None:
        """Shows the first step that is to be done."""
        self.at = 0
        self.update_step()
        self.show()

    def end(self) -> None:
        """Goes away."""
        self.at = None
        self.hide()

    def update_step(self) -> None:
        """Goes on past what is done."""
        if self.at is None:
            return
        while self.at < len(self.steps) and self.steps[self.at].done():
            self.at += 1
        if self.at < len(self.steps):
            self.text.setText(self.steps[self.at].text)
        else:
            self.text.setText("That is all: the same on your own stack, and save the model.")
        self.show_me.setEnabled(self.at < len(self.steps))

    def _act(self) -> None:
        if self.at is not None:
            self.steps[self.at].act()
            self.update_step()

    def _next(self) -> None:
        if self.at is not None and self.at < len(self.steps) - 1:
            self.at += 1
            self.text.setText(self.steps[self.at].text)
        else:
            self.end()
