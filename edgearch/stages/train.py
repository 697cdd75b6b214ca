"""Fit the model, keep the epoch with the lowest validation loss."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from edgearch import tasks
from edgearch.data import Dataset
from edgearch.errors import RequestError
from edgearch.framework import keras, make_repeatable
from edgearch.models import Architecture
from edgearch.profiles import Strict
from edgearch.stages import _fitting
from edgearch.work import Work

DEPENDS = ("variant", "dataset", "task", "data_folder", "seed", "rewrites")
PACKAGES = ("tensorflow", "tf-keras", "numpy")
NEEDS_TENSORFLOW = True


class Settings(Strict):
    """``None`` takes the variant's own recipe; 0 epochs leaves the weights as they were drawn."""

    epochs: int | None = Field(default=None, ge=0)
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    test_examples: int = Field(default=1000, ge=1)


def run(work: Work, settings: Settings) -> Work:
    """Train the variant on the dataset and save weights, test and calibration examples."""
    make_repeatable(work.request.seed)
    work.progress(None, "loading data")
    dataset = _fitting.load_dataset(work)
    architecture = _fitting.build(work, _fitting.spec_for(work, dataset))
    history = fit(work, settings, architecture, dataset)
    spec = {"inputs": {name: list(shape) for name, shape in dataset.spec.inputs.items()}}
    return work.plus(
        files={
            "weights": _fitting.save_weights(architecture.train, work.folder),
            "test": _fitting.save_examples(
                work.folder / "test.npz", dataset.test.first(settings.test_examples)
            ),
            "calibration": _fitting.save_examples(work.folder / "calibration.npz", dataset.calibration),
        },
        spec={**spec, "classes": dataset.spec.classes},
        labels=list(dataset.label_names),
        history=history,
        notes=[*work.facts.get("notes", []), *dataset.notes],
    )


def fit(
    work: Work, settings: Settings, architecture: Architecture, dataset: Dataset
) -> dict[str, list[float]]:
    """Fit ``architecture.train`` in place and return Keras's history."""
    recipe, task = architecture.recipe, tasks.task(work.request.task)
    epochs = recipe.epochs if settings.epochs is None else settings.epochs
    if epochs == 0:
        return {}
    batch_size = settings.batch_size or recipe.batch_size
    steps = epochs * -(-len(dataset.train) // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate or recipe.learning_rate, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    architecture.train.compile(optimizer, **task.compile_options())
    stop = keras.callbacks.EarlyStopping("val_loss", patience=recipe.patience, restore_best_weights=True)
    x, y = task.targets(dataset.train)
    batches = _fitting.batches(x, y, batch_size, work.request.seed, crop=recipe.crop)
    work.progress(0.0, f"{len(dataset.train)} examples, up to {epochs} epochs")
    history = architecture.train.fit(
        batches,
        epochs=epochs,
        validation_data=task.targets(dataset.validation),
        callbacks=[stop, keras.callbacks.TerminateOnNaN(), _fitting.progress_callback(work.progress, epochs)],
        verbose=0,
    ).history
    _refuse_divergence(work, history)
    return {name: [float(value) for value in values] for name, values in history.items()}


def _refuse_divergence(work: Work, history: dict[str, list[Any]]) -> None:
    loss = history["loss"][-1]
    if not abs(loss) < float("inf"):
        raise RequestError(
            f"Training {work.request.variant} diverged: the loss became {loss} "
            f"in epoch {len(history['loss'])}. "
            "Lower learning_rate in the pipeline's train stage."
        )
