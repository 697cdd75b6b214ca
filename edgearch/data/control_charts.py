"""Control charts: a process watched over 60 readings, and one of six things that may befall it.

Single readings tell nothing: a trend, a cycle and a shift differ only in how one reading follows another.
The equations are those of the "Synthetic Control Chart Time Series" of the UCI repository: R. J. Alcock,
Y. Manolopoulos, "Time-Series Similarity Queries Employing a Feature-Based Approach", 7th Hellenic
Conference on Informatics, 1999. A folder may hold the original 600 charts, ``synthetic_control.data``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from edgearch.data import Dataset, Examples, _splits
from edgearch.errors import RequestError

SUMMARY = "1,800 control charts of 60 readings, drawn by the equations of UCI's: trends, cycles, shifts"
TASKS = ("classify",)

FILE = "synthetic_control.data"
LABELS = ("normal", "cyclic", "increasing", "decreasing", "upward shift", "downward shift")
STEPS = 60
MEAN, DEVIATION = 30.0, 2.0  # of a process that is under control
_CHARTS = 300  # of each class
_SEED = 0
_VERSION = 1  # of the equations below


def fingerprint(folder: Path | None) -> str:
    """Return the version of the equations, or a digest of the file."""
    if folder is None:
        return f"control charts {_VERSION}, NumPy's PCG64"
    return hashlib.sha256(_found(folder).read_bytes()).hexdigest()


def load(folder: Path | None) -> Dataset:
    """Return charts as ``sequence``, (examples, 60 steps, 1 feature), about zero, of unit size.

    Raises:
        RequestError: the folder lacks the file, or a line of it is not 60 finite numbers.
    """
    charts = drawn() if folder is None else _read(_found(folder))
    labels = np.repeat(np.arange(len(LABELS)), len(charts) // len(LABELS))
    # A shift or a trend moves a process by at most 30 of its units: in and out of control stay within ±1.5.
    scaled = ((charts - MEAN) / MEAN).astype(np.float32)
    examples = Examples({"sequence": scaled[..., None]}, labels.astype(np.int64))
    tenth = len(charts) // 10
    train, test, validation, calibration = _splits.cut(examples, (2 * tenth, tenth, tenth))
    return Dataset(train, validation, calibration, test, LABELS)


def drawn() -> np.ndarray:
    """Draw the charts, (charts, 60), class by class in the order of ``LABELS``; the same ones every time."""
    random = np.random.default_rng(_SEED)
    time = np.arange(1, STEPS + 1)

    def each(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, (_CHARTS, 1))

    def noise() -> np.ndarray:
        return MEAN + DEVIATION * random.uniform(-3, 3, (_CHARTS, STEPS))

    def shift() -> np.ndarray:
        return each(7.5, 20) * (time >= each(STEPS / 3, 2 * STEPS / 3))

    return np.concatenate(
        [
            noise(),
            noise() + each(10, 15) * np.sin(2 * np.pi * time / each(10, 15)),
            noise() + each(0.2, 0.5) * time,
            noise() - each(0.2, 0.5) * time,
            noise() + shift(),
            noise() - shift(),
        ]
    )


def _found(folder: Path) -> Path:
    path = folder / FILE
    if not path.is_file():
        raise RequestError(
            f"{folder}: no {FILE}. It is the one file of the UCI repository's dataset 'Synthetic Control "
            "Chart Time Series': 600 lines of 60 readings. Put it there, or leave out --data-folder."
        )
    return path


def _read(path: Path) -> np.ndarray:
    lines = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line]
    for number, line in enumerate(lines, start=1):
        if len(line) != STEPS:
            longer = "is longer than the model" if len(line) > STEPS else "is shorter than the model"
            raise RequestError(
                f"{path}, line {number}: a sequence of {len(line)} readings {longer}, whose exports have a "
                f"fixed length of {STEPS} steps. Cut or complete it."
            )
    try:
        charts = np.array(lines, dtype=np.float64)
    except ValueError as error:
        raise RequestError(f"{path}: expected numbers only: {error}.") from error
    if not len(charts) or len(charts) % len(LABELS):
        raise RequestError(
            f"{path}: expected as many charts of each of {len(LABELS)} classes, found {len(charts)} lines."
        )
    return charts
