"""Datasets, one source a file; each is split into train, validation, calibration and test.

A dataset module gives ``SUMMARY``, ``TASKS`` (what it fits), ``fingerprint(folder)`` (cheap: no TensorFlow,
so that a cached run can tell whether the data is still the same) and ``load(folder)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np

import edgearch.data
from edgearch import registry
from edgearch.work import Spec


@dataclass(frozen=True)
class Examples:
    """Inputs by name, (examples, *shape) float32 each (indices int32), and labels, (examples,) int64.

    Where an example is a whole graph, labels are (examples, nodes) and ``mask``, of the same shape, says
    which nodes belong to this split: the splits of one graph share its inputs and differ in their mask.
    """

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray
    mask: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Examples:
        """Return the first ``count`` examples."""
        mask = None if self.mask is None else self.mask[:count]
        inputs = {name: value[:count] for name, value in self.inputs.items()}
        return Examples(inputs, self.labels[:count], mask)


@dataclass(frozen=True)
class Dataset:
    """Four disjoint splits. ``notes`` tell the user what was unusual about the source."""

    train: Examples
    validation: Examples
    calibration: Examples
    test: Examples
    label_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def spec(self) -> Spec:
        """What a builder needs to know."""
        shapes = {name: tuple(value.shape[1:]) for name, value in self.train.inputs.items()}
        return Spec(shapes, len(self.label_names))


class Source(Protocol):
    """What a dataset module gives."""

    SUMMARY: str
    TASKS: tuple[str, ...]

    def fingerprint(self, folder: Path | None) -> str:
        """Return a digest of what ``load`` would read."""

    def load(self, folder: Path | None) -> Dataset:
        """Read the dataset, from ``folder`` if one is given."""


def names() -> list[str]:
    """Return the datasets there are."""
    return registry.names(edgearch.data)


def fitting(task: str) -> list[str]:
    """Return the datasets that fit ``task``."""
    return [name for name in names() if task in source(name).TASKS]


def source(name: str) -> Source:
    """Return the dataset module called ``name``; an unknown one is a RequestError."""
    return cast(Source, registry.load(edgearch.data, "dataset", name))
