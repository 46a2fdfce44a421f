"""Many short runs one after the other and side by side: none of them may stall."""

import subprocess
import sys

import pytest

RUNS = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from samples import cells, scribbles
import napari_cem as cem

def train(seed, cancel):
    model = cem.Model.from_weights("scratch", ("background", "disk"), seed, widths=[32] + 4 * [16])
    trainer = cem.Trainer(model, threads=1 + seed % 3, crop=64, batch=2)
    trainer.add(cells(1, seed=seed)[0], scribbles(1)[0])
    if cancel:
        threading.Timer(0.03 * (seed % 7), trainer.cancel).start()
    try:
        for report in trainer.run(steps=4):
            model.predict(cells(1)[0], threads=1 + seed % 2, slice=1)
    except cem.Cancelled:
        pass
    print("done", seed, flush=True)

for seed in range(int(sys.argv[2])):
    side = threading.Thread(target=train, args=(seed, True))
    side.start()
    train(seed, False)
    side.join()
"""


@pytest.mark.long
def test_a_hundred_trainings_with_cancels_and_company_all_end(root):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", RUNS, root / "tests", "50"],
        check=False, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split("done")) - 1 == 100
