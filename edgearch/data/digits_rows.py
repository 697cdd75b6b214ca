"""The same handwritten digits as sequences: eight steps, one row of eight pixels each, from top to bottom.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgearch.data import Dataset, Examples, digits

SUMMARY = "the digits row by row: sequences of 8 steps with 8 features, the same splits as digits"
TASKS = ("classify",)

fingerprint = digits.fingerprint


def load(folder: Path | None) -> Dataset:
    """Return the digits' four splits with one input, ``sequence``, (examples, 8 steps, 8 features)."""
    found = digits.load(folder)
    return replace(
        found,
        train=_rows(found.train),
        validation=_rows(found.validation),
        calibration=_rows(found.calibration),
        test=_rows(found.test),
    )


def _rows(images: Examples) -> Examples:
    return Examples({"sequence": images.inputs["image"][..., 0]}, images.labels)
