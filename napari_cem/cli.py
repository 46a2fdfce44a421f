"""The command napari-cem: parses, calls, reports; exit status 0, 2 for what a user can mend, 1."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cem.cli_curate import curate_command
from napari_cem.progress import STOPPED, Reporter, reported

app = typer.Typer(
    name="napari-cem",
    help="Segment electron-microscopy volumes with a network fine-tuned on a few labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
weights_app = typer.Typer(
    help="Pre-trained weights: list, download, convert.", no_args_is_help=True
)
app.add_typer(weights_app, name="weights")


class Recipe(StrEnum):
    """Regimes of training."""

    interactive = "interactive"
    cem500k = "cem500k"


class Freeze(StrEnum):
    """Parts of the encoder that do not train."""

    none = "none"
    layer1 = "layer1"
    layer2 = "layer2"
    layer3 = "layer3"
    layer4 = "layer4"
    all = "all"


class Planes(StrEnum):
    """Directions of slices."""

    xy = "xy"
    xz = "xz"
    yz = "yz"
    ortho = "ortho"


Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads; 0 is all cores.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing result.")]


def parse_names(text: str | None) -> dict[int, str] | list[str] | None:
    """Reads "background,mitochondria" or "background=0,myelin=127,axon=255"."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(f"--classes is {text!r}; write names with commas between them")
    if not any("=" in part for part in parts):
        return parts
    found: dict[int, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if not value.strip().isdigit() or not name.strip():
            raise ValueError(f"--classes has {part!r}; write NAME=VALUE for every class")
        found[int(value)] = name.strip()
    if len(found) < len(parts):
        raise ValueError(f"--classes is {text!r}; every class needs a value of its own")
    return found


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Reads "batch=8" and "class_weights=0.1,1,3": options of the Trainer by their names."""
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        values: list[Any] = []
        for part in text.split(","):
            try:
                values.append(int(part) if part.strip().lstrip("-").isdigit() else float(part))
            except ValueError:
                values.append(part.strip())
        if not equals or not name or "" in values:
            raise ValueError(f"--set has {setting!r}; write NAME=VALUE, as in batch=8")
        many = len(values) > 1 or name in ("class_weights", "milestones")
        found[name] = values if many else values[0]
    return found


@app.command("demo")
@reported
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("napari-cem-demo"),
    seconds: Annotated[float, typer.Option(min=1, help="Time for training.")] = 60.0,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, instead of time.")] = None,
    seed: Seed = 0,
    threads: Threads = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    *,
    reporter: Reporter,
) -> None:
    """Fine-tune on a few scribbles and segment the rest: the whole story, offline."""
    from napari_cem import demo

    def on_start(base: str) -> None:
        reporter.say("note", f"starting from {base}")

    outcome = demo.run(
        out, seconds, steps, seed, threads, overwrite,
        on_start, stepper(reporter, seconds, steps),
        functools.partial(reporter.progress, "segmenting"),
    )  # fmt: skip
    text = (
        f"trained {outcome.steps} steps on scribbles on {outcome.painted:.2%} of the pixels\n"
        f"IoU of the membrane on slices without scribbles: {outcome.iou:.3f}\n"
        f"IoU at least {demo.FAR} slices away from any scribble: {outcome.iou_far:.3f}\n"
        f"labels:  {outcome.labels}\npicture: {outcome.picture}"
    )
    reporter.result(text, **vars(outcome))


def stepper(reporter: Reporter, seconds: float | None, steps: int | None) -> Callable[[Any], None]:
    """Shows reports of training, at most five a second."""
    shown = -1.0

    def show(report: Any) -> None:
        nonlocal shown
        last = steps is not None and report.step >= steps
        if not last and report.seconds - shown < 0.2:
            return
        shown = report.seconds
        figures = {"loss": round(report.loss, 4)}
        if report.held_out_iou:
            figures["iou"] = round(sum(report.held_out_iou.values()) / len(report.held_out_iou), 3)
        if steps is None and seconds is not None:
            done = min(int(report.seconds), int(seconds))
            reporter.progress("training", done, int(seconds), "s", **figures)
        else:
            reporter.progress("training", report.step, steps, "step", **figures)

    return show


def fetcher(reporter: Reporter) -> Callable[[int, int | None], None]:
    """Shows the progress of a download."""
    return functools.partial(reporter.progress, "fetching weights", unit="B")


@weights_app.command("list")
@reported
def weights_list(as_json: Json = False, *, reporter: Reporter) -> None:
    """List the weights that are known or in the cache."""
    from napari_cem import weights

    entries = weights.listing()
    width = max(len(entry.name) for entry in entries)
    lines = [
        f"{entry.name:{width}}  {entry.state:17}  {entry.size / 1e6:6.1f} MB  {entry.path}"
        for entry in entries
    ]
    reporter.result("\n".join(lines), weights=[vars(entry) for entry in entries])


@weights_app.command("fetch")
@reported
def weights_fetch(
    name: Annotated[str, typer.Argument(help="cem500k or cem1.5m.")],
    as_json: Json = False,
    *,
    reporter: Reporter,
) -> None:
    """Download weights into the cache; a download that was stopped goes on."""
    from napari_cem import weights

    path = weights.fetch(name, fetcher(reporter))
    reporter.result(f"{name} is in {path}", name=name, path=path)


@weights_app.command("import")
@reported
def weights_import(
    file: Annotated[Path, typer.Argument(help="A PyTorch checkpoint (.pth.tar, .pth).")],
    out: Annotated[
        Path | None, typer.Option(help="The .safetensors file; by default in the cache.")
    ] = None,
    as_json: Json = False,
    *,
    reporter: Reporter,
) -> None:
    """Convert a checkpoint that was downloaded by hand; nothing in it is run."""
    from napari_cem import weights

    path = weights.import_file(file, out)
    reporter.result(f"imported {file} to {path}", path=path)


@app.command("doctor")
@reported
def doctor_command(as_json: Json = False, *, reporter: Reporter) -> None:
    """Show the library, the instruction set, threads, weights, napari and Qt in one table."""
    from napari_cem import doctor

    rows = doctor.examine()
    reporter.result(doctor.table(rows), **{key.replace(" ", "_"): v for key, v in rows.items()})


@app.command("finetune")
@reported
def finetune_command(
    image: Annotated[Path, typer.Argument(help="Image or stack, or a folder of them.")],
    labels: Annotated[
        Path, typer.Argument(help="Its labels: 0 not annotated, 1 background, 2.. classes.")
    ],
    out: Annotated[Path, typer.Option(help="The model to write, a .safetensors file.")],
    weights: Annotated[
        str, typer.Option(help="cem500k, cem1.5m, starter, scratch, a file of weights, or a model.")
    ] = "cem500k",
    classes: Annotated[
        str | None, typer.Option(help="Names: background,NAME,... or NAME=VALUE,...")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of training.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="Time for training.")] = None,
    recipe: Annotated[Recipe, typer.Option(help="Regime of training.")] = Recipe.interactive,
    freeze: Annotated[
        Freeze, typer.Option(help="What of the encoder does not train: up to a layer, or all.")
    ] = Freeze.all,
    dense: Annotated[
        bool | None,
        typer.Option("--dense/--sparse", help="Whether 0 is background and every pixel counts."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of another option of training; repeatable."),
    ] = None,
    pixel_nm: Annotated[
        float | None, typer.Option(min=0.001, help="Pixel size, if the image does not say.")
    ] = None,
    seed: Seed = 0,
    threads: Threads = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Keep the state of training in this file.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint, up to --steps.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    *,
    reporter: Reporter,
) -> None:
    """Fine-tune a model on annotated images."""
    from napari_cem.finetuning import Plan, finetune
    from napari_cem.training import SECONDS

    plan = Plan(
        weights, recipe.value, parse_names(classes), steps, seconds, dense, seed, threads,
        pixel_nm, checkpoint, resume, {"freeze": freeze.value, **parse_settings(settings or [])},
    )  # fmt: skip
    budget = (SECONDS if recipe is Recipe.interactive else None) if seconds is None else seconds
    model, last = finetune(
        image, labels, out, plan, overwrite,
        stepper(reporter, budget, steps), fetcher(reporter),
    )  # fmt: skip
    held = last.held_out_iou if last else None
    lines = [f"trained {model.card['training']['steps_done']} steps: {out}"]
    lines += [f"IoU on held-out strokes, {name}: {iou:.3f}" for name, iou in (held or {}).items()]
    if not held:
        lines.append("too few strokes to hold any out: there is no IoU to report")
    reporter.result(
        "\n".join(lines),
        model=out,
        steps=model.card["training"]["steps_done"],
        loss=last.loss if last else None,
        held_out_iou=held,
    )


@app.command("segment")
@reported
def segment_command(
    image: Annotated[Path, typer.Argument(help="TIFF, PNG, .npy, .zarr or a folder of slices.")],
    model: Annotated[Path, typer.Option(help="The model, a .safetensors file.")],
    out: Annotated[Path, typer.Option(help="Result: .tif, .zarr, or .png for one image.")],
    planes: Annotated[
        Planes, typer.Option(help="Slices to look at; ortho averages three directions.")
    ] = Planes.xy,
    scale: Annotated[
        str,
        typer.Option(help="Times as large as the network sees the slices, or 'model' to match it."),
    ] = "1",
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write probabilities, not labels.")
    ] = False,
    threads: Threads = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped or killed.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    *,
    reporter: Reporter,
) -> None:
    """Segment an image or a stack with a fine-tuned model."""
    from napari_cem.segmentation import segment

    start = time.monotonic()
    segment(
        image, model, out, planes.value, probabilities, threads,
        functools.partial(reporter.progress, "segmenting"), resume, overwrite,
        scale=scale,
    )  # fmt: skip
    seconds = time.monotonic() - start
    reporter.result(f"wrote {out} in {seconds:.1f} s", out=out, seconds=round(seconds, 3))


@app.command("evaluate")
@reported
def evaluate_command(
    prediction: Annotated[Path, typer.Argument(help="Labels to judge.")],
    truth: Annotated[Path, typer.Argument(help="What they should be.")],
    mask: Annotated[Path | None, typer.Option(help="Count only where this is not 0.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="NAME=PREDICTED:TRUE,... as in mitochondria=2:255")
    ] = None,
    as_json: Json = False,
    *,
    reporter: Reporter,
) -> None:
    """Compare a segmentation with the truth: IoU and Dice, pooled and per slice."""
    from napari_cem import evaluation

    scores = evaluation.evaluate(prediction, truth, mask, classes)
    reporter.result(evaluation.table(scores), **scores.as_dict())


@app.command("objects")
@reported
def objects_command(
    labels: Annotated[Path, typer.Argument(help="A segmentation: labels of classes.")],
    out: Annotated[Path, typer.Option(help="Numbered objects: .tif, .zarr, .png for one image.")],
    table: Annotated[Path | None, typer.Option(help="Measurements, a .csv file.")] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="NAME=VALUE of a class; by default all but 0 and 1."),
    ] = None,
    min_voxels: Annotated[int, typer.Option(min=0, help="Leave out smaller objects.")] = 0,
    fill_holes: Annotated[bool, typer.Option("--fill-holes", help="Fill enclosed holes.")] = False,
    connectivity: Annotated[int, typer.Option(help="6 faces, 18 edges too, 26 corners too.")] = 26,
    image: Annotated[Path | None, typer.Option(help="For grey values in the table.")] = None,
    pixel_nm: Annotated[float | None, typer.Option(min=0.001, help="Pixel size.")] = None,
    spacing_nm: Annotated[float | None, typer.Option(min=0.001, help="Of slices.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    *,
    reporter: Reporter,
) -> None:
    """Number the objects of a segmentation, and measure them."""
    from napari_cem import object_files as files

    names = files.parse_class_options(classes or [])
    wanted = files.Wanted(names, connectivity, min_voxels, fill_holes, pixel_nm, spacing_nm)
    measuring = functools.partial(reporter.progress, "measuring", unit="object")
    counts = files.make_objects(labels, out, table, image, wanted, overwrite, measuring)
    text = "\n".join(f"{count} objects of {name}" for name, count in counts.items())
    text += f"\nobjects: {out}" + (f"\ntable: {table}" if table else "")
    total = sum(counts.values())
    reporter.result(text.strip(), out=out, table=table, objects=total, classes=counts)


app.command("curate")(curate_command)


def main() -> None:
    """Entry point of the command napari-cem."""
    try:
        app()
    except KeyboardInterrupt:
        print(f"napari-cem: {STOPPED}", file=sys.stderr)
        sys.exit(2)
