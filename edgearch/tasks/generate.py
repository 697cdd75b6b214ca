"""Make examples like those of a dataset, from noise; metric: the Fréchet distance, and modes covered.

A small classifier is trained on the training split. Its last hidden layer says what an image is like: the
distance is that between two normal distributions, one fitted to the features of the test images, one to
those of as many generated ones. Beside it stands how many of the classes the generator makes at all, which
one number does not tell.

A distance depends on the classifier and on the number of images: compare it with others of the same
dataset, such as the one of as many training images, which are real.

Source: M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", arXiv:1706.08500; here with a
classifier of the dataset's own in place of Inception, which was trained on photographs.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from edgearch.data import Dataset, Examples
from edgearch.tasks import Score, _images
from edgearch.work import Arrays, Predictor

SUMMARY = "new images from noise; metric: Fréchet distance in a classifier's features, and modes covered"
ROLE, OUTPUT, METRIC = "generator", "image", "frechet_distance"
HIDDEN = (64, 32)  # units of the classifier; the features are those of the last
SURE = 0.8  # probability from which the classifier recognizes an image
SHARE = 0.1  # of the images that a class would have if all had equally many: fewer do not cover it
SHOWN = 20  # images in a report


def compile_options() -> dict[str, Any]:
    """Return nothing: two networks that play against each other bring their losses along."""
    return {}


def targets(examples: Examples) -> tuple[Any, Any]:
    """Return inputs by name, and the images that are to be imitated."""
    return dict(examples.inputs), examples.inputs["image"]


def prepare(dataset: Dataset) -> Arrays:
    """Return a classifier trained on the training split, and training images to hold against the test."""
    from sklearn.neural_network import MLPClassifier

    images = dataset.train.inputs["image"]
    flat = images.reshape(len(images), -1)
    passes = int(np.clip(300_000 // len(flat), 10, 300))
    classifier = MLPClassifier(HIDDEN, alpha=1e-2, max_iter=passes, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may go on improving: it need not be the best there is
        classifier.fit(flat, dataset.train.labels)
    layers = zip(classifier.coefs_, classifier.intercepts_, strict=True)
    arrays = {
        f"{kind}_{index}": value
        for index, pair in enumerate(layers)
        for kind, value in zip("wb", pair, strict=True)
    }
    real, _ = understood(arrays, images[: len(dataset.test)])
    return {**arrays, "train_features": real}


def score(predictor: Predictor, examples: Examples, prepared: Arrays) -> Score:
    """Return the Fréchet distance of the generated images from the test images."""
    made = predictor(ROLE, {})[OUTPUT]
    found, probabilities = understood(prepared, made)
    real, _ = understood(prepared, examples.inputs["image"])
    size = min(len(real), len(found))
    real, found = real[:size], found[:size]
    counts = recognized(probabilities)
    fair = len(made) / len(counts)
    figures = {
        f"modes covered, of {len(counts)}": int(np.sum(counts >= SHARE * fair)),
        "images recognized": float(counts.sum() / len(made)),
    }
    train = prepared["train_features"][:size]
    return Score(
        METRIC,
        frechet(real, found),
        False,
        resample=lambda index: frechet(real[index % size], found[index % size]),
        details={
            "images": [_images.shown("made of noise", made[:SHOWN])],
            "figures": figures,
            "generated": counts.tolist(),
        },
        title="Fréchet distance",
        budget="relative",
        baselines={f"{len(train)} training images": {METRIC: frechet(real, train)}},
    )


def understood(classifier: Arrays, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the features, (images, units), and the classes' probabilities, (images, classes)."""
    values = images.reshape(len(images), -1).astype(np.float64)
    features = values
    for index in itertools.takewhile(lambda one: f"w_{one}" in classifier, itertools.count()):
        features = np.maximum(values, 0) if index else values
        values = features @ classifier[f"w_{index}"] + classifier[f"b_{index}"]
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    return features, shifted / shifted.sum(axis=1, keepdims=True)


def recognized(probabilities: np.ndarray) -> np.ndarray:
    """Return how many images are surely of each class, (classes,)."""
    best = np.argmax(probabilities, axis=1)
    sure = probabilities.max(axis=1) >= SURE
    return np.bincount(best[sure], minlength=probabilities.shape[1])


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Return the squared distance of the normal distributions fitted to two sets, (examples, units) each.

    Of covariances A and B it takes tr(A + B - 2 (√A B √A)^½), whose root is of a symmetric matrix.
    """
    means = first.mean(axis=0) - second.mean(axis=0)
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    values, vectors = np.linalg.eigh(one)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    inner = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(means @ means + np.trace(one) + np.trace(other) - 2 * inner)
