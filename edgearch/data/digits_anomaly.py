"""Handwritten digits of which some are normal and all others anomalies, as a detector meets them.

Source: the digits of :mod:`edgearch.data.digits`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgearch.data import Dataset, Examples, digits

SUMMARY = "the digits 0, 4 and 7 as normal, all others as anomalies; only the test split has any of those"
TASKS = ("detect_anomalies",)
NORMAL = (0, 4, 7)

fingerprint = digits.fingerprint


def load(folder: Path | None) -> Dataset:
    """Return the splits of digits: normal ones to train, validate and calibrate, both kinds to test."""
    found = digits.load(folder)
    return Dataset(
        _normal(found.train),
        _normal(found.validation),
        _normal(found.calibration),
        _marked(found.test),
        ("normal", "anomaly"),
    )


def _marked(examples: Examples) -> Examples:
    """Return the examples labelled 1 where they are anomalies, else 0."""
    return Examples(examples.inputs, (~np.isin(examples.labels, NORMAL)).astype(np.int64))


def _normal(examples: Examples) -> Examples:
    marked = _marked(examples)
    keep = marked.labels == 0
    return Examples({name: value[keep] for name, value in marked.inputs.items()}, marked.labels[keep])
