"""What models with a latent space share: images to fit, and vectors drawn for them."""

from __future__ import annotations

import zlib

import numpy as np

from edgearch.data import Examples
from edgearch.errors import RequestError
from edgearch.work import Spec


def image(spec: Spec, model: str) -> tuple[int, ...]:
    """Return the shape of the dataset's images, (height, width, channels).

    Raises:
        RequestError: its examples are something else.
    """
    if list(spec.inputs) != ["image"] or len(spec.inputs["image"]) != 3:
        raise RequestError(
            f"{model} takes one input, image (height, width, channels); this dataset has {dict(spec.inputs)}."
        )
    return spec.inputs["image"]


def quarters(shape: tuple[int, ...], model: str) -> tuple[int, int]:
    """Return a quarter of an image's height and width.

    Raises:
        RequestError: it cannot be halved twice.
    """
    height, width, _ = shape
    if height % 4 or width % 4:
        raise RequestError(
            f"{model} halves an image twice: its height and width must be multiples of 4, "
            f"found {height} and {width}. Pad or crop the dataset's images."
        )
    return height // 4, width // 4


def draws(examples: Examples, count: int, size: int) -> np.ndarray:
    """Return standard normal vectors, (count, size) float32, always the same ones for the same examples.

    Splits do not overlap, so calibration sees other vectors than the test.
    """
    seed = zlib.crc32(b"".join(np.ascontiguousarray(value).tobytes() for value in examples.inputs.values()))
    return np.random.default_rng(seed).standard_normal((count, size), dtype=np.float32)
