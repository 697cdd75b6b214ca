"""Architectures, one family a file.

A family's file gives ``VARIANTS``, a dict from a variant's name to its builder; the first is the family's
default and answers to the family's plain name too. A builder takes a
:class:`~edgearch.work.Spec` and returns an :class:`Architecture`. ``PURPOSES`` may give a variant another
:class:`Purpose` than to classify digits, ``ALIASES`` other names by which a variant is known; ``LATENT`` is
the size of the family's latent space, if any; ``REWRITES`` says which rewrites of ``rewrites.toml`` a variant
knows, so that a device profile can ask for them.

``EDGEARCH_MODELS`` may name a folder with more families, to try one without touching the package. What is
wrong with one of them is the user's to mend: it becomes a :class:`~edgearch.errors.RequestError`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import edgearch.models
from edgearch import registry
from edgearch.agent import driving
from edgearch.data import Examples
from edgearch.errors import RequestError, unknown
from edgearch.framework import tf
from edgearch.records import NAME
from edgearch.work import Arrays, Spec

OWN = os.environ.get("EDGEARCH_MODELS")
if OWN:
    if not Path(OWN).is_dir():
        raise RequestError(f"EDGEARCH_MODELS={OWN}: no such folder; expected one of families, one a file.")
    __path__.append(OWN)


@dataclass(frozen=True)
class Recipe:
    """How a variant is trained: AdamW with cosine decay, the best epoch by validation loss is kept.

    Without ``decay`` the learning rate stays as it is.
    ``crop`` pads images by an eighth of their size and crops them at random: a shifted digit is the same
    digit (the augmentation of the ResNet paper, arXiv:1512.03385, section 4.2, without its flips).
    ``monitor`` is what the best epoch has least of; ``None`` for losses that say nothing of quality, as a
    GAN's: every epoch is trained and the last one kept. ``beta_1`` is the optimizer's first momentum.
    """

    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 2e-2
    patience: int = 15
    crop: bool = False
    monitor: str | None = "val_loss"
    beta_1: float = 0.9
    decay: bool = True


@dataclass(frozen=True)
class Export:
    """What goes to a device: a function of named inputs with fixed shapes and batch 1.

    ``function`` takes tensors by name and returns a dict of tensors; ``inputs`` are shapes with the batch,
    all float32; ``feed`` turns examples into stacked inputs, (examples, *shape without the batch).

    ``state`` maps outputs to the inputs they feed at the next time step. An export with one computes a
    single step: it is driven over a whole sequence, from a state of zeros, and its answer is the last
    step's. ``feed`` then leaves the state out and gives whole sequences, (examples, steps, *shape).
    ``whole`` says what such a drive must come to: what the trained model makes of whole sequences,
    (examples, *shape) by output.

    ``instead`` names the role that answers where a converter or a runtime refuses this one.

    ``chained`` says which inputs come from an earlier role: input → (role, output). On a device they are
    what that role answered there; rows that ``feed`` gives for such an input come after those.
    """

    function: Callable[..., Mapping[str, Any]]
    inputs: Mapping[str, tuple[int, ...]]
    feed: Callable[[Examples], Mapping[str, np.ndarray]]
    state: Mapping[str, str] = field(default_factory=dict)
    whole: Callable[[Examples], Mapping[str, np.ndarray]] | None = None
    instead: str | None = None
    chained: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def calibration(self, examples: Examples, earlier: Arrays) -> Iterator[dict[str, np.ndarray]]:
        """Yield inputs for post-training quantization, one inference at a time, with the batch.

        ``earlier`` are the float outputs of the roles before it, named ``<role>/<output>``. A step's states
        are those that real sequences lead to: ranges of zero or random states would quantize it to guesswork
        (accuracy 0.15 to 0.24 of 0.98).
        """
        driven = self.driven(examples, earlier)
        yield from (dict(inputs) for example in driven for inputs, _outputs in example)

    def driven(self, examples: Examples, earlier: Arrays) -> Iterator[Iterator[tuple[Arrays, Arrays]]]:
        """Yield for each example the inputs and outputs of every inference that it takes, in order."""
        concrete, stacked = self.concrete(), driving.with_chained(self.feed(examples), self.chained, earlier)
        if not self.state:  # as a sequence of one step
            stacked = {name: np.asarray(value)[:, None] for name, value in stacked.items()}
        for index in range(len(next(iter(stacked.values())))):
            yield self._steps(concrete, {name: value[index] for name, value in stacked.items()})

    def concrete(self) -> Any:
        """Return ``function`` as a concrete TensorFlow function with named, static inputs."""
        specs = {name: tf.TensorSpec(shape, tf.float32, name=name) for name, shape in self.inputs.items()}
        return tf.function(self.function).get_concrete_function(**specs)

    def _steps(self, concrete: Any, sequence: Arrays) -> Iterator[tuple[Arrays, Arrays]]:
        """Yield inputs and outputs of each step over ``sequence``, (steps, *shape) by input."""
        state = {name: np.zeros(self.inputs[name], np.float32) for name in self.state.values()}
        for step in range(len(next(iter(sequence.values())))):
            fed = {name: np.reshape(value[step], self.inputs[name]) for name, value in sequence.items()}
            inputs = {**fed, **state}
            found = concrete(**{name: tf.constant(value, tf.float32) for name, value in inputs.items()})
            outputs = {name: value.numpy() for name, value in found.items()}
            state = {name: outputs[output] for output, name in self.state.items()}
            yield inputs, outputs


@dataclass(frozen=True)
class Architecture:
    """A Keras model to fit, and what of it goes to a device, by role.

    ``predicts`` is the role that a classifying task asks. ``parts`` names the attributes of ``train`` that
    hold functional models, where it is none itself: what prunes a model can only take those. ``prepare``
    turns a dataset's examples into those that ``train`` is fitted on, where the two differ.
    """

    train: Any
    exports: Mapping[str, Export]
    recipe: Recipe = field(default_factory=Recipe)
    predicts: str = "model"
    parts: tuple[str, ...] = ()
    prepare: Callable[[Examples], Examples] = lambda examples: examples


Builder = Callable[[Spec], Architecture]


@dataclass(frozen=True)
class Purpose:
    """What a variant is for, and the embedded dataset it is trained on when none is named.

    ``whole_graph``: its export takes every node at once, so a device's ``max_nodes`` bounds the dataset.
    """

    task: str = "classify"
    dataset: str = "digits"
    whole_graph: bool = False


@dataclass(frozen=True)
class Variant:
    """One architecture by name; ``latent`` is the size of its latent space, if it has one."""

    name: str
    family: str
    builder: Builder
    purpose: Purpose
    latent: int | None = None
    rewrites: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What it is, in a line: the first one of its builder's docstring, which says what it builds."""
        sentence = (inspect.getdoc(self.builder) or self.name).splitlines()[0].removeprefix("Build ")
        return sentence[:1].upper() + sentence[1:].rstrip(".:")


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
    """Return the variant called ``name``; a family's plain name is its default, and it may have aliases.

    Raises:
        RequestError: there is none; the message lists what there is.
    """
    known = {other: (variant, family) for family in families() for other, variant in _names(family).items()}
    if name not in known:
        raise unknown("model", name, known)
    variant, family = known[name]
    module = _family(family)
    purpose = getattr(module, "PURPOSES", {}).get(variant, Purpose())
    rewritten = getattr(module, "REWRITES", {}).get(variant, ())
    latent = getattr(module, "LATENT", None)
    return Variant(variant, family, module.VARIANTS[variant], purpose, latent, rewritten)


def _names(family: str) -> dict[str, str]:
    """Return every name that means a variant of ``family`` → that variant."""
    return {**aliases(family), **{name: name for name in _family(family).VARIANTS}}


def aliases(family: str) -> dict[str, str]:
    """Return the other names of ``family``'s variants → variant: its own plain name is its default's."""
    variants = list(_family(family).VARIANTS)
    names = {family: variants[0], **getattr(_family(family), "ALIASES", {})}
    return {name: variant for name, variant in names.items() if name != variant}


@functools.cache
def rewrites() -> dict[str, Rewrite]:
    """Return every rewrite there is, by name."""
    text = resources.files("edgearch.models").joinpath("rewrites.toml").read_text(encoding="utf-8")
    return {name: Rewrite(name, **found) for name, found in tomllib.loads(text).items()}


@functools.cache
def _family(name: str) -> ModuleType:
    module = f"edgearch.models.{name}"
    try:
        family = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a file of the user's own may do anything
        raise _no_family(module, f"one that imports, found {type(error).__name__}: {error}") from error
    _refuse_wrong_tables(family)
    return family


def _refuse_wrong_tables(family: ModuleType) -> None:
    """Raise a RequestError if what stands in a family's file is not what this package looks up in it."""
    variants = getattr(family, "VARIANTS", None)
    if not variants:
        raise _no_family(family.__name__, "VARIANTS with at least one variant, found none")
    kinds: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "VARIANTS": ("a variant's name to its builder", callable),
        "PURPOSES": ("a variant's name to its Purpose", lambda value: isinstance(value, Purpose)),
        "ALIASES": ("another name to a variant's", lambda value: value in list(variants)),
        "REWRITES": ("a variant's name to a tuple of rewrites", lambda value: isinstance(value, tuple)),
    }
    for table, (meant, fits) in kinds.items():
        found = getattr(family, table, {})
        if not (isinstance(found, dict) and all(map(_is_name, found)) and all(map(fits, found.values()))):
            raise _no_family(family.__name__, f"{table}, a dict from {meant}, found {found!r}")


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and NAME.fullmatch(key) is not None


def _no_family(module: str, expected: str) -> RequestError:
    spec = importlib.util.find_spec(module)
    file = spec.origin if spec else module
    return RequestError(f"{file}: expected a family of models: {expected}. Mend the file, or take it away.")


def logits_export(model: Any, spec: Spec) -> dict[str, Export]:
    """Return the one export of a classifier: ``model``, from the dataset's inputs to ``logits``."""

    def function(**inputs: Any) -> dict[str, Any]:
        return {"logits": model(inputs, training=False)}

    shapes = {name: (1, *shape) for name, shape in spec.inputs.items()}
    return {"model": Export(function, shapes, lambda examples: examples.inputs)}
