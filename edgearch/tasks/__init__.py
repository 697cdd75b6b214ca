"""What models are for, one kind of work a file: its loss, its metric, how a prediction is scored.

A task module gives ``SUMMARY``, ``compile_options()`` (loss and metrics for Keras), ``targets(examples)``
(what Keras fits) and ``score(predictor, examples)``. The same lines score Keras, a TFLite interpreter and
a board: they only see a predictor.

A task whose score needs more than the test examples also gives ``prepare(dataset)``: arrays made of the
training split, such as a baseline fitted on it. They are kept with the trained model, and ``score`` takes
them as its third argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

import numpy as np

import edgearch.tasks
from edgearch import registry
from edgearch.data import Dataset, Examples
from edgearch.work import Arrays, Predictor

Budget = Literal["absolute", "relative"]


@dataclass(frozen=True)
class Score:
    """A metric's value with what a paired comparison needs.

    ``per_example``, (examples,), has the metric as its mean; metrics without one give ``resample``, which
    computes the value for an array of example indices. ``details`` are JSON values for reports.
    ``title`` is what people call the metric, where that is not its name. ``budget`` says what a loss is
    measured in: the metric's own unit, or a share of the float value, for metrics whose unit says nothing to
    a user. ``baselines`` are what other, simpler ways come to, in the metric and in the ``figures`` among
    the details: way → name → value.
    """

    metric: str
    value: float
    higher_is_better: bool
    per_example: np.ndarray | None = None
    resample: Callable[[np.ndarray], float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    budget: Budget = "absolute"
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


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


def prepare(name: str, dataset: Dataset) -> Arrays:
    """Return what the task called ``name`` makes of the training split for its score; empty for most."""
    make = getattr(task(name), "prepare", None)
    return cast(Arrays, make(dataset)) if make else {}


def score(name: str, predictor: Predictor, examples: Examples, prepared: Arrays) -> Score:
    """Score a predictor by the task called ``name``, with what it prepared."""
    chosen = cast(Any, task(name))
    scored = (
        chosen.score(predictor, examples, prepared)
        if hasattr(chosen, "prepare")
        else chosen.score(predictor, examples)
    )
    return cast(Score, scored)


def compare(before: Score, after: Score, examples: int) -> dict[str, Any]:
    """Return two scores on the same examples as the ``score`` part of a deployment."""
    from edgearch.tasks import _statistics

    return _statistics.compare(before, after, examples)
