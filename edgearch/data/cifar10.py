"""CIFAR-10: 60,000 colour photographs of ten kinds of things, 32×32.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

from pathlib import Path

from edgearch.data import Dataset, _keras
from edgearch.errors import RequestError

SUMMARY = "60,000 colour photographs of ten kinds of things, 32×32 (Keras cache)"
TASKS = ("classify",)
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = ["cifar-10-batches-py.tar.gz"]


def fingerprint(folder: Path | None) -> str:
    """Return a digest of the archive."""
    _refuse(folder)
    return _keras.digest([_keras.cache_folder() / name for name in FILES])


def load(folder: Path | None) -> Dataset:
    """Read what the Keras cache holds."""
    _refuse(folder)
    return _keras.load("cifar10", FILES, LABELS)


def _refuse(folder: Path | None) -> None:
    if folder:
        raise RequestError(
            f"Dataset 'cifar10' is read from the Keras cache ({_keras.cache_folder()}), not from a folder: "
            f"put {FILES[0]} there and leave --data-folder out."
        )
