"""What models are for, one kind of work a file: its loss, its metric, how a prediction is scored.

A task module gives ``SUMMARY``, ``compile_options()`` (loss and metrics for Keras), ``targets(examples)``
(what Keras fits) and ``score(predictor, examples)``. The same lines score Keras, a TFLite interpreter and
a board: they only see a predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np

import edgearch.tasks
from edgearch import registry
from edgearch.data import Examples
from edgearch.work import Predictor


@dataclass(frozen=True)
class Score:
    """A metric's value with what a paired comparison needs.

    ``per_example``, (examples,), has the metric as its mean; metrics without one give ``resample``, which
    computes the value for an array of example indices. ``details`` are JSON values for reports.
    """

    metric: str
    value: float
    higher_is_better: bool
    per_example: np.ndarray | None = None
    resample: Callable[[np.ndarray], float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """What a task module gives."""

    SUMMARY: str

    def compile_options(self) -> dict[str, Any]:
        """Return loss and metrics for ``keras.Model.compile``."""

    def targets(self, examples: Examples) -> tuple[Any, Any]:
        """Return what ``keras.Model.fit`` takes as x and y."""

    def score(self, predictor: Predictor, examples: Examples) -> Score:
        """Score a predictor."""


def task(name: str) -> Task:
    """Return the task module called ``name``."""
    return cast(Task, registry.load(edgearch.tasks, "task", name))


def compare(before: Score, after: Score, examples: int) -> dict[str, Any]:
    """Return two scores on the same examples as the ``score`` part of a deployment."""
    from edgearch.tasks import _statistics

    return _statistics.compare(before, after, examples)
