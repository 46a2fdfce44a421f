"""How long a user waits: `python tests/benchmarks/interactive.py`, under a virtual display.

For views of 512 x 512 and 1024 x 1024 pixels, on two threads, from a random encoder (weights make
no difference to the times).  The view is the bundled sample, mirrored until it is large enough.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
THREADS = 2
GOALS = {
    "first prediction ever": 20.0, "stroke to first pixel": 3.0, "threshold slider": 0.05,
    "main thread blocked": 0.1, "cancel to idle": 0.5,
}  # fmt: skip


def stack_of(size: int) -> np.ndarray:
    """Eight slices of the sample, mirrored to `size` pixels."""
    from napari_cem import demo

    return np.pad(
        demo.load().image[:8], ((0, 0), (0, size - 250), (0, size - 250)), mode="symmetric"
    )


class Session:
    """A viewer on a stack, with what is measured in it."""

    def __init__(self, size: int) -> None:
        import napari
        from driver import Driver

        from napari_cem.widget import preferences

        preferences.load = lambda: preferences.Preferences(THREADS)
        self.driver = Driver(napari.Viewer(show=True))
        self.size, self.row = size, size // 8
        self.driver.viewer.add_image(stack_of(size), name="stack")
        self.driver.wait(0.5)
        self.project = self.driver.project
        self.project.base, self.project.budget = "scratch", 5.0
        self.project.new_labels()

    def stroke(self, value: int) -> float:
        """Paints a stroke at a new place; the moment at which the button was let go."""
        self.row += self.size // 40
        left = self.size // 4
        self.driver.stroke(value, [(self.row, left), (self.row, left + self.size // 10)])
        return time.monotonic()

    def overlay(self) -> np.ndarray | None:
        """Pixels of the prediction on screen."""
        found = [layer for layer in self.driver.viewer.layers if layer.name == "CEM prediction"]
        return np.array(found[0].data) if found else None

    def changed(self, before: np.ndarray | None) -> bool:
        """Whether the prediction on screen is another one."""
        now = self.overlay()
        return now is not None and (before is None or not np.array_equal(now, before))

    def seconds(self, start: float, true: object) -> float:
        """From `start` until something is true."""
        if not self.driver.until(true, 120):
            raise TimeoutError(f"waited 120 s; the footer says: {self.driver.said}")
        return time.monotonic() - start

    def complete(self, version: int) -> bool:
        """Whether every tile in view comes from weights later than `version`."""
        page, view = self.project._page(), self.project.viewport.view(self.project.image)
        return page is not None and all(
            page.versions.get(tile, 0) > version for tile in page.window.order(view)
        )

    def first(self) -> float:
        """From the stroke that makes the labels enough to the first pixel ever."""
        self.stroke(2)
        start = self.stroke(1)
        taken = self.seconds(start, lambda: self.changed(None))
        self.driver.idle()
        return taken

    def follow(self) -> tuple[float, float, float]:
        """From a stroke to the first pixel and to the whole view; longest block meanwhile."""
        before, version = self.overlay(), self.project.training.live._version
        self.driver.longest = 0.0
        start = self.stroke(2)
        pixel = self.seconds(start, lambda: self.changed(before))
        view = self.seconds(start, lambda: self.complete(version))
        self.driver.idle()
        return pixel, view, self.driver.longest

    def cancel(self) -> float:
        """From Cancel to idle, in the middle of a round."""
        self.project.train()
        self.driver.wait(1.5)
        start = time.monotonic()
        self.driver.widget.footer.button.click()
        return self.seconds(start, lambda: not self.project.training.live.training)

    def slices(self, z: int) -> float:
        """From moving the slider to the whole prediction of a slice not seen before."""
        self.driver.idle()
        start = time.monotonic()
        self.driver.viewer.dims.set_point(0, z)
        self.driver.wait(0.1)
        return self.seconds(start, lambda: self.complete(0))

    def threshold(self, value: float) -> float:
        """Moving the threshold, until the layer has changed."""
        start = time.monotonic()
        self.driver.widget.preview.threshold.setValue(value)
        return time.monotonic() - start


def measure(size: int, rounds: int) -> dict[str, float]:
    """Medians of what is waited for, in seconds; of the block the longest."""
    session = Session(size)
    found = {"first prediction ever": session.first()}
    pixel, view, blocked = zip(*(session.follow() for _ in range(rounds)), strict=True)
    found["stroke to first pixel"] = statistics.median(pixel)
    found["stroke to whole view"] = statistics.median(view)
    found["main thread blocked"] = max(blocked)
    found["cancel to idle"] = statistics.median([session.cancel() for _ in range(rounds)])
    session.driver.idle()
    found["slice change to whole view"] = statistics.median([session.slices(z) for z in (4, 6, 2)])
    found["threshold slider"] = statistics.median(
        [session.threshold(value) for value in np.linspace(0.2, 0.8, 9)]
    )
    session.driver.close()
    session.driver.viewer.close()
    return found


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if "DISPLAY" not in os.environ:
        os.environ["LIBGL_ALWAYS_SOFTWARE"] = "1"
        run = ["xvfb-run", "-a", "-s", "-screen 0 1500x1300x24", sys.executable, *sys.argv]
        os.execvp(run[0], run)
    os.environ["NAPARI_CEM_SESSIONS"] = tempfile.mkdtemp()
    results = {size: measure(size, rounds) for size in (512, 1024)}
    print(f"{'seconds, 2 threads':<28}{'512':>9}{'1024':>9}{'goal':>9}")
    for name, value in results[512].items():
        goal = f"{GOALS[name]:g}" if name in GOALS else ""
        print(f"{name:<28}{value:>9.3f}{results[1024][name]:>9.3f}{goal:>9}")


if __name__ == "__main__":
    main()
