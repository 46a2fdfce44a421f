"""What is installed and what computes, in one table."""

from __future__ import annotations

import platform
from importlib import metadata

from napari_cem import _core, weights


def version_of(package: str) -> str:
    """Installed version of a package, found without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def qt() -> str:
    """The Qt bindings that are installed."""
    found = []
    for package in ("PyQt6", "PySide6", "PyQt5", "PySide2"):
        version = version_of(package)
        if version != "not installed":
            found.append(f"{package} {version}")
    return ", ".join(found) or "not installed"


def examine() -> dict[str, str]:
    """Names and findings, in the order in which they are shown."""
    rows = {
        "napari-cem": version_of("napari-cem"),
        "libcem": _core.version(),
        "computes with": _core.backend(),
        "cores": str(_core.cores()),
        "processor": platform.processor() or platform.machine(),
        "Python": platform.python_version(),
        "system": platform.platform(),
    }
    for package in ("numpy", "zarr", "pillow", "napari"):
        rows[package] = version_of(package)
    rows["Qt"] = qt()
    rows["weights folder"] = str(weights.folder())
    for name in weights.KNOWN:
        path = weights.cached(name)
        rows[f"weights {name}"] = str(path) if path else "not in the folder"
    return rows


def table(rows: dict[str, str]) -> str:
    """The findings as text."""
    width = max(len(name) for name in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())
