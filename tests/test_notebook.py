"""The example notebook: it runs, its figures show something, and its results are what it says."""

import base64
import io
import json
import re

import numpy as np
import pytest
import tifffile
from PIL import Image

NOTEBOOK = "docs/examples/segment_in_a_notebook.ipynb"
STEPS = 20


@pytest.fixture(scope="module")
def ran(root, tmp_path_factory):
    """The notebook after it ran with less training, and the folder that it ran in."""
    import nbformat
    from nbclient import NotebookClient

    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(root / NOTEBOOK, as_version=4)
    (chosen,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert re.fullmatch(r"seconds = \d+\nsteps = None", chosen.source)
    chosen.source = f"seconds = 600\nsteps = {STEPS}"
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    return notebook, folder


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def printed(notebook):
    return "".join(o["text"] for o in outputs(notebook) if o["output_type"] == "stream")


def figures(notebook):
    """The plots, (y, x, 3) uint8."""
    found = [output["data"] for output in outputs(notebook) if "data" in output]
    pictures = [base64.b64decode(data["image/png"]) for data in found if "image/png" in data]
    return [np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) for png in pictures]


def test_the_notebook_is_kept_without_outputs_and_paths(root):
    text = (root / NOTEBOOK).read_text()
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 10
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert not re.search(r"/(home|root|tmp|Users)/", text)
    for link in re.findall(r"\]\((\.\./[^)#]+)", text):
        assert (root / NOTEBOOK).parent.joinpath(link).is_file()


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_every_cell_runs_without_a_warning(ran):
    notebook, _ = ran
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {o.get("name") for o in outputs(notebook) if o["output_type"] == "stream"} == {"stdout"}


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_every_figure_shows_something(ran):
    shown = figures(ran[0])
    assert len(shown) == 8
    for picture in shown:
        assert min(picture.shape[:2]) > 300
        inked = (picture < 250).any(axis=2).mean()
        assert 0.02 < inked < 0.98 and picture.std() > 15
    orange = [(p[..., 0] > p[..., 2] + 60.0).mean() for p in shown]
    scribbles, curves, prediction, thresholds, segmented = orange[1:6]
    assert 0.001 < scribbles < 0.1 and 0.0005 < curves < 0.1
    assert all(0.01 < share < 0.5 for share in (prediction, thresholds, segmented))


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_the_results_are_what_the_notebook_says(ran):
    notebook, folder = ran
    text = printed(notebook)
    iou, trivial = (
        float(re.search(rf"{words}: (\d\.\d+)", text)[1])
        for words in ("IoU of the membrane", "IoU if everything were called membrane")
    )
    assert 0.15 < iou < 1 and trivial == pytest.approx(0.095, abs=0.002)
    found, near = map(float, re.findall(r"membrane(?: that was found)?: (\d+\.\d)%", text))
    assert found > 30 and near > 60
    assert f"{STEPS} steps in" in text
    results = folder / "results"
    assert {path.name for path in results.iterdir()} == {
        "cores.csv",
        "membrane.safetensors",
        "membrane.tif",
    }
    with tifffile.TiffFile(results / "membrane.tif") as file:
        assert file.series[0].shape == (64, 250, 250)
        assert set(np.unique(file.asarray())) == {1, 2}
        assert (file.imagej_metadata["unit"], file.imagej_metadata["spacing"]) == ("nm", 10)
    cores = int(re.search(r"(\d+) cores of at least", text)[1])
    assert len((results / "cores.csv").read_text().splitlines()) == cores + 1 > 1
