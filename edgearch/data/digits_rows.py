"""The digits of :mod:`edgearch.data.digits` read as a scanner would: row by row, top to bottom.

A sequence of 8 steps with 8 features each. The splits hold the same digits as those of ``digits``, so a
recurrent network and a convolutional one answer the same test examples.
"""

from __future__ import annotations

from pathlib import Path

from edgearch.data import Dataset, Examples, digits

SUMMARY = "digits read row by row: 1,797 sequences of 8 steps, 8 features each, from scikit-learn"
TASKS = ("classify",)
fingerprint = digits.fingerprint


def load(folder: Path | None) -> Dataset:
    """Return the splits of ``digits`` with one input, ``sequence``, (examples, 8 steps, 8 features)."""
    found = digits.load(folder)
    return Dataset(
        _rows(found.train),
        _rows(found.validation),
        _rows(found.calibration),
        _rows(found.test),
        found.label_names,
    )


def _rows(images: Examples) -> Examples:
    return Examples({"sequence": images.inputs["image"][..., 0]}, images.labels)
