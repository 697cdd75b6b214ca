"""Give every node of a graph a class, learned from the few nodes that have one."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgearch.data import Dataset, Examples
from edgearch.framework import tf
from edgearch.tasks import Score, classify
from edgearch.work import Arrays, Predictor

SUMMARY = "a class for every node of a graph; metric: accuracy on the nodes of the test mask"
BASELINE = "logistic regression, same labels, no edges"
_SHOWN = 300  # nodes that a drawing has room for


def compile_options() -> dict[str, Any]:
    """Return cross-entropy and accuracy over the nodes that have a label; the others have −1."""
    return {"loss": _loss, "metrics": [_accuracy]}


def _loss(labels: Any, logits: Any) -> Any:
    """Average cross-entropy of ``logits``, (graphs, nodes, classes), over nodes with a label ≥ 0."""
    known, labels = _known(labels)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * known), tf.reduce_sum(known))


def _accuracy(labels: Any, logits: Any) -> Any:
    known, labels = _known(labels)
    right = tf.cast(tf.equal(tf.argmax(logits, -1), labels), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(right * known), tf.reduce_sum(known))


_accuracy.__name__ = "accuracy"  # what Keras calls it in a history


def _known(labels: Any) -> tuple[Any, Any]:
    labels = tf.cast(labels, tf.int64)
    return tf.cast(labels >= 0, tf.float32), tf.maximum(labels, 0)


def targets(examples: Examples) -> tuple[Any, Any]:
    """Return inputs by name, and labels with −1 for every node outside the mask."""
    return dict(examples.inputs), np.where(_mask(examples), examples.labels, -1)


def prepare(dataset: Dataset) -> Arrays:
    """Return logistic regression on the same labels, which sees no edge: what the graph must beat."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(*_rows(dataset.train))
    kernel, bias = (  # of two classes scikit-learn keeps the second one's alone
        np.concatenate([-found, found]) if len(model.classes_) == 2 else found
        for found in (model.coef_, model.intercept_)
    )
    return {"classes": model.classes_, "kernel": kernel, "bias": bias}


def score(predictor: Predictor, examples: Examples, prepared: Arrays) -> Score:
    """Return the accuracy on the nodes of the mask, with what a drawing of the graph needs.

    A model that takes whole graphs answers (graphs, nodes, classes), one that takes a node with its
    neighbourhood (nodes of the mask, classes), in the mask's order.
    """
    mask = _mask(examples)
    logits = predictor(classify.ROLE, examples.inputs)[classify.OUTPUT]
    found = classify.accuracy(logits[mask] if logits.ndim == 3 else logits, examples.labels[mask])
    predicted = np.full(mask.shape, -1)
    predicted[mask] = np.argmax(logits[mask] if logits.ndim == 3 else logits, axis=-1)
    details = {**found.details, "graph": _graph(examples, predicted)}
    nodes, labels = _rows(examples)
    alone = prepared["classes"][np.argmax(nodes @ prepared["kernel"].T + prepared["bias"], axis=-1)]
    baselines = {BASELINE: {"accuracy": float(np.mean(alone == labels))}}
    return Score("accuracy", found.value, True, found.per_example, details=details, baselines=baselines)


def _rows(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    mask = _mask(examples)
    return examples.inputs["nodes"][mask], examples.labels[mask]


def _mask(examples: Examples) -> np.ndarray:
    if examples.mask is None:
        raise ValueError("examples of a graph have a mask")
    return examples.mask


def _graph(examples: Examples, predicted: np.ndarray) -> dict[str, Any]:
    """Return edges, true and predicted classes (−1: not of this split) of the first graph, or of a piece."""
    edges = examples.inputs["edges"][0]
    edges = edges[(edges[:, 0] >= 0) & (edges[:, 0] < edges[:, 1])]
    real = np.flatnonzero(examples.labels[0] >= 0)
    shown = _piece(edges, predicted[0]) if len(real) > _SHOWN else real
    place = np.full(len(predicted[0]), -1)
    place[shown] = np.arange(len(shown))
    kept = place[edges][(place[edges] >= 0).all(axis=1)]
    return {
        "nodes": len(real),
        "edges": kept.tolist(),
        "true": examples.labels[0][shown].tolist(),
        "predicted": predicted[0][shown].tolist(),
    }


def _piece(edges: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the ``_SHOWN`` nodes nearest, in steps, to the first node of this split."""
    both = np.concatenate([edges, edges[:, ::-1]])
    reached = np.zeros(len(predicted), dtype=bool)
    found: list[int] = [int(np.argmax(predicted >= 0))]
    reached[found] = True
    front = np.array(found)
    while len(found) < _SHOWN and len(front):
        front = np.unique(both[np.isin(both[:, 0], front), 1])
        front = front[~reached[front]]
        reached[front] = True
        found += front.tolist()
    return np.sort(found[:_SHOWN])
