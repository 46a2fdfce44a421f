"""What a user does in the widget, again and again: opens a stack, paints, trains, segments."""

from samples import cells

PLACE = {"scale": (30, 8, 8), "translate": (600, -40, 12), "units": ("nm",) * 3}
INK = [(1, [(20, 10), (20, 80)]), (1, [(80, 10), (80, 80)]), (2, [(35, 42), (35, 54)]),
       (2, [(42, 42), (42, 54)])]  # fmt: skip


def open_stack(driver, data=None, **options):
    """Adds an image to the viewer; by default a small anisotropic stack that is not at 0."""
    data = cells(3) if data is None else data
    layer = driver.viewer.add_image(data, name="stack", **{**PLACE, **options})
    driver.viewer.reset_view()
    driver.wait(0.3)
    return layer


def draw(driver, z=0, ink=INK):
    """Paints strokes on slice `z`."""
    if driver.project.image.ndim == 3:
        place = driver.project.image.data_to_world([z, 0, 0])[0]
        driver.viewer.dims.set_point(driver.viewer.dims.ndim - 3, place)
    for value, points in ink:
        driver.stroke(value, points)


def train(driver, steps=10):
    """New labels, strokes, and a short round from scratch."""
    driver.project.base, driver.project.follows = "scratch", False
    driver.project.budget = None
    if driver.project.annotation.painting is None:
        driver.widget.labels.new.click()
        draw(driver)
        assert driver.until(lambda: not driver.project.annotation.missing, 5)
    assert learn(driver, driver.project.train, steps), driver.said
    assert driver.idle()
    driver.wait(0.2)


def learn(driver, start, steps):
    """Starts a round, and ends it after so many steps; whether it came to its end."""
    done, rounds = [], len(driver.project.rounds)
    driver.project.reported.connect(done.append)
    start()
    driver.until(lambda: len(done) >= steps)
    driver.project.training.stop()
    driver.project.reported.disconnect(done.append)
    return driver.until(lambda: len(driver.project.rounds) > rounds)


def segment(driver, out=""):
    """The whole stack; the layer with the result."""
    driver.widget.segment.out.setText(str(out))
    driver.widget.segment.run.click()
    assert driver.hears("segmented"), driver.said
    (layer,) = driver.widget.objects.results()
    return layer


def fingerprint(driver):
    return driver.project.export()().fingerprint()


def layer_names(driver):
    return [layer.name for layer in driver.viewer.layers]
