"""libcem as Python sees it: arrays in, arrays out, nothing converted.

Arrays must be C-contiguous, aligned, in native byte order and of exactly the type that is named;
others raise ``TypeError``, and sizes that do not fit ``ValueError``.  "pixels" are uint8, uint16,
uint32, int8, int16, int32, float32 or float64.  ``csrc/cem.h`` says what each call does.

Failures of the library raise ``ValueError`` (an argument, or the content of a file),
``MemoryError``, ``OSError`` (a file), ``Cancelled``, or ``RuntimeError`` (another call is using
the object, or oneDNN refused).  Ctrl-C during a call of the main thread stops it and raises
``KeyboardInterrupt``.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Any, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

_Path: TypeAlias = str | bytes | PathLike[str]

PROBABILITIES: int
LOGITS: int
INTERACTIVE: int
CEM500K: int
ADAMW: int
SGD: int
CONSTANT: int
ONECYCLE: int
POLY: int
MULTISTEP: int
CROP_NONEMPTY: int
RESIZED_CROP: int
ROTATE: int
BRIGHTNESS_CONTRAST: int
GAUSS_NOISE: int
GAUSSIAN_BLUR: int
FLIPS: int
SAMPLE_SLICES: int
CONTRAST_SLICES: int
IMAGE: int
VOLUME: int
FEATURES: int

class Cancelled(Exception):
    """The call was stopped by ``cancel()``; the object is as after its last whole step."""

class _Report(TypedDict):
    step: int
    held_out: int
    loss: float
    rate: float
    iou: float

class _Statistics(TypedDict):
    count: int
    at_minimum: int
    at_maximum: int
    minimum: float
    maximum: float
    shift: float
    sum: float
    squares: float

def eight_bit(out: NDArray[np.uint8], pixels: NDArray[Any], rule: int, /) -> None: ...
def patches_along(size: int, side: int, /) -> int: ...
def patches_axes(spacing: float, pixel: float, anisotropy: float, /) -> int: ...
def patches_cut(
    out: NDArray[np.uint8], volume: NDArray[np.uint8], corners: NDArray[np.int64], threads: int, /
) -> None: ...
def dhash(hashes: NDArray[np.uint64], patches: NDArray[np.uint8], threads: int, /) -> None: ...
def patch_features(
    features: NDArray[np.float32], patches: NDArray[np.uint8], threads: int, /
) -> None: ...
def deduplicate_order(order: NDArray[np.int64], seed: int, /) -> None: ...
def deduplicate(
    exemplar: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    order: NDArray[np.int64],
    distance: int,
    first: int,
    last: int,
    threads: int,
    /,
) -> None: ...
def version() -> str:
    """Version of the loaded library."""

def backend() -> str:
    """oneDNN's version and the instruction set it uses on this CPU."""

def cores() -> int:
    """CPU cores this process may run on: what ``threads=0`` means."""

def model_defaults() -> dict[str, Any]:
    """Arguments of ``Model()`` and their defaults."""

def predict_defaults() -> dict[str, Any]:
    """Options of ``Model.predict`` and their defaults."""

def trainer_defaults(recipe: int, model: Model = ..., /) -> dict[str, Any]:
    """Options of ``Trainer()`` and their defaults for INTERACTIVE or CEM500K, as suit a model."""

def predict_tiles(depth: int, height: int, width: int, /, **options: int) -> int:
    """Tiles of the grid over ``depth`` slices of (height, width) pixels."""

def statistics_new() -> NDArray[np.uint8]:
    """Running statistics of no pixels yet: an opaque array of bytes."""

def statistics_add(state: NDArray[np.uint8], pixels: NDArray[Any], /) -> None:
    """Adds pixels of any shape; values that are not finite raise ``ValueError``."""

def statistics_get(state: NDArray[np.uint8], /) -> _Statistics:
    """The statistics by name."""

def intensity_measure(state: NDArray[np.uint8], /) -> tuple[float, float]:
    """``(offset, scale)`` of the volume; a constant one raises ``ValueError``."""

def sample(depth: int, most: int, /) -> list[int]:
    """Numbers of at most ``most`` evenly spaced slices."""

def norms_measure(state: NDArray[np.uint8], /) -> tuple[float, float]:
    """Mean and deviation of 8-bit pixels, given their statistics, in units of 0..1."""

def intensity_from_norms(mean: float, deviation: float, /) -> tuple[float, float]:
    """``(offset, scale)`` for 8-bit pixels."""

def stretch(out: NDArray[np.uint8], pixels: NDArray[Any], low: float, high: float, /) -> None:
    """A (y, x) image as 8-bit pixels, [low, high] becoming [0, 255]."""

def contrast_new() -> NDArray[np.uint8]:
    """The contrast of no slices yet: an opaque array of bytes."""

def contrast_add(state: NDArray[np.uint8], pixels: NDArray[Any], /) -> None:
    """Adds a (y, x) slice."""

def contrast_mean(
    mean: NDArray[np.float64], state: NDArray[np.uint8], offset: float, scale: float, /
) -> None:
    """Fills ``mean``, (4, 7), with what the network sees of the slices added."""

def contrast_inverted(trained: NDArray[np.float64], seen: NDArray[np.float64], /) -> bool:
    """Whether ``seen``, (4, 7), is nearer to ``trained`` once it is inverted."""

def planes_mean(out: NDArray[np.float32], sums: NDArray[np.float32], planes: int, /) -> None:
    """Divides ``sums``, all classes but the background, and fills ``out`` with all of them."""

@final
class Model:
    """The network with its weights and its card."""

    def __new__(
        cls,
        classes: int | None = None,
        seed: int | None = None,
        widths: Sequence[int] | None = None,
    ) -> Model:
        """Random weights; None stands for the default of ``model_defaults()``."""

    @classmethod
    def load(cls, path: _Path, /) -> Model:
        """The model in a safetensors file."""

    @property
    def classes(self) -> int:
        """Label classes, background included, at least 2."""

    @property
    def outputs(self) -> int:
        """Maps the network puts out: 1 for 2 classes, else one a class."""

    def load_encoder(self, path: _Path, /) -> None:
        """Replaces the encoder by the one in a safetensors file."""

    def load_body(self, path: _Path, /) -> None:
        """The same, and the decoder but for its last layer, if the file has one of our widths."""

    def save(self, path: _Path, overwrite: bool = False) -> None:
        """Writes the model by atomic rename; an existing file raises unless ``overwrite``."""

    def copy(self) -> Model:
        """A second model with its own weights and card."""

    def cancel(self) -> None:
        """Stops the call in progress in another thread, or else the next one that computes."""

    def card(self) -> str:
        """The card, JSON."""

    def set_card(self, json: str, /) -> None:
        """Merges a JSON object into the card; null removes a field."""

    def tensors(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of every tensor, in the order of their indices."""

    def tensor_get(self, index: int, /) -> NDArray[np.float32]:
        """A copy of a tensor."""

    def assign(self, other: Model, /) -> None:
        """Makes this model what ``other`` is, card included."""

    def tensor_set(self, index: int, values: NDArray[np.float32], /) -> None:
        """Replaces a tensor."""

    def predict(
        self,
        out: NDArray[np.float32],
        pixels: NDArray[Any],
        offset: float,
        scale: float,
        /,
        **options: int,
    ) -> None:
        """Segments ``pixels`` (depth, height, width) into ``out`` (depth, maps, height, width).

        maps is ``classes``, or ``outputs`` with ``output=LOGITS``.
        """

    def classify(self, labels: NDArray[np.uint16], probabilities: NDArray[np.float32], /) -> None:
        """Label values ``(depth, ...)`` of probabilities ``(depth, classes, ...)``."""

@final
class Trainer:
    """Training of a copy of a model's weights."""

    def __new__(cls, model: Model, recipe: int = 0, /, **options: Any) -> Trainer:
        """A trainer with the recipe's defaults and ``options`` over them.

        ``class_weights`` is a float64 array with one number a class, ``milestones`` an int64 array.
        """

    @classmethod
    def load(cls, model: Model, path: _Path, recipe: int = 0, /, **options: Any) -> Trainer:
        """The trainer whose state is at ``path``, to be given the same images."""

    def set(
        self,
        key: int,
        pixels: NDArray[Any],
        labels: NDArray[np.int32],
        offset: float,
        scale: float,
        /,
    ) -> None:
        """Adds an image and its labels, both (height, width), or new labels to a known ``key``."""

    def step(self, steps: int, /) -> _Report:
        """Trains for ``steps`` steps."""

    def evaluate(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """IoU and pixels of each class on the held-out strokes; -1 and 0 where there are none."""

    def commit(self, model: Model, /) -> None:
        """Puts the best state, with its threshold, into ``model``."""

    def snapshot(self, model: Model, /) -> None:
        """Puts the weights of now into ``model``; commit and revert know nothing of it."""

    def restart(self, model: Model, /) -> None:
        """Goes on from the weights of ``model``, as if nothing had been trained since."""

    def revert(self, model: Model, /) -> None:
        """Puts back what ``model`` was before the last commit."""

    def save(self, path: _Path, /) -> None:
        """Writes everything needed to go on, the images excepted."""

    def cancel(self) -> None:
        """Stops the call in progress in another thread, or else the next one that computes."""

class _File:
    @property
    def pages(self) -> int:
        """Images in the file."""

    @property
    def height(self) -> int:
        """Rows of a page."""

    @property
    def width(self) -> int:
        """Columns of a page."""

    @property
    def dtype(self) -> str:
        """NumPy's name of the pixels' type."""

    @property
    def pixel_nm(self) -> float:
        """Side of a pixel in nanometres, 0 if unknown."""

    @property
    def spacing_nm(self) -> float:
        """Distance of slices in nanometres, 0 if unknown."""

    def close(self) -> None:
        """Closes the file; one that is written and not finished vanishes."""

@final
class Tiff(_File):
    """A TIFF file that is read page by page."""

    def __new__(cls, path: _Path) -> Tiff:
        """Opens the file; its pages must be of one channel, shape and type."""

    def read(self, page: int, out: NDArray[Any], /) -> None:
        """Reads a page into ``out`` (height, width) of the file's type."""

@final
class TiffWriter(_File):
    """A TIFF file that is written page by page and appears when it is finished."""

    def __new__(
        cls,
        path: _Path,
        pages: int,
        height: int,
        width: int,
        dtype: DTypeLike,
        pixel_nm: float = 0.0,
        spacing_nm: float = 0.0,
        labels: int = 0,
        overwrite: bool = False,
    ) -> TiffWriter:
        """Starts a file; ``labels`` is the largest label value to display, or 0."""

    def write(self, pixels: NDArray[Any], /) -> None:
        """Appends a page."""

    def finish(self) -> None:
        """Completes the file and puts it at its path."""
