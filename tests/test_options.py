"""Every option of the command line changes a result; all front ends have the same defaults."""

import hashlib
import inspect
import re
import shutil

import numpy as np
import pytest
import tifffile
from samples import cells, scribbles
from typer.main import get_command

import napari_cem as cem
from napari_cem import _core, cli, demo, live, training
from napari_cem.finetuning import Plan
from napari_cem.object_files import Wanted, make_objects
from napari_cem.segmentation import Segmentation
from napari_cem.widget.preferences import Preferences

COMMANDS = get_command(cli.app).commands

TRAIN = (
    "finetune image.tif labels.tif --weights base.safetensors --out o.safetensors --steps 1 "
    "--set crop=32 --set batch=2"
)
NAMED = f"{TRAIN} --classes nothing=0,background=1,disk=2"
SEGMENT = "segment image.tif --model base.safetensors --out o.tif"
EVALUATE = "evaluate pieces.tif labels.tif"
OBJECTS = "objects pieces.tif --out o.tif"
TABLE = f"{OBJECTS} --table t.csv"

# A command line, and what is added to it: the result must be another one.
CHANGES = [
    (TRAIN, "--out other.safetensors"),
    (TRAIN, "--weights seven.safetensors"),
    (TRAIN, "--classes background,cell"),
    (TRAIN, "--steps 2"),
    (f"{TRAIN} --steps 3", "--seconds 0.001"),
    (NAMED, "--dense"),
    (TRAIN, "--set learning_rate=0.1"),
    (TRAIN, "--pixel-nm 7"),
    (TRAIN, "--seed 1"),
    (TRAIN, "--checkpoint new"),
    (f"{TRAIN} --steps 2 --checkpoint state", "--resume"),
    (f"{TRAIN} --out old.safetensors", "--overwrite"),
    (SEGMENT, "--model seven.safetensors"),
    (SEGMENT, "--out other.tif"),
    (SEGMENT, "--planes ortho"),
    (SEGMENT, "--scale 0.5"),
    (SEGMENT, "--probabilities"),
    (f"{SEGMENT} --out half.tif", "--resume"),
    (f"{SEGMENT} --out labels.tif", "--overwrite"),
    (EVALUATE, "--mask mask.tif"),
    (EVALUATE, "--classes disk=2:1"),
    (OBJECTS, "--out other.tif"),
    (OBJECTS, "--table t.csv"),
    (OBJECTS, "--class rest=1"),
    (OBJECTS, "--min-voxels 5"),
    (OBJECTS, "--fill-holes"),
    (OBJECTS, "--connectivity 6"),
    (TABLE, "--image image.tif"),
    (TABLE, "--pixel-nm 4"),
    (f"{TABLE} --pixel-nm 4", "--spacing-nm 30"),
    (f"{OBJECTS} --out labels.tif", "--overwrite"),
]

# The same, of trainings that change the encoder, which takes a while.
SLOW = [
    (f"{NAMED} --dense", "--recipe cem500k"),
    (f"{NAMED} --recipe cem500k", "--freeze layer4"),
]


def pieces():
    """Labels with a hollow block, a speck, two parts that share an edge, and background."""
    labels = np.ones((3, 48, 48), np.uint8)
    labels[:, 4:9, 4:9] = 2
    labels[1, 6, 6] = 0
    labels[0, 20, 20] = 2
    labels[2, 30:32, 30:32] = labels[2, 32:34, 32:34] = 2
    return labels


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, model_file):
    """A folder with images, labels, models, a stopped segmentation and a stopped training."""
    folder = tmp_path_factory.mktemp("prepared")
    mask = np.zeros((3, 48, 48), np.uint8)
    mask[:, 10:] = 1
    stacks = {"image": cells(3, 48), "labels": scribbles(3, 48), "pieces": pieces(), "mask": mask}
    for name, stack in stacks.items():
        tifffile.imwrite(folder / f"{name}.tif", stack, photometric="minisblack")
    classes = {1: "background", 7: "disk"}
    seven = cem.Model.from_weights("scratch", classes, 5, widths=[16] * 5)
    seven.save(folder / "seven.safetensors")
    (folder / "base.safetensors").symlink_to(model_file)
    (folder / "old.safetensors").write_text("old")
    steps = Segmentation(folder / "image.tif", model_file, folder / "half.tif", threads=1).steps()
    assert [next(steps).done, next(steps).done] == [0, 2]
    steps.close()
    trainer = cem.Trainer(cem.Model.load(model_file), crop=32, batch=2)
    trainer.add(folder / "image.tif", folder / "labels.tif")
    next(trainer.run(steps=1))
    trainer.save(folder / "state")
    return folder


@pytest.fixture(scope="module")
def known():
    """Outcomes by their command lines."""
    return {}


@pytest.fixture
def outcome(command, prepared, known, tmp_path, monkeypatch):
    """Runs a command line in a folder like that one: status, scores, and what the files hold."""

    def run(line):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for path in prepared.iterdir():
            (folder / path.name).symlink_to(path)
        (folder / "half.tif.partial").unlink()
        shutil.copytree(prepared / "half.tif.partial", folder / "half.tif.partial")
        monkeypatch.chdir(folder)
        status, out, _ = command(*line.split())
        files = {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }
        return status, out if line.startswith("evaluate") else "", files

    return lambda line: known[line] if line in known else known.setdefault(line, run(line))


def options(name):
    """The options of a command."""
    return {item.opts[0] for item in COMMANDS[name].params if item.opts[0].startswith("--")}


def test_no_option_is_left_out_of_these_tests():
    for name in ("finetune", "segment", "evaluate", "objects"):
        tried = {added.split()[0] for line, added in CHANGES + SLOW if line.startswith(name)}
        assert options(name) - {"--threads", "--json", "--help"} == tried


@pytest.mark.parametrize(
    ("line", "added"), [*CHANGES, *(pytest.param(*one, marks=pytest.mark.long) for one in SLOW)]
)
def test_an_option_changes_the_result(outcome, line, added):
    without, given = outcome(line), outcome(f"{line} {added}")
    assert given[0] == 0
    assert without != given


@pytest.mark.parametrize("line", [f"{TRAIN} --steps 2", SEGMENT, f"{SEGMENT} --planes ortho"])
def test_threads_and_json_lines_leave_the_result_as_it_is(outcome, line):
    assert outcome(line) == outcome(f"{line} --threads 1") == outcome(f"{line} --json")


def test_the_options_of_the_demo_reach_it(command, monkeypatch, tmp_path):
    seen = []
    real = inspect.signature(demo.run)

    def run(*arguments):
        seen.append(real.bind(*arguments).arguments)
        return demo.Outcome("scratch", 1, 0.1, 0.5, 0.5, tmp_path, tmp_path)

    monkeypatch.setattr(demo, "run", run)
    assert command("demo")[0] == 0
    command("demo", *"--out d --seconds 5 --steps 7 --seed 3 --threads 1 --overwrite".split())
    for name, parameter in real.parameters.items():
        if not name.startswith("on_"):
            assert str(seen[0][name]) == str(parameter.default)
            assert seen[1][name] != seen[0][name]


def defaults(function):
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def command_defaults(name):
    """Defaults of a command's options by their names in Python, flags and choices as they are."""
    return {
        item.name: getattr(item.default, "value", item.default) for item in COMMANDS[name].params
    }


def said(value):
    """A default in words, the text "1" and the number 1.0 alike."""
    return f"{float(value):g}" if str(value).replace(".", "").isdigit() else str(value)


def shared(one, other):
    """Values of the names that both have."""
    return [(name, said(one[name]), said(other[name])) for name in one.keys() & other.keys()]


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        (command_defaults("segment"), defaults(cem.segment), 6),
        (defaults(Segmentation), defaults(cem.segment), 8),
        (command_defaults("finetune"), vars(Plan()), 9),
        (defaults(cem.Trainer), vars(Plan()), 3),
        (defaults(cem.Trainer), defaults(cem.Trainer.load), 3),
        (command_defaults("objects"), vars(Wanted()), 4),
        (command_defaults("objects"), defaults(make_objects), 3),
        (defaults(cem.find_objects), vars(Wanted()), 4),
        (defaults(cem.find_objects), defaults(cem.fill_holes), 1),
        (command_defaults("demo"), defaults(demo.run), 5),
        (defaults(live.Live), vars(Preferences()), 2),
        (defaults(live.Live), defaults(cem.Trainer), 2),
    ],
)
def test_front_ends_have_the_same_defaults(one, other, least):
    pairs = shared(one, other)
    assert len(pairs) >= least
    assert [(name, value) for name, value, _ in pairs] == [
        (name, value) for name, _, value in pairs
    ]


def test_nothing_but_the_budget_stands_beside_the_defaults_of_the_core(root):
    """`--freeze all` is the core's first_stage, and a minute is a minute everywhere."""
    for number in training.RECIPES.values():
        assert _core.trainer_defaults(number)["first_stage"] == training.FREEZE["all"]
    assert command_defaults("finetune")["freeze"] == "all"
    assert defaults(demo.run)["seconds"] == command_defaults("demo")["seconds"] == training.SECONDS
    plugin = (root / "napari_cem" / "napari.yaml").read_text()
    megabytes = int(re.search(r"memory_mb:.*?default: (\d+)", plugin, re.DOTALL)[1])
    assert megabytes << 20 == live.FEATURE_BYTES


def cell(text):
    """What a cell of the table of options says: a number, a name, or nothing."""
    text = text.strip().strip("`")
    if text == "2 GiB":
        return 2 << 30
    return {"": None, '"adamw"': 0, '"constant"': 0, '"onecycle"': 1, '"all"': 5}.get(text, text)


@pytest.mark.parametrize("recipe", training.RECIPES)
def test_the_manual_states_the_defaults_there_are(root, recipe):
    text = (root / "docs" / "python.md").read_text()
    table = text.split("### Options of training")[1].split("\n## ")[0]
    rows = [line.split("|")[1:4] for line in table.splitlines() if line.startswith("| `")]
    found = _core.trainer_defaults(training.RECIPES[recipe])
    column = 1 + list(training.RECIPES).index(recipe)
    assert len(rows) >= 14
    for row in rows:
        name = row[0].strip().strip("`")
        stated = cell(row[column])
        if stated is not None:
            assert float(found["first_stage" if name == "freeze" else name]) == float(stated), name
