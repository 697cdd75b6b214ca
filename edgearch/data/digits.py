"""Scikit-learn's 1,797 handwritten digits, 8×8 pixels in 17 greys: real, small, and always there.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from edgearch.data import Dataset, _splits

SUMMARY = "1,797 real handwritten digits, 8×8, from scikit-learn: no network, trains in seconds"
TASKS = ("classify", "reconstruct", "generate")


def fingerprint(folder: Path | None) -> str:
    """Return the version of the package that holds the digits."""
    del folder
    return f"scikit-learn {importlib.metadata.version('scikit-learn')}"


def load(folder: Path | None) -> Dataset:
    """Return 1,077 digits to train, 180 to validate, 180 to calibrate and 360 to test."""
    del folder
    from sklearn.datasets import load_digits

    found = load_digits()
    examples = _splits.images(found.images, found.target, 16)
    train, test, validation, calibration = _splits.cut(examples, (360, 180, 180))
    return Dataset(train, validation, calibration, test, tuple(str(name) for name in found.target_names))
