"""The plugin's page in napari's preferences (napari 0.9 and newer)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preferences:
    """Threads (0: all cores) and memory in bytes for what is kept for prediction."""

    threads: int = 0
    feature_bytes: int = 1 << 30


def load() -> Preferences:
    """The user's settings, or the defaults where napari has none."""
    try:
        from napari.settings import get_plugin_settings

        found = get_plugin_settings("napari-cem").widget
        return Preferences(int(found.threads), int(found.memory_mb) << 20)
    except Exception:  # an older napari, or a plugin that is not registered
        return Preferences()
