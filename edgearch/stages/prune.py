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
from edgearch.records import Strict
from edgearch.stages import _fitting
from edgearch.work import Work

AFTER = ("train",)
DEPENDS = ("variant", "dataset", "task", "data_folder", "seed", "rewrites")
PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy")
NEEDS_TENSORFLOW = True
FREQUENCY = 10  # training steps between two prunings
MIN_STEPS = 100  # a dataset that is one graph has a step an epoch, and a dozen steps mend nothing


class Settings(Strict):
    """``sparsity`` is the share of zeros in each pruned kernel when fine-tuning ends.

    Without a ``learning_rate`` it is the recipe's, decayed to zero.
    """

    sparsity: float = Field(default=0.5, gt=0, lt=1)
    epochs: int = Field(default=12, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)


def run(work: Work, settings: Settings) -> Work:
    """Prune from zero to ``sparsity`` over the first half of the epochs, then fine-tune at it."""
    make_repeatable(work.request.seed)
    dataset, task = _fitting.load_dataset(work), tasks.task(work.request.task)
    architecture, scrap = _trained(work), _trained(work)
    steps_an_epoch = -(-len(dataset.train) // settings.batch_size)
    epochs = max(settings.epochs, -(-MIN_STEPS // steps_an_epoch))
    steps = epochs * steps_an_epoch
    pruned, twins, left_out = _wrapped(scrap, _schedule(settings.sparsity, steps))
    recipe = architecture.recipe
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate or recipe.learning_rate, steps)
    pruned.compile(keras.optimizers.Adam(rate, beta_1=recipe.beta_1), **task.compile_options())
    x, y = task.targets(architecture.prepare(dataset.train))
    batches = _fitting.batches(x, y, settings.batch_size, work.request.seed, crop=recipe.crop)
    pruned.fit(
        batches,
        epochs=epochs,
        validation_data=task.targets(architecture.prepare(dataset.validation)) if recipe.monitor else None,
        callbacks=[
            tfmot.sparsity.keras.UpdatePruningStep(),
            _fitting.progress_callback(work.progress, epochs),
        ],
        verbose=0,
    )
    for part, twin in zip(_functional(architecture), twins, strict=True):
        _copy_weights(tfmot.sparsity.keras.strip_pruning(twin), part)
    return work.plus(
        files={"weights": _fitting.save_weights(architecture.train, work.folder)},
        pruning={"sparsity": settings.sparsity, "left_out": left_out},
        notes=[*work.facts.get("notes", []), *_said(left_out)],
    )


def _trained(work: Work) -> Architecture:
    architecture = _fitting.build(work, _fitting.spec_of(work))
    architecture.train.load_weights(str(work.files["weights"]))
    return architecture


def _schedule(sparsity: float, steps: int) -> Any:
    """Return how sparsity grows over the first half of ``steps``.

    Masks change at multiples of the frequency only: the end must be one, or the last step is missed.
    """
    end = steps // 2 // FREQUENCY * FREQUENCY
    return tfmot.sparsity.keras.PolynomialDecay(
        0.0, sparsity, begin_step=0, end_step=end, frequency=FREQUENCY
    )


def _functional(architecture: Architecture) -> list[Any]:
    """Return the functional models to prune: parts of the one that is fitted, or that one."""
    return [getattr(architecture.train, name) for name in architecture.parts] or [architecture.train]


def _wrapped(scrap: Architecture, schedule: Any) -> tuple[Any, list[Any], list[dict[str, Any]]]:
    """Return the model to fine-tune, the pruning twin of each functional model, and the layers left out.

    Twins take the place of parts, so that the model's own train step prunes them. They also share the layers
    that are not wrapped: afterwards ``scrap`` is no model to save.
    """
    left_out: list[dict[str, Any]] = []

    def wrapped(layer: Any) -> Any:
        if isinstance(layer, _prunable()):
            return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)
        parameters = sum(
            math.prod(weight.shape)
            for weight in layer.trainable_weights
            if len(weight.shape) > 1 and "bias" not in weight.name  # a head's bias has two dimensions too
        )
        if parameters:
            left_out.append({"layer": layer.name, "kind": type(layer).__name__, "parameters": parameters})
        return layer

    twins = [keras.models.clone_model(part, clone_function=wrapped) for part in _functional(scrap)]
    for name, twin in zip(scrap.parts, twins, strict=False):
        setattr(scrap.train, name, twin)
    return (scrap.train if scrap.parts else twins[0]), twins, left_out


def _prunable() -> tuple[type, ...]:
    """Return the layers, with their subclasses, whose kernels tfmot prunes.

    It refuses layers that it does not know, and of a depthwise convolution it prunes nothing.
    """
    layers = keras.layers
    told = tfmot.sparsity.keras.PrunableLayer  # a layer of ours that names its own kernels
    return (layers.Dense, layers.Conv1D, layers.Conv2D, layers.LSTM, layers.GRU, layers.SimpleRNN, told)


def _copy_weights(source: Any, target: Any) -> None:
    for layer in target.layers:
        layer.set_weights(source.get_layer(layer.name).get_weights())


def _said(left_out: list[dict[str, Any]]) -> list[str]:
    named = [f"{one['layer']} ({one['kind']}, {one['parameters']:,} parameters)" for one in left_out]
    return [f"Left out of pruning: {', '.join(named)}."] if named else []
