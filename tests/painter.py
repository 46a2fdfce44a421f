"""A user who paints until killed: `python tests/painter.py IMAGE`; tells each stroke on stdout."""

import sys

import napari
from driver import Driver


def main(path: str) -> None:
    """Paints a stroke after the other, row by row, and trains in between."""
    driver = Driver(napari.Viewer(show=True))
    driver.viewer.open(path, layer_type="image")
    driver.wait(0.3)
    driver.project.base, driver.project.budget = "scratch", 1.0
    driver.project.new_labels()
    for number in range(10_000):
        row, z = 4 + 4 * (number % 22), number // 22 % 3
        driver.viewer.dims.set_point(0, z)
        driver.stroke(1 + number % 2, [(row, 10), (row, 80)], size=1)
        print(number, flush=True)
        driver.wait(0.05 + 0.3 * (number % 3))


if __name__ == "__main__":
    main(sys.argv[1])
