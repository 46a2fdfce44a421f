"""What the documents say runs as it stands there; only the time for training is cut."""

import functools
import re

import numpy as np
import pytest
import tifffile
from samples import cells, scribbles

import napari_cem as cem
from napari_cem import weights

SECONDS = "seconds=0.2"


def blocks(path):
    """The Python in a document."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def mitochondria():
    """Labels with seven blocks, the last of which takes up most of its slices."""
    labels = np.ones((20, 96, 96), np.uint8)
    for number in range(6):
        labels[1:4, 2 + 12 * number : 12 + 12 * number, 2:10] = 2
    labels[8:16, 30:90, 35:65] = 2
    return labels


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Weights that stand in for the pre-trained ones."""
    path = tmp_path_factory.mktemp("weights") / "cem500k.safetensors"
    cem.Model.from_weights("scratch", widths=[16] * 5).save(path)
    return path


@pytest.fixture
def names(encoder, tmp_path, monkeypatch):
    """The files and variables that the documents speak of, and a small network."""
    monkeypatch.chdir(tmp_path)
    small = functools.partial(cem.Model.from_weights, widths=[16] * 5)
    monkeypatch.setattr(cem.Model, "from_weights", small)
    monkeypatch.setenv("NAPARI_CEM_CACHE", str(tmp_path / "cache"))
    weights.folder().mkdir()
    (weights.folder() / "cem500k.safetensors").symlink_to(encoder)
    stacks = {"volume": cells(6, 64), "mitochondria": mitochondria()}
    stacks["truth"] = np.where(cells(6, 64) < 110, 255, 0).astype(np.uint8)
    for name, stack in stacks.items():
        tifffile.imwrite(f"{name}.tif", stack, photometric="minisblack")
    return {"image": cells(6), "labels": scribbles(6)}


def run(document, names):
    for number, block in enumerate(blocks(document)):
        text = re.sub(r"seconds=\d+", SECONDS, block)
        exec(compile(text, f"{document.name}, block {number}", "exec"), names)


def test_the_python_page_runs_from_top_to_bottom(root, names, tmp_path, capsys):
    document = root / "docs" / "python.md"
    run(document, names)
    assert len(blocks(document)) >= 7
    made = {path.name for path in tmp_path.iterdir()}
    assert {
        "mito.safetensors",
        "mito.zarr",
        "mito.tif",
        "mitochondria.csv",
        "volume.tif.cem",
    } <= made
    assert names["change"].numbers == (7, 8)
    assert len(names["table"]) == 7 and names["objects"].max() == 7
    assert names["page"].probabilities.any() and set(np.unique(names["preview"])) <= {1, 2}
    assert names["model"].classes == ["background", "mitochondria"]
    assert "[3] {'threshold': 0.5} ['background', 'mitochondria']" in capsys.readouterr().out


@pytest.mark.parametrize("document", ["README.md", "docs/formats.md"])
def test_the_other_documents_run_too(root, names, model_file, document):
    cem.Model.load(model_file).save("mito.safetensors")
    run(root / document, names)
    if document == "README.md":
        assert cem.open_labels("mito.zarr").shape == (6, 64, 64)
    else:
        assert names["tensors"]["encoder.conv1.weight"].shape == (64, 1, 7, 7)


def test_links_lead_somewhere(root):
    for document in [*root.glob("*.md"), *root.glob("docs/*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
