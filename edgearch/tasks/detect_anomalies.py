"""Tell what is unlike the training examples: by how badly a network that knows only those copies it.

The network is trained on normal examples alone, to reproduce its input through a bottleneck. The error of
its copy is the anomaly score. No threshold is chosen here: the AUC is the chance that an anomaly's error is
larger than a normal example's.

Source: Y. Koizumi et al., "Description and Discussion on DCASE2020 Challenge Task 2", arXiv:2006.05822,
as MLPerf Tiny uses it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgearch.data import Dataset, Examples
from edgearch.tasks import Score, _images, _pca
from edgearch.work import Arrays, Predictor

SUMMARY = "normal or not, trained on normal examples only; metric: AUC of the reconstruction error"
ROLE, OUTPUT = "model", "reconstruction"
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
    from sklearn.metrics import roc_auc_score

    copies = predictor(ROLE, examples.inputs)[OUTPUT]
    originals, labels = _input(examples), examples.labels
    error = squared_error(copies, originals)
    linear = _pca.reconstruct(prepared, originals, BASELINE)

    def resample(index: np.ndarray) -> float:
        return float(roc_auc_score(labels[index], error[index]))

    chosen = np.concatenate([np.flatnonzero(labels == label)[:SHOWN] for label in (0, 1)])
    return Score(
        "auc",
        float(roc_auc_score(labels, error)),
        True,
        resample=resample,
        details={
            "images": [
                _images.shown(f"copies: {SHOWN} normal, {SHOWN} not", copies[chosen], originals[chosen])
            ]
        },
        budget="relative",
        baselines={
            f"PCA with {BASELINE} components": float(roc_auc_score(labels, squared_error(linear, originals)))
        },
    )


def squared_error(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the mean squared difference of each example, (examples,)."""
    difference = found.astype(np.float64) - expected
    return np.asarray(np.mean(difference.reshape(len(found), -1) ** 2, axis=1))


def _input(examples: Examples) -> np.ndarray:
    (values,) = examples.inputs.values()
    return values
