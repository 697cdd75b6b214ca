"""Say an image in a few numbers and make it again from them; metric: the negative ELBO, in nats.

What is bounded is the likelihood of an image under independent normal pixels of standard deviation
``SIGMA``, so with the divergence of the encoder's answer from the prior the metric is, for each image,

    sum over pixels of (copy - pixel)² / (2 SIGMA²) + KL(N(mean, variance) || N(0, 1))

without the constant log(SIGMA √(2π)) a pixel, which no model changes. So it is never negative, and a share
of it has a meaning. The copy is made of the latent mean, as a device makes it: nothing is drawn at random.

Source: D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgearch.data import Dataset, Examples
from edgearch.framework import tf
from edgearch.tasks import Score, _images, _pca
from edgearch.work import Arrays, Predictor

SUMMARY = "an image as a few numbers and back; metric: negative ELBO in nats, beside a PCA of the same size"
# Of a pixel in 0 to 1: about a third of the spread (0.27) that the pixels of the digits have about their
# mean. Of that spread itself, a grey blur would do; far below it, only the copy would count.
SIGMA = 0.1
METRIC = "negative_elbo"
SHOWN = 10  # images in a report


def compile_options() -> dict[str, Any]:
    """Return the likelihood's part of the metric; the model adds the divergence of its latent space."""

    def likelihood(images: Any, copies: Any) -> Any:
        return tf.reduce_sum((copies - images) ** 2, axis=tuple(range(1, len(images.shape)))) / (2 * SIGMA**2)

    return {"loss": likelihood}


def targets(examples: Examples) -> tuple[Any, Any]:
    """Return inputs by name, and the image that is to be copied."""
    return dict(examples.inputs), examples.inputs["image"]


def prepare(dataset: Dataset) -> Arrays:
    """Return a PCA of the training images."""
    return _pca.fit(dataset.train.inputs["image"])


def score(predictor: Predictor, examples: Examples, prepared: Arrays) -> Score:
    """Return the negative ELBO, beside the best linear model with as many latent numbers.

    The decoder's answer for rows beyond the examples are images made of draws from the prior.
    """
    images = examples.inputs["image"]
    told = predictor("encoder", examples.inputs)
    made = predictor("decoder", {"z": told["mean"]})["image"]
    copies, drawn = made[: len(images)], made[len(images) :]
    kl = divergence(told["mean"], told["log_variance"])
    bound = _errors(copies, images) / (2 * SIGMA**2) + kl
    size = told["mean"].shape[-1]
    linear, linear_kl = linear_model(prepared, images, size)
    linear_bound = _errors(linear, images) / (2 * SIGMA**2) + linear_kl
    shown = [_images.shown("copied", copies[:SHOWN], images[:SHOWN])]
    if len(drawn):
        shown.append(_images.shown("made of noise", drawn[:SHOWN]))
    plain = _pca.reconstruct(
        prepared, images, size
    )  # closest of all linear copies, with no regard to a prior
    return Score(
        METRIC,
        float(bound.mean()),
        False,
        bound,
        details={"images": shown, "figures": _figures(copies, images, kl)},
        title="negative ELBO",
        budget="relative",
        baselines={
            f"PCA with {size} components": {
                METRIC: float(linear_bound.mean()),
                **_figures(plain, images, linear_kl),
            }
        },
    )


def _figures(copies: np.ndarray, images: np.ndarray, kl: np.ndarray) -> dict[str, float]:
    return {
        "squared error of a pixel": float(_errors(copies, images).mean() / images[0].size),
        "divergence from the prior, nats": float(kl.mean()),
    }


def divergence(mean: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    """Return the divergence of N(mean, variance) from N(0, 1), summed over latent numbers, (examples,)."""
    mean, log_variance = mean.astype(np.float64), log_variance.astype(np.float64)
    return np.asarray(0.5 * np.sum(mean**2 + np.exp(log_variance) - log_variance - 1, axis=-1))


def linear_model(prepared: Arrays, images: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the copies of probabilistic PCA at the same ``SIGMA``, and its divergence from the prior.

    It is the variational autoencoder whose both halves are linear, at its optimum, and scored alike.
    Source: M. Tipping, C. Bishop, J. R. Statist. Soc. B 61, 1999, sections 3.2 and 3.3.
    """
    components, variances = prepared["pca_components"][:size], prepared["pca_variances"][:size]
    weights = np.sqrt(np.maximum(variances - SIGMA**2, 0))
    centred = images.reshape(len(images), -1) - prepared["pca_mean"]
    precision = weights**2 + SIGMA**2
    mean = centred @ components.T * weights / precision
    copies = (mean * weights) @ components + prepared["pca_mean"]
    log_variance = np.broadcast_to(np.log(SIGMA**2 / precision), mean.shape)
    return copies.reshape(images.shape), divergence(mean, log_variance)


def _errors(copies: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the squared differences of each image, summed over its pixels, (examples,)."""
    difference = (copies.astype(np.float64) - images).reshape(len(images), -1)
    return np.asarray(np.sum(difference**2, axis=1))
