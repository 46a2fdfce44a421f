"""Our layers in the viewer: made beside the user's image, found by what is in their metadata.

A layer is compared with ==, not with `is`: plugins are given proxies of napari's objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_cem.labels import LARGEST

KEY = "napari-cem"
LABELS, PREDICTION, PROBABILITY, UNCERTAINTY, RESULT, OBJECTS, BOX, SUGGESTION = (
    "labels", "prediction", "probability", "uncertainty", "result", "objects", "box", "suggestion",
)  # fmt: skip
NANOMETRES = 1e9


def marked(role: str, image: Any = None, **facts: Any) -> dict[str, Any]:
    """Metadata of a layer of ours, made for an image layer."""
    if image is not None:
        facts["image"] = str(image.unique_id)
        facts |= {key: value for key, value in facts_of(image).items() if key == "folder"}
    return {KEY: {"role": role, **facts}}


def facts_of(layer: Any) -> dict[str, Any]:
    """What we noted in a layer's metadata."""
    found = layer.metadata.get(KEY)
    return found if isinstance(found, dict) else {}


def role_of(layer: Any) -> str | None:
    """What a layer is to us, None if it is the user's."""
    return facts_of(layer).get("role")


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


def why_not_labels(layer: Any, image: Any) -> str | None:
    """Why a labels layer cannot be that of an image, with the remedy; None if it can."""
    shape = tuple(full_data(image).shape)
    if layer.multiscale:
        return f"{layer.name} is multiscale; napari can't paint in it: extract its first level"
    if tuple(layer.data.shape) != shape:
        return f"{layer.name} has the shape {tuple(layer.data.shape)}, {image.name} has {shape}"
    largest = np.iinfo(layer.data.dtype).max if layer.data.dtype.kind in "iu" else 1
    if isinstance(layer.data, np.ndarray) and largest > LARGEST and layer.data.size:
        largest = int(layer.data.max())
        if largest > LARGEST:
            return f"{layer.name} has the label {largest}; labels are 0 to {LARGEST}"
    return None


def placed_like(image: Any, offset: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Where a layer lies that has the image's pixels, or some from `offset` (in pixels) on."""
    from napari.utils.transforms import Affine

    placed = Affine(
        scale=image.scale, translate=image.translate, rotate=image.rotate, shear=image.shear
    )
    return {
        "scale": np.asarray(image.scale),
        "translate": np.asarray(placed(offset or (0,) * image.ndim)),
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


def ours(viewer: Any, role: str, image: Any) -> list[Any]:
    """Our layers of a role that were made for an image layer, in the viewer's order."""
    known, folder = str(image.unique_id), facts_of(image).get("folder")
    return [
        layer for layer in viewer.layers
        if role_of(layer) == role
        and (facts_of(layer).get("image") == known
             or (folder is not None and facts_of(layer).get("folder") == folder))
    ]  # fmt: skip
