"""The widget's keys, bound while it is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_cem.widget.project import Project

HELP = "Shift-T train, J preview on/off, Q/W previous/next class, K train after each stroke on/off"


def bindings(project: Project) -> dict[str, Callable[[Any], None]]:
    """What each key does."""

    def preview(viewer: Any) -> None:
        overlay = project.overlay
        overlay.set_shown("off" if overlay.shown != "off" else "labels")
        project.changed.emit()

    def step(by: int) -> Callable[[Any], None]:
        def other_class(viewer: Any) -> None:
            if project.painting is None:
                return
            values = [entry["value"] for entry in project.classes]
            now = project.painting.layer.selected_label
            at = values.index(now) + by if now in values else 0
            project.paint_with(values[at % len(values)])

        return other_class

    def follow(viewer: Any) -> None:
        project.follows = not project.follows
        project.told.emit(f"training after each stroke is {'on' if project.follows else 'off'}")

    return {
        "Shift-T": lambda viewer: project.train(),
        "J": preview,
        "Q": step(-1),
        "W": step(1),
        "K": follow,
    }


def bind(viewer: Any, project: Project) -> list[str]:
    """Binds the keys that are free; returns them."""
    bound = []
    for key, call in bindings(project).items():
        if key not in {str(each) for each in viewer.keymap}:
            viewer.bind_key(key, call)
            bound.append(key)
    return bound


def unbind(viewer: Any, bound: list[str]) -> None:
    """Gives the keys back."""
    for key in bound:
        viewer.bind_key(key, None)
