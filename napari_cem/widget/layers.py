"""Our layers in the viewer: made beside the user's image, found by what is in their metadata."""

from __future__ import annotations

from typing import Any

import numpy as np

KEY = "napari-cem"
LABELS, PREDICTION, PROBABILITY, RESULT, OBJECTS, BOX = (
    "labels", "prediction", "probability", "result", "objects", "box",
)  # fmt: skip
NANOMETRES = 1e9


def marked(role: str, **facts: Any) -> dict[str, Any]:
    """Metadata of a layer of ours."""
    return {KEY: {"role": role, **facts}}


def role_of(layer: Any) -> str | None:
    """What a layer is to us, None if it is the user's."""
    found = layer.metadata.get(KEY)
    return found.get("role") if isinstance(found, dict) else None


def full_data(image: Any) -> Any:
    """The image's pixels at full resolution: NumPy, zarr, dask or alike."""
    return image.data[0] if image.multiscale else image.data


def why_not(layer: Any) -> str | None:
    """Why an image layer cannot be segmented, with the remedy; None if it can."""
    if layer.rgb:
        return f"{layer.name} is a colour image; convert it to grey, or split its channels"
    ndim = len(full_data(layer).shape)
    if ndim not in (2, 3):
        return f"{layer.name} has {ndim} axes; give one image (y, x) or one stack (z, y, x)"
    if np.dtype(full_data(layer).dtype).kind not in "buif":
        return f"{layer.name} has pixels of type {full_data(layer).dtype}; convert it to grey"
    return None


def placed_like(image: Any, offset: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Where a layer lies that has the image's pixels, or some from `offset` (in pixels) on."""
    scale, translate = np.asarray(image.scale), np.asarray(image.translate)
    if offset is not None:
        translate = translate + np.asarray(offset) * scale
    return {
        "scale": scale,
        "translate": translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def spacing_nm(image: Any) -> tuple[float, ...] | None:
    """Nanometres per pixel along each axis, None if the layer's units do not say."""
    sizes = []
    for scale, unit in zip(image.scale, image.units, strict=True):
        try:
            sizes.append(float(abs(scale) * (1 * unit).to("meter").magnitude * NANOMETRES))
        except Exception:  # pint has a class for each kind of unit that is no length
            return None
    return tuple(sizes)


def class_colors(classes: list[dict[str, Any]], background: str | None) -> Any:
    """A colour a class; label 0 and, if None, background are transparent."""
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    for number, entry in enumerate(classes):
        color = entry["color"] if number else background or "transparent"
        colors[entry["value"]] = color
    return DirectLabelColormap(color_dict=colors)


def ours(viewer: Any, role: str) -> list[Any]:
    """Our layers of a role, in the viewer's order."""
    return [layer for layer in viewer.layers if role_of(layer) == role]
