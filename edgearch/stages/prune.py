"""Set the smallest weights to zero and fine-tune the rest: magnitude pruning.

Source: M. Zhu, S. Gupta, "To prune, or not to prune", arXiv:1710.01878, as tfmot implements it.
"""

from __future__ import annotations

from pydantic import Field

from edgearch import tasks
from edgearch.framework import keras, make_repeatable, tfmot
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
    pruned = api.prune_low_magnitude(architecture.train, pruning_schedule=schedule)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    pruned.compile(keras.optimizers.Adam(rate), **task.compile_options())
    x, y = task.targets(dataset.train)
    batches = _fitting.batches(x, y, settings.batch_size, work.request.seed, crop=architecture.recipe.crop)
    pruned.fit(
        batches,
        epochs=settings.epochs,
        validation_data=task.targets(dataset.validation),
        callbacks=[
            api.UpdatePruningStep(),
            _fitting.progress_callback(work.progress, settings.epochs),
        ],
        verbose=0,
    )
    stripped = api.strip_pruning(pruned)
    for layer in architecture.train.layers:
        layer.set_weights(stripped.get_layer(layer.name).get_weights())
    return work.plus(
        files={"weights": _fitting.save_weights(architecture.train, work.folder)},
        pruning={"sparsity": settings.sparsity},
    )
