"""Architectures, one family a file.

A family's file gives ``SUMMARY`` and ``VARIANTS``, a dict from a variant's name to its builder; the first
is the family's default and answers to the family's plain name too. A builder takes a
:class:`~edgearch.work.Spec` and returns an :class:`Architecture`. ``PURPOSES`` may give a variant another
:class:`Purpose` than to classify digits; ``REWRITES`` says which rewrites of ``rewrites.toml`` a variant
knows, so that a device profile can ask for them.

``EDGEARCH_MODELS`` may name a folder with more families, to try one without touching the package.
"""

from __future__ import annotations

import functools
import importlib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np

import edgearch.models
from edgearch import registry
from edgearch.data import Examples
from edgearch.errors import unknown
from edgearch.work import Spec

if os.environ.get("EDGEARCH_MODELS"):
    __path__.append(os.environ["EDGEARCH_MODELS"])


@dataclass(frozen=True)
class Recipe:
    """How a variant is trained: AdamW with cosine decay, the best epoch by validation loss is kept.

    ``crop`` pads images by an eighth of their size and crops them at random: a shifted digit is the same
    digit (the augmentation of the ResNet paper, arXiv:1512.03385, section 4.2, without its flips).
    """

    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 2e-2
    patience: int = 15
    crop: bool = False


@dataclass(frozen=True)
class Export:
    """What goes to a device: a function of named inputs with fixed shapes and batch 1.

    ``function`` takes tensors by name and returns a dict of tensors; ``inputs`` are shapes with the batch,
    all float32; ``feed`` turns examples into stacked inputs, (examples, *shape without the batch).
    """

    function: Callable[..., Mapping[str, Any]]
    inputs: Mapping[str, tuple[int, ...]]
    feed: Callable[[Examples], Mapping[str, np.ndarray]]

    def calibration(self, examples: Examples) -> Iterator[dict[str, np.ndarray]]:
        """Yield inputs for post-training quantization, one example at a time, with the batch."""
        stacked = self.feed(examples)
        for index in range(len(next(iter(stacked.values())))):
            yield {name: value[index : index + 1] for name, value in stacked.items()}


@dataclass(frozen=True)
class Architecture:
    """A Keras model to fit, and what of it goes to a device, by role.

    ``predicts`` is the role that a classifying task asks.
    """

    train: Any
    exports: Mapping[str, Export]
    recipe: Recipe = field(default_factory=Recipe)
    predicts: str = "model"


Builder = Callable[[Spec], Architecture]


@dataclass(frozen=True)
class Purpose:
    """What a variant is for, and the embedded dataset it is trained on when none is named."""

    task: str = "classify"
    dataset: str = "digits"


@dataclass(frozen=True)
class Variant:
    """One architecture by name."""

    name: str
    family: str
    builder: Builder
    purpose: Purpose
    rewrites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rewrite:
    """Another form of a layer: what is ``replaced`` by what, and why.

    ``trained``: the form computes something else, so the weights are trained in it.
    """

    name: str
    replaced: str
    by: str
    reason: str
    trained: bool


def families() -> dict[str, list[str]]:
    """Return family → names of its variants, the default first."""
    return {name: list(_family(name).VARIANTS) for name in registry.names(edgearch.models)}


def find(name: str) -> Variant:
    """Return the variant called ``name``; a family's plain name is its default.

    Raises:
        RequestError: there is none; the message lists what there is.
    """
    known = families()
    family = next((family for family, variants in known.items() if name in (family, *variants)), None)
    if family is None:
        raise unknown("model", name, {*known, *(variant for names in known.values() for variant in names)})
    variant = known[family][0] if name == family else name
    module = _family(family)
    purpose = getattr(module, "PURPOSES", {}).get(variant, Purpose())
    rewritten = getattr(module, "REWRITES", {}).get(variant, ())
    return Variant(variant, family, module.VARIANTS[variant], purpose, rewritten)


def summary(family: str) -> str:
    """Return a family's one line."""
    return str(_family(family).SUMMARY)


@functools.cache
def rewrites() -> dict[str, Rewrite]:
    """Return every rewrite there is, by name."""
    text = resources.files("edgearch.models").joinpath("rewrites.toml").read_text(encoding="utf-8")
    return {name: Rewrite(name, **found) for name, found in tomllib.loads(text).items()}


@functools.cache
def _family(name: str) -> Any:
    return importlib.import_module(f"edgearch.models.{name}")


def logits_export(model: Any, spec: Spec) -> dict[str, Export]:
    """Return the one export of a classifier: ``model``, from the dataset's inputs to ``logits``."""

    def function(**inputs: Any) -> dict[str, Any]:
        return {"logits": model(inputs, training=False)}

    shapes = {name: (1, *shape) for name, shape in spec.inputs.items()}
    return {"model": Export(function, shapes, lambda examples: examples.inputs)}
