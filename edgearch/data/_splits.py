"""Cut arrays into disjoint splits, the same ones every time, each class in proportion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgearch.data import Dataset, Examples

_SEED = 0  # of the cut, not of the training: another training seed must not move a test example


def cut(examples: Examples, sizes: Sequence[int]) -> list[Examples]:
    """Return the rest and then one part of each of ``sizes``."""
    from sklearn.model_selection import train_test_split

    rest = np.arange(len(examples))
    parts = []
    for size in sizes:
        rest, part = train_test_split(
            rest, test_size=size, stratify=examples.labels[rest], random_state=_SEED
        )
        parts.append(np.sort(part))
    return [_take(examples, index) for index in (np.sort(rest), *parts)]


def _take(examples: Examples, index: np.ndarray) -> Examples:
    return Examples({name: value[index] for name, value in examples.inputs.items()}, examples.labels[index])


def images(pixels: np.ndarray, labels: np.ndarray, brightest: float) -> Examples:
    """Return images as (examples, height, width, channels) in 0 to 1."""
    scaled = np.asarray(pixels, dtype=np.float32) / np.float32(brightest)
    shaped = scaled if scaled.ndim == 4 else scaled[..., None]
    return Examples({"image": shaped}, np.asarray(labels, dtype=np.int64).reshape(-1))


def with_own_test(train: Examples, test: Examples, label_names: Sequence[str]) -> Dataset:
    """Keep the source's own test split, and cut the other two from its training split."""
    rest, validation, calibration = cut(train, (5000, 500))
    return Dataset(rest, validation, calibration, test, tuple(label_names))
