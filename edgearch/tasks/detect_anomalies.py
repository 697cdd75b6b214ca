"""Tell what is unlike the training examples: by how badly a network that knows only those copies it.

The network is trained on normal examples alone, to reproduce its input through a bottleneck. The error of
its copy is the anomaly score. No threshold is chosen here: the AUC is the chance that an anomaly's error is
larger than a normal example's.

Source: Y. Koizumi et al., "Description and Discussion on DCASE2020 Challenge Task 2", arXiv:2006.05822,
as MLPerf Tiny uses it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgearch.data import Dataset, Examples
from edgearch.tasks import Score, _images, _pca
from edgearch.work import Arrays, Predictor

SUMMARY = "normal or not, trained on normal examples only; metric: AUC of the reconstruction error"
ROLE, OUTPUT, METRIC = "model", "reconstruction", "auc"
BASELINE = 8  # principal components, as many as MLPerf Tiny's network has units in its bottleneck
SHOWN = 5  # of each kind, in a report


def compile_options() -> dict[str, Any]:
    """Return the mean squared error of the copy."""
    return {"loss": "mse"}


def targets(examples: Examples) -> tuple[Any, Any]:
    """Return inputs by name, and the input that is to be copied."""
    return dict(examples.inputs), _input(examples)


def prepare(dataset: Dataset) -> Arrays:
    """Return a PCA of the training examples: what a network must be worth its cost against."""
    return _pca.fit(_input(dataset.train))


def score(predictor: Predictor, examples: Examples, prepared: Arrays) -> Score:
    """Return the AUC (label 1 is an anomaly), with copies of examples among the details."""
    copies = predictor(ROLE, examples.inputs)[OUTPUT]
    originals, labels = _input(examples), examples.labels
    error = squared_error(copies, originals)
    linear = _pca.reconstruct(prepared, originals, BASELINE)

    chosen = np.concatenate([np.flatnonzero(labels == label)[:SHOWN] for label in (0, 1)])
    shown = _images.shown(f"copied: {SHOWN} normal, {SHOWN} not", copies[chosen], originals[chosen])
    return Score(
        METRIC,
        auc(labels, error),
        True,
        resample=lambda index: auc(labels[index], error[index]),
        details={"images": [shown]},
        title="AUC",
        budget="relative",
        baselines={
            f"PCA with {BASELINE} components": {METRIC: auc(labels, squared_error(linear, originals))}
        },
    )


def auc(labels: np.ndarray, errors: np.ndarray) -> float:
    """Return the chance that an anomaly (label 1) has a larger error than a normal example; a tie is half.

    By ranks, (D. Bamber, J. Math. Psychology 12, 1975): scikit-learn's value, for a twentieth of its time,
    which a thousand resamples take note of. Where there are none of either kind, it is not a number.
    """
    from scipy.stats import rankdata

    anomalies = int(np.sum(labels == 1))
    normal = len(labels) - anomalies
    if not anomalies or not normal:
        return math.nan
    ranks = rankdata(errors)[labels == 1].sum() - anomalies * (anomalies + 1) / 2
    return float(ranks / (anomalies * normal))


def squared_error(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the mean squared difference of each example, (examples,)."""
    difference = found.astype(np.float64) - expected
    return np.asarray(np.mean(difference.reshape(len(found), -1) ** 2, axis=1))


def _input(examples: Examples) -> np.ndarray:
    (values,) = examples.inputs.values()
    return values
