"""Commands of napari's palette: what the dock's buttons do, wherever one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari.viewer

NAME = "CEM Segment"


def widget_of(viewer: Any) -> Any:
    """The dock of a viewer; opened if it is not."""
    from napari_cem.widget.dock import CemWidget

    for widget in viewer.window.dock_widgets.values():
        inner = widget.widget() if hasattr(widget, "widget") else widget
        for found in (widget, inner):
            if isinstance(found, CemWidget):
                return found
    made = CemWidget(viewer)
    viewer.window.add_dock_widget(made, name=NAME, area="right")
    return made


def new_labels(viewer: napari.viewer.Viewer) -> None:
    """New labels over the image."""
    widget = widget_of(viewer)
    if widget.project.image is None:
        widget.footer.say("open an image first")
    elif widget.project.annotation.painting is None:
        widget.project.new_labels()


def train(viewer: napari.viewer.Viewer) -> None:
    """A round of training on what is painted."""
    widget_of(viewer).project.train()


def segment(viewer: napari.viewer.Viewer) -> None:
    """The whole stack, by the settings in the section Segment."""
    widget = widget_of(viewer)
    reason = widget.segment.why_not()
    if reason:
        widget.footer.say(reason)
    else:
        widget.segment.start()


def find_objects(viewer: napari.viewer.Viewer) -> None:
    """Objects of the segmentation, and their table."""
    widget = widget_of(viewer)
    reason = widget.objects.why_not()
    if reason:
        widget.footer.say(reason)
    else:
        widget.objects.search()


def cancel(viewer: napari.viewer.Viewer) -> None:
    """Ends what runs."""
    widget_of(viewer).cancel()


def tour(viewer: napari.viewer.Viewer) -> None:
    """Five steps on the sample."""
    widget_of(viewer).tour.begin()
