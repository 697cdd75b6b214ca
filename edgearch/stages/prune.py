"""Set the smallest weights to zero and fine-tune the rest: magnitude pruning.

Source: M. Zhu, S. Gupta, "To prune, or not to prune", arXiv:1710.01878, as tfmot implements it.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field

from edgearch import tasks
from edgearch.framework import keras, make_repeatable, tfmot
from edgearch.models import Architecture
from edgearch.profiles import Strict
from edgearch.stages import _fitting
from edgearch.work import Work

DEPENDS = ("variant", "dataset", "task", "data_folder", "seed", "rewrites")
PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy")
NEEDS_TENSORFLOW = True
FREQUENCY = 10  # training steps between two prunings


class Settings(Strict):
    """``sparsity`` is the share of zeros in each pruned kernel when fine-tuning ends."""

    sparsity: float = Field(default=0.5, gt=0, lt=1)
    epochs: int = Field(default=12, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)


def run(work: Work, settings: Settings) -> Work:
    """Prune from zero to ``sparsity`` over the first half of the epochs, then fine-tune at it."""
    make_repeatable(work.request.seed)
    dataset, task = _fitting.load_dataset(work), tasks.task(work.request.task)
    architecture = _fitting.build(work, _fitting.spec_of(work))
    architecture.train.load_weights(str(work.files["weights"]))
    steps = settings.epochs * -(-len(dataset.train) // settings.batch_size)
    api = tfmot.sparsity.keras
    # Masks change at multiples of the frequency only: the end must be one, or the last step is missed.
    end = max(steps // 2 // FREQUENCY, 1) * FREQUENCY
    schedule = api.PolynomialDecay(0.0, settings.sparsity, begin_step=0, end_step=end, frequency=FREQUENCY)
    pruned, pairs, left_out = _twin(architecture, schedule)
    recipe = architecture.recipe
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    pruned.compile(keras.optimizers.Adam(rate, beta_1=recipe.beta_1), **task.compile_options())
    x, y = task.targets(architecture.prepare(dataset.train))
    batches = _fitting.batches(x, y, settings.batch_size, work.request.seed, crop=recipe.crop)
    pruned.fit(
        batches,
        epochs=settings.epochs,
        validation_data=task.targets(architecture.prepare(dataset.validation)) if recipe.monitor else None,
        callbacks=[
            api.UpdatePruningStep(),
            _fitting.progress_callback(work.progress, settings.epochs),
        ],
        verbose=0,
    )
    for original, wrapped in pairs:
        stripped = api.strip_pruning(wrapped)
        for layer in original.layers:
            layer.set_weights(stripped.get_layer(layer.name).get_weights())
    for name, (original, _) in zip(architecture.parts, pairs, strict=False):
        setattr(architecture.train, name, original)
    return work.plus(
        files={"weights": _fitting.save_weights(architecture.train, work.folder)},
        pruning={"sparsity": settings.sparsity, "left_out": left_out},
        notes=[*work.facts.get("notes", []), *_said(left_out)],
    )


def _twin(
    architecture: Architecture, schedule: Any
) -> tuple[Any, list[tuple[Any, Any]], list[dict[str, Any]]]:
    """Return the model to fine-tune, each functional model of it with its pruning twin, and what is left out.

    The twins take the place of the parts that ``architecture`` names, so its own train step prunes them.
    """
    train = architecture.train
    originals = [getattr(train, name) for name in architecture.parts] or [train]
    twins, left_out = zip(*(_wrapped(original, schedule) for original in originals), strict=True)
    for name, twin in zip(architecture.parts, twins, strict=False):
        setattr(train, name, twin)
    pairs = list(zip(originals, twins, strict=True))
    return (train if architecture.parts else twins[0]), pairs, [one for part in left_out for one in part]


def _wrapped(model: Any, schedule: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Return ``model`` with every prunable layer wrapped, and the layers with kernels that are not.

    The others stay the very layers they are: a custom one need not say how to clone it.
    """
    left_out: list[dict[str, Any]] = []
    twins: list[tuple[Any, Any]] = []

    def wrapped(layer: Any) -> Any:
        if isinstance(layer, _prunable()):
            own = type(layer).from_config(layer.get_config())  # the masks must not cling to the original
            twin = tfmot.sparsity.keras.prune_low_magnitude(own, pruning_schedule=schedule)
            twins.append((layer, own))
            return twin
        parameters = sum(
            math.prod(weight.shape)
            for weight in layer.trainable_weights
            if len(weight.shape) > 1 and "bias" not in weight.name  # a head's bias has two dimensions too
        )
        if parameters:
            left_out.append({"layer": layer.name, "kind": type(layer).__name__, "parameters": parameters})
        return layer

    pruned = keras.models.clone_model(model, clone_function=wrapped)
    for original, twin in twins:
        for weight, value in zip(twin.weights, original.weights, strict=False):  # its mask comes after them
            weight.assign(value)
    return pruned, left_out


def _prunable() -> tuple[type, ...]:
    """Return the layers, with their subclasses, whose kernels tfmot prunes.

    It refuses layers that it does not know, and of a depthwise convolution it prunes nothing.
    """
    layers = keras.layers
    told = tfmot.sparsity.keras.PrunableLayer  # a layer of ours that names its own kernels
    return (layers.Dense, layers.Conv1D, layers.Conv2D, layers.LSTM, layers.GRU, layers.SimpleRNN, told)


def _said(left_out: list[dict[str, Any]]) -> list[str]:
    named = [f"{one['layer']} ({one['kind']}, {one['parameters']:,} parameters)" for one in left_out]
    return [f"Left out of pruning: {', '.join(named)}."] if named else []
