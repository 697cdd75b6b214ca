"""Datasets that ``keras.datasets`` knows: read from the Keras cache, downloaded when not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.data import Dataset, _splits
from edgearch.errors import RequestError
from edgearch.framework import keras


def cache_folder() -> Path:
    """Return where Keras keeps datasets."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def digest(paths: list[Path]) -> str:
    """Return a SHA-256 over the content of the files that exist."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode())
        if path.is_file():
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def load(name: str, files: list[str], label_names: tuple[str, ...]) -> Dataset:
    """Load the dataset that Keras calls ``name``.

    Raises:
        RequestError: it is not in the cache and cannot be downloaded; the text names the files.
    """
    module: Any = getattr(keras.datasets, name)
    try:
        train, test = module.load_data()
    except Exception as error:  # Keras raises a bare Exception for every network failure
        raise RequestError(
            f"Dataset {name!r} is not in {cache_folder()} and could not be downloaded ({error}). "
            f"Put {' and '.join(files)} there: the files that keras.datasets.{name} fetches."
        ) from error
    return _splits.with_own_test(_images(*train), _images(*test), label_names)


def _images(pixels: np.ndarray, labels: np.ndarray) -> Any:
    return _splits.images(pixels, labels, 255)
