"""Fashion-MNIST: 70,000 pictures of clothes, 28×28.

Source: H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747, 2017.
"""

from __future__ import annotations

from pathlib import Path

from edgearch.data import Dataset, _idx, _keras

SUMMARY = "70,000 pictures of clothes, 28×28 (Keras cache, or a folder with the IDX files)"
TASKS = ("classify", "reconstruct", "generate")
LABELS = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
FILES = [
    f"fashion-mnist/{part}-ubyte.gz"
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
]


def fingerprint(folder: Path | None) -> str:
    """Return a digest of the files."""
    return _keras.digest(_idx.files(folder) if folder else [_keras.cache_folder() / name for name in FILES])


def load(folder: Path | None) -> Dataset:
    """Read the IDX files in ``folder``, or what the Keras cache holds."""
    return _idx.load(folder, LABELS) if folder else _keras.load("fashion_mnist", FILES, LABELS)
