"""One of several classes an example: cross-entropy, accuracy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgearch.data import Examples
from edgearch.framework import keras
from edgearch.tasks import Score
from edgearch.work import Predictor

SUMMARY = "one of several classes an example; metric: accuracy"
ROLE, OUTPUT, STEPS = "model", "logits", "logits/steps"


def compile_options() -> dict[str, Any]:
    """Return cross-entropy on logits (no softmax in the graph: a device only needs the largest)."""
    return {
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    }


def targets(examples: Examples) -> tuple[Any, Any]:
    """Return inputs by name, and labels."""
    return dict(examples.inputs), examples.labels


def score(predictor: Predictor, examples: Examples) -> Score:
    """Return the accuracy, with the confusion matrix (true class by row) among the details.

    A predictor that also tells the logits after every step, (examples, steps, classes), gets the accuracy
    after each: how much of a sequence it takes.
    """
    found = predictor(ROLE, examples.inputs)
    scored = accuracy(found[OUTPUT], examples.labels)
    if STEPS not in found:
        return scored
    right = np.argmax(found[STEPS], axis=-1) == examples.labels[:, None]
    return replace(scored, details={**scored.details, "accuracy_by_length": right.mean(axis=0).tolist()})


def accuracy(logits: np.ndarray, labels: np.ndarray) -> Score:
    """Score ``logits``, (examples, classes), against ``labels``, (examples,)."""
    predicted = np.argmax(logits, axis=-1)
    correct = (predicted == labels).astype(np.float64)
    confusion = np.zeros((logits.shape[-1],) * 2, dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    return Score("accuracy", float(correct.mean()), True, correct, details={"confusion": confusion.tolist()})
