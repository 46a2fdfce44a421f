"""The widget's keys, bound while it is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from napari_cem.widget import layers
from napari_cem.widget.classes import values_of
from napari_cem.widget.project import Project

HELP = (
    "Shift-T train, K train after each stroke on/off, J preview on/off, U uncertainty, hold H to "
    "see the image alone, Q/W previous/next class, N next suggestion"
)


def bindings(project: Project) -> dict[str, Callable[[Any], Any]]:
    """What each key does."""

    def toggle(shown: str, otherwise: str) -> Callable[[Any], None]:
        def preview(viewer: Any) -> None:
            now = project.overlay.shown
            project.overlay.set_shown(shown if now != shown else otherwise)
            project.changed.emit()

        return preview

    def step(by: int) -> Callable[[Any], None]:
        def other_class(viewer: Any) -> None:
            annotation = project.annotation
            if annotation.painting is None:
                return
            values = values_of(annotation.classes)
            now = annotation.painting.layer.selected_label
            at = values.index(now) + by if now in values else 0
            annotation.paint_with(values[at % len(values)])

        return other_class

    def follow(viewer: Any) -> None:
        project.follows = not project.follows
        project.changed.emit()
        project.told.emit(f"training after each stroke is {'on' if project.follows else 'off'}")

    def alone(viewer: Any) -> Iterator[None]:
        hidden = [
            layer for layer in viewer.layers
            if layer.visible and layers.role_of(layer) not in (None, "image")
        ]  # fmt: skip
        for layer in hidden:
            layer.visible = False
        yield
        for layer in hidden:
            if layer in viewer.layers:
                layer.visible = True

    return {
        "H": alone,
        "Shift-T": lambda viewer: project.train(),
        "J": toggle("off", "labels"),
        "U": toggle("uncertainty", "labels"),
        "Q": step(-1),
        "W": step(1),
        "K": follow,
        "N": lambda viewer: project.suggesting.next(),
    }


def bind(viewer: Any, project: Project) -> list[str]:
    """Binds the keys that are free; returns them."""
    from napari.utils.key_bindings import coerce_keybinding

    bound = []
    for key, call in bindings(project).items():
        if coerce_keybinding(key) not in viewer.keymap:
            viewer.bind_key(key, call)
            bound.append(key)
    return bound


def unbind(viewer: Any, bound: list[str]) -> None:
    """Gives the keys back."""
    for key in bound:
        viewer.bind_key(key, None)
