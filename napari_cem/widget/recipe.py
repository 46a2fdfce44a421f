"""What was done in the widget, as lines of Python."""

from __future__ import annotations

from typing import Any


def lines(
    image: str | None,
    labels: str | None,
    base: str,
    classes: list[dict[str, Any]],
    seconds: float | None,
    planes: str,
    threshold: float | None,
) -> str:
    """A script that trains on the same labels and segments the same image.

    Parameters
    ----------
    image, labels : str or None
        Where they are; None if they are in no file.
    base : str
        Weights to start from.
    classes : list of dict
        With ``name`` and ``value``.
    seconds : float or None
        The budget of a round.
    planes : str
    threshold : float or None
        If it was set by hand.
    """
    names = {entry["value"]: entry["name"] for entry in classes}
    chosen = [] if threshold is None else [f"model.update_card(threshold={threshold:g})"]
    return "\n".join(
        [
            "import napari_cem as cem",
            "",
            f"image = {image!r}" if image else "image = viewer.layers['image'].data  # your array",
            f"labels = {labels!r}" if labels else "labels = viewer.layers['labels'].data",
            f"model = cem.Model.from_weights({base!r}, classes={names!r})",
            "trainer = cem.Trainer(model)",
            "trainer.add(image, labels)",
            f"for report in trainer.run(seconds={60 if seconds is None else seconds:g}):",
            "    print(report.step, report.loss, report.held_out_iou)",
            *chosen,
            "model.save('model.safetensors', overwrite=True)",
            f"cem.segment(image, model, out='segmentation.tif', planes={planes!r})",
            "",
        ]
    )
