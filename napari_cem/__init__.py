"""napari-cem: a few labels, a fine-tuned U-Net, a segmented electron-microscopy volume.

>>> import napari_cem as cem
>>> model = cem.Model.from_weights("cem500k", classes=["background", "mitochondria"])
>>> trainer = cem.Trainer(model)
>>> trainer.add(image, labels)
>>> for report in trainer.run(seconds=60): print(report.loss)
>>> cem.segment(volume, model, out="mito.tif")

The names below are the interface; their modules load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# NumPy loads the system's C++ library, which must be there before a wheel's own copy is.
import numpy as _numpy  # noqa: F401

if TYPE_CHECKING:
    from napari_cem._core import Cancelled
    from napari_cem.curation import curate
    from napari_cem.evaluation import Scores, evaluate
    from napari_cem.hashing import dhash
    from napari_cem.images import open_labels, open_volume
    from napari_cem.intensity import Intensity, measure
    from napari_cem.measurements import measure_objects
    from napari_cem.model import Model
    from napari_cem.object_edits import Change, ObjectEdits
    from napari_cem.objects import fill_holes, find_objects
    from napari_cem.segmentation import segment
    from napari_cem.suggestion import suggest
    from napari_cem.trainer import Trainer
    from napari_cem.training import Report

    __version__: str

__all__ = [
    "Cancelled",
    "Change",
    "Intensity",
    "Model",
    "ObjectEdits",
    "Report",
    "Scores",
    "Trainer",
    "__version__",
    "curate",
    "dhash",
    "evaluate",
    "fill_holes",
    "find_objects",
    "measure",
    "measure_objects",
    "open_labels",
    "open_volume",
    "segment",
    "suggest",
]

_HOMES = {
    "Cancelled": "_core",
    "Change": "object_edits",
    "Intensity": "intensity",
    "Model": "model",
    "ObjectEdits": "object_edits",
    "Report": "training",
    "Scores": "evaluation",
    "Trainer": "trainer",
    "curate": "curation",
    "dhash": "hashing",
    "evaluate": "evaluation",
    "fill_holes": "objects",
    "find_objects": "objects",
    "measure": "intensity",
    "measure_objects": "measurements",
    "open_labels": "images",
    "open_volume": "images",
    "segment": "segmentation",
    "suggest": "suggestion",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        value = import_module("napari_cem._core").version()
    elif name in _HOMES:
        value = getattr(import_module(f"napari_cem.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
