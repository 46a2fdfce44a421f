"""The pages the starter is trained on: images whose classes are known where they are known.

    python docs/starter/pages.py DATA PAGES.npz

DATA holds the folders `a_sample`, `e_open`, `b_dev` and `d_pool`; docs/starter.md names the sources
and their licences.  A page is a grey image of mean 128 and deviation 40 and, per pixel, a class of
`CLASSES` or 0 where nobody knows.  Mitochondria that the sources leave out were outlined by hand
(mitochondria.json); those of the fly, which are far darker than all else, come from a threshold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.draw import ellipse, polygon
from skimage.morphology import ball
from skimage.segmentation import find_boundaries
from skimage.transform import resize

import napari_cem as cem

CLASSES = ("rest", "membrane", "mitochondria", "myelin", "axon", "er", "nucleus")
REST, MEMBRANE, MITOCHONDRIA, MYELIN, AXON, ER, NUCLEUS = range(1, 8)
SIDE = 320  # of a page, at most
OUTLINES = Path(__file__).with_name("mitochondria.json")

Page = tuple[np.ndarray, np.ndarray]
Source = tuple[str, float, list[Page]]  # name, share of the training, pages


def read(path: Path) -> np.ndarray:
    """An image or a whole stack."""
    volume = cem.open_volume(path)
    slices = np.stack([volume.slice(z) for z in range(volume.shape[0])])
    return slices if volume.ndim == 3 else slices[0]


def even(image: np.ndarray) -> np.ndarray:
    """Mean 128, deviation 40."""
    grey = image.astype(np.float64)
    return np.clip((grey - grey.mean()) / grey.std() * 40 + 128, 0, 255).astype(np.uint8)


def scaled(page: Page, factor: float) -> Page:
    """A page made smaller or larger."""
    image, labels = page
    shape = tuple(round(size * factor) for size in image.shape)
    grey = resize(image, shape, preserve_range=True, anti_aliasing=factor < 1)
    return grey, resize(labels, shape, order=0, preserve_range=True, anti_aliasing=False)


def tiles(page: Page) -> Iterator[Page]:
    """Pieces of at most SIDE pixels a side."""
    image, labels = page
    cuts = [np.linspace(0, size, -(-size // SIDE) + 1).astype(int) for size in image.shape]
    for top, bottom in zip(cuts[0][:-1], cuts[0][1:], strict=True):
        for left, right in zip(cuts[1][:-1], cuts[1][1:], strict=True):
            yield image[top:bottom, left:right], labels[top:bottom, left:right]


def outlined(labels: np.ndarray, name: str) -> np.ndarray:
    """Adds what was outlined in the image called `name`; doubtful things become unknown."""
    shapes = json.loads(OUTLINES.read_text()).get(name, [])
    for x, y, rx, ry, degrees, sure in (s for s in shapes if not isinstance(s[0], list)):
        inside = ellipse(y, x, ry, rx, labels.shape, -np.deg2rad(degrees))
        labels[inside] = MITOCHONDRIA if sure else 0
    for corners in (s for s in shapes if isinstance(s[0], list)):
        x, y = np.array(corners).T
        labels[polygon(y, x, labels.shape)] = MITOCHONDRIA
    return labels


# ---- the sources ----


def dark_blobs(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mitochondria of the fly, and what is as dark but thin or small: nobody knows what that is."""
    smooth = ndimage.gaussian_filter(raw.astype(np.float32), 1.5)
    dark = smooth < np.percentile(smooth, 50) * 0.79
    core = ndimage.binary_opening(dark, ball(5))
    parts, _ = ndimage.label(core)
    large = np.bincount(parts.ravel()) >= 3000
    large[0] = False
    mito = ndimage.binary_closing(large[parts], ball(2))
    near = ndimage.binary_dilation(mito, ball(2))
    return mito, (near | core | dark) & ~mito


def fly(data: Path, step: int = 12) -> Iterator[Page]:
    """Membranes from the neuron bodies; slices of all three directions."""
    raw = read(data / "e_open/fly_medulla_2_raw_250x250x250.tif")
    bodies = read(data / "e_open/fly_medulla_2_bodies_250x250x250.tif")
    mito, dark = dark_blobs(raw)
    lines = find_boundaries(bodies, mode="thick")
    labels = np.full(raw.shape, REST, np.uint8)
    labels[ndimage.binary_dilation(lines, iterations=2) | dark | (bodies == 0)] = 0
    labels[lines] = MEMBRANE
    labels[mito] = MITOCHONDRIA
    for axis in range(3):
        for z in range(step // 2, raw.shape[axis], step):
            yield raw.take(z, axis), labels.take(z, axis)


def unlabelled_fly(data: Path, step: int = 16) -> Iterator[tuple[str, list[Page]]]:
    """Other blocks of the same tissue: mitochondria alone are known."""
    names = [f"fly_medulla_val{k}_raw_128x256x256.tif" for k in (1, 2, 3)]
    for name in ("fly_medulla_1_raw_250x250x250.tif", *names):
        raw = read(data / "e_open" / name)
        mito, dark = dark_blobs(raw)
        labels = np.where(mito, MITOCHONDRIA, np.where(dark, 0, REST)).astype(np.uint8)
        yield (
            name,
            [
                (raw.take(z, axis), labels.take(z, axis))
                for axis in range(3)
                for z in range(step // 2, raw.shape[axis], step)
            ],
        )


def axons_tem(data: Path) -> Iterator[tuple[str, list[Page]]]:
    """Myelin and axons of the mouse, at two scales."""
    folder = data / "a_sample/axon_tem"
    for path in sorted((folder / "images").glob("*.png")):
        image = read(path)
        named = {
            kind: read(folder / "labels" / f"{path.stem}_seg-{kind}-manual.png") > 0
            for kind in ("axon", "myelin")
        }
        labels = np.full(image.shape, REST, np.uint8)
        labels[named["axon"]] = AXON
        labels[named["myelin"]] = MYELIN
        page = image, outlined(labels, path.stem)
        yield path.stem, [*tiles(page), *tiles(scaled(page, 0.5))]


def axons_sem(data: Path) -> Iterator[tuple[str, list[Page]]]:
    """Myelin and axons of the rat, far coarser."""
    folder = data / "b_dev/axon_sem"
    for path in sorted((folder / "images").glob("*.png")):
        image, coded = (
            np.atleast_3d(imread(p))[..., 0]
            for p in (path, folder / "labels" / f"{path.stem}_seg-axonmyelin-manual.png")
        )
        labels = np.where(coded > 191, AXON, np.where(coded > 63, MYELIN, REST)).astype(np.uint8)
        yield path.stem, list(tiles((image, labels)))


def imread(path: Path) -> np.ndarray:
    """A PNG with all its channels."""
    from PIL import Image

    return np.asarray(Image.open(path))


def examples(data: Path) -> Iterator[tuple[str, list[Page]]]:
    """Small images with one kind of thing marked."""
    folder = data / "a_sample/cem_examples"
    kinds = {"er": ER, "nuclei": NUCLEUS}
    kinds |= {f"mitochondria{k}": MITOCHONDRIA for k in range(1, 6)}
    for name, kind in kinds.items():
        mask = read(folder / "masks" / f"{name}.png") > 0
        labels = np.where(mask, kind, REST).astype(np.uint8)
        yield name, [(read(folder / "images" / f"{name}.png"), outlined(labels, name))]
    for path in sorted((data / "d_pool/cem_occlusion").glob("*.tiff")):
        image = read(path)
        labels = outlined(np.full(image.shape, REST, np.uint8), path.stem)
        if (labels == MITOCHONDRIA).any():
            yield path.stem, [(image, labels)]
    image, mask = (read(data / "a_sample/er_tem" / f"{n}.tif") for n in ("image", "er_mask"))
    labels = np.where(mask > 0, ER, REST).astype(np.uint8)
    page = image, outlined(labels, "er_tem")
    yield "er_tem", [scaled(page, 0.5), *tiles(page)]


def pages(data: Path) -> Iterator[Source]:
    """All pages by what they show and the microscope they come from."""
    yield "fly", 6, list(fly(data))
    for name, found in unlabelled_fly(data):
        yield name, 0.75, found
    for make, share in ((axons_tem, 1), (axons_sem, 0.5), (examples, 1)):
        for name, found in make(data):
            yield name, share, found


def main(data: str, out: str) -> None:
    """Writes the pages; a page's weight is its share of the training."""
    made, groups, weights = {}, [], []
    for group, (name, share, found) in enumerate(pages(Path(data))):
        print(f"{name}: {len(found)} pages")
        for image, labels in found:
            number = len(groups)
            made[f"image{number:04d}"] = even(image)
            made[f"labels{number:04d}"] = np.asarray(labels).round().astype(np.uint8)
            groups.append(group)
            weights.append(share / len(found))
    np.savez_compressed(out, **made, group=np.array(groups), weight=np.array(weights))
    print(f"{len(groups)} pages in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
