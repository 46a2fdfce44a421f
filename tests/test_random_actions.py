"""Five hundred things a user may do, in any order: nothing breaks, nothing of theirs changes."""

import os
import resource

import numpy as np
import pytest
from samples import cells

from napari_cem.widget import layers

pytestmark = [pytest.mark.display, pytest.mark.filterwarnings("default")]

ACTIONS = int(os.environ.get("NAPARI_CEM_ACTIONS", "500"))
WRONG = ("object has no attribute", "None", "in use", "another call", "list index", "not in list",
         "deleted", "Error")  # fmt: skip
GROWTH = 600 << 20  # bytes; a model is 130 MB, and each image gets one of its own


class User:
    """Somebody who clicks without thinking."""

    def __init__(self, driver):
        self.driver = driver
        self.random = np.random.default_rng(20)
        self.said = []
        self.watch()

    def watch(self):
        self.driver.project.told.connect(self.said.append)
        self.driver.project.base = "scratch"
        self.driver.project.budget = 1.0

    @property
    def project(self):
        return self.driver.project

    @property
    def widget(self):
        return self.driver.widget

    @property
    def painting(self):
        return self.project.annotation.painting

    def pick(self, things):
        return things[int(self.random.integers(len(things)))]

    def paint(self):
        if self.project.image is None:
            return
        if self.painting is None:
            self.project.new_labels()
        y, x = self.random.integers(5, 90, 2)
        value = int(self.random.integers(0, 4))
        self.painting.layer.visible = True
        if self.project.slice is not None:
            self.driver.stroke(value, [(int(y), int(x)), (int(y), min(int(x) + 9, 94))])

    def undo(self):
        if self.painting:
            self.painting.layer.undo()

    def redo(self):
        if self.painting:
            self.painting.layer.redo()

    def move(self):
        self.driver.viewer.dims.set_point(0, float(self.random.uniform(-5, 80)))

    def zoom(self):
        self.driver.viewer.scene.camera.zoom *= float(self.pick([0.5, 1.5]))
        if not 0.5 < self.driver.viewer.scene.camera.zoom < 60:
            self.driver.viewer.reset_view()

    def turn(self):
        self.driver.viewer.dims.ndisplay = int(self.pick([2, 2, 3]))

    def rename(self):
        if len(self.driver.viewer.layers):
            self.pick(list(self.driver.viewer.layers)).name = self.pick(["a", "b", "CEM labels"])

    def delete(self):
        mine = [layer for layer in self.driver.viewer.layers if layers.role_of(layer)]
        if mine:
            self.driver.viewer.layers.remove(self.pick(mine))

    def take_away_and_back(self):
        if self.project.image is not None:
            layer = self.project.image
            self.driver.viewer.layers.remove(layer)
            self.driver.process()
            self.driver.viewer.layers.append(layer)

    def other_image(self):
        choice = self.widget.data.choice
        row = int(self.random.integers(max(1, choice.count())))
        choice.setCurrentIndex(row)
        choice.activated.emit(row)

    def press(self):
        w = self.widget
        self.pick(
            [w.train.start, w.train.stop, w.train.back, w.footer.button, w.segment.run,
             w.segment.hold, w.segment.end, w.labels.banner]
        ).click()  # fmt: skip

    def preview(self):
        self.widget.preview.shown.setCurrentText(self.pick(["labels", "probability", "off"]))
        self.widget.preview.threshold.setValue(float(self.random.uniform(0.05, 0.95)))

    def classes(self):
        annotation = self.project.annotation
        if self.random.random() < 0.5:
            annotation.add_class()
        else:
            annotation.remove_class(self.pick(annotation.classes)["value"])

    def predicted(self):
        if self.project.image is not None:
            self.project.take_prediction()

    def objects(self):
        section = self.widget.objects
        if section.layer is None:
            section.search()
        else:
            section.table.selectRow(int(self.random.integers(max(1, len(section.frame)))))
            self.pick([section.delete, section.undo, section.redo, section.search])()

    def reopen(self):
        from napari_cem.widget.dock import CemWidget

        self.driver.close()
        viewer = self.driver.viewer
        viewer.window.remove_dock_widget(self.widget)
        self.driver.widget = CemWidget(viewer)
        self.driver.project = self.driver.widget.project
        viewer.window.add_dock_widget(self.driver.widget, name="CEM Segment", area="right")
        self.watch()

    def act(self):
        often = [self.paint] * 6 + [self.move, self.press] * 3 + [self.undo, self.preview] * 2
        rare = [self.redo, self.zoom, self.turn, self.rename, self.delete, self.other_image,
                self.take_away_and_back, self.classes, self.predicted, self.objects]  # fmt: skip
        seldom = [self.reopen] if self.random.random() < 0.2 else []
        action = self.pick(often + rare + seldom)
        action()
        return action.__name__


def memory():
    """Bytes of memory in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_five_hundred_random_actions_break_nothing(driver):
    data = [cells(3, seed=1), cells(4, seed=2).astype(np.uint16) * 16]
    kept = [array.copy() for array in data]
    for number, array in enumerate(data):
        driver.viewer.add_image(
            array, name=f"image {number}", scale=(30, 8, 8), translate=(5, -9, 7), units=("nm",) * 3
        )
    driver.wait(0.3)
    user = User(driver)
    first, done = 0, []
    for number in range(ACTIONS):
        done.append(user.act())
        driver.wait(float(user.random.uniform(0, 0.2)))
        wrong = [line for line in user.said if any(text in line for text in WRONG)]
        assert not wrong, (number, done[-5:], wrong)
        if number == ACTIONS // 3:
            first = memory()
    driver.widget.cancel()
    assert driver.idle(60)
    assert memory() - first < GROWTH
    assert len(set(done)) >= min(16, ACTIONS // 10)
    for array, before in zip(data, kept, strict=True):
        assert (array == before).all()
    ours = [layer for layer in driver.viewer.layers if layers.role_of(layer)]
    of_each = [sum(layers.role_of(layer) == role for layer in ours)
               for role in (layers.PREDICTION, layers.PROBABILITY)]  # fmt: skip
    assert max(of_each) <= 1
    driver.close()
    left = [layers.role_of(layer) for layer in driver.viewer.layers]
    assert layers.PREDICTION not in left and layers.PROBABILITY not in left
