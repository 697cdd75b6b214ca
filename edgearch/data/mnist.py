"""MNIST: 70,000 handwritten digits, 28×28.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

from pathlib import Path

from edgearch.data import Dataset, _idx, _keras

SUMMARY = "70,000 handwritten digits, 28×28 (Keras cache, or a folder with the IDX files)"
TASKS = ("classify", "reconstruct", "generate")
LABELS = tuple("0123456789")
FILES = ["mnist.npz"]


def fingerprint(folder: Path | None) -> str:
    """Return a digest of the files."""
    return _keras.digest(_idx.files(folder) if folder else [_keras.cache_folder() / name for name in FILES])


def load(folder: Path | None) -> Dataset:
    """Read the IDX files in ``folder``, or what the Keras cache holds."""
    return _idx.load(folder, LABELS) if folder else _keras.load("mnist", FILES, LABELS)
