"""Principal components: the best linear bottleneck, which a network has to beat to be worth its cost.

Source: M. Tipping, C. Bishop, "Probabilistic Principal Component Analysis", J. R. Statist. Soc. B 61, 1999.
"""

from __future__ import annotations

import numpy as np

from edgearch.work import Arrays

MOST = 64  # components kept: no bottleneck here is wider


def fit(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean, (features,), components, (components, features), and variances of ``values``.

    ``values`` are (examples, *shape); what remains beyond the components kept is left out.
    """
    flat = values.reshape(len(values), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    _, singular, components = np.linalg.svd(flat - mean, full_matrices=False)
    variances = singular**2 / (len(flat) - 1)
    return {"pca_mean": mean, "pca_components": components[:MOST], "pca_variances": variances[:MOST]}


def reconstruct(fitted: Arrays, values: np.ndarray, components: int) -> np.ndarray:
    """Return ``values``, (examples, *shape), as their first ``components`` say them."""
    kept = fitted["pca_components"][:components]
    flat = values.reshape(len(values), -1) - fitted["pca_mean"]
    return np.asarray(flat @ kept.T @ kept + fitted["pca_mean"]).reshape(values.shape)
