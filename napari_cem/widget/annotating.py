"""Labels that the widget writes for the user; napari's undo takes them back."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_cem.preview import Page
from napari_cem.widget.painting import Painting


def complete_boxes(painting: Painting, image: Any, boxes: Any, background: int) -> int:
    """Makes background of what is not annotated inside the rectangles of a shapes layer that lie in
    a slice; how many pixels that are."""
    filled = 0
    for corners in boxes.data:
        inside = [image.world_to_data(boxes.data_to_world(corner)) for corner in corners]
        low, high = np.min(inside, axis=0), np.max(inside, axis=0)
        z = round(float(low[0])) if image.ndim == 3 else 0
        depth = painting.layer.data.shape[0] if image.ndim == 3 else 1
        if not 0 <= z < depth or (image.ndim == 3 and high[0] - low[0] > 0.5):
            continue
        rows, columns = (
            slice(max(0, round(first)), max(0, round(last) + 1))
            for first, last in zip(low[-2:], high[-2:], strict=True)
        )
        y, x = np.nonzero(painting.page(z)[rows, columns] == 0)
        painting.write(z, (y + rows.start, x + columns.start), np.full(len(y), background))
        filled += len(y)
    painting.compare()
    return filled


def label_as_predicted(
    painting: Painting, page: Page, values: list[int], threshold: float | None
) -> int:
    """Labels what is not annotated on a slice as it is predicted; how many pixels that are."""
    w, found = page.window, page.labels(values, threshold)
    labels = painting.page(w.z)[w.y : w.y + w.height, w.x : w.x + w.width]
    y, x = np.nonzero((labels == 0) & (found != 0))
    painting.write(w.z, (y + w.y, x + w.x), found[y, x])
    painting.compare()
    return len(y)
