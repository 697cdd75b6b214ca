"""Fit the model, keep the epoch that its recipe says is the best: most have a lowest validation loss."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from pydantic import Field

from edgearch import models, tasks
from edgearch.data import Dataset
from edgearch.errors import RequestError
from edgearch.framework import keras, make_repeatable, trained_on
from edgearch.models import Architecture, Recipe
from edgearch.records import Strict
from edgearch.stages import _fitting
from edgearch.work import Work, save_arrays

DEPENDS = ("variant", "dataset", "task", "data_folder", "seed", "rewrites")
PACKAGES = ("tensorflow", "tf-keras", "numpy", "scikit-learn")
NEEDS_TENSORFLOW = True


class Settings(Strict):
    """``None`` takes the variant's own recipe; 0 epochs leaves the weights as they were drawn.

    ``latent`` is the size of the latent space of a family that has one.
    """

    epochs: int | None = Field(default=None, ge=0)
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    latent: int | None = Field(default=None, ge=1, le=64)
    test_examples: int = Field(default=1000, ge=1)


def run(work: Work, settings: Settings) -> Work:
    """Train the variant on the dataset and save weights, and the examples that later stages need."""
    _refuse_latent(work, settings)
    make_repeatable(work.request.seed)
    work.progress(None, "loading data")
    dataset = _fitting.load_dataset(work)
    spec = replace(_fitting.spec_for(work, dataset), latent=settings.latent)
    architecture = _fitting.build(work, spec)
    test, validation = (split.first(settings.test_examples) for split in (dataset.test, dataset.validation))
    history = fit(work, settings, architecture, dataset)
    weights = _fitting.save_weights(architecture.train, work.folder)
    return work.plus(
        files={
            "weights": weights,
            "trained": weights,
            "test": _fitting.save_examples(work.folder / "test.npz", test),
            "validation": _fitting.save_examples(work.folder / "validation.npz", validation),
            "prepared": save_arrays(work.folder / "prepared.npz", tasks.prepare(work.request.task, dataset)),
            "calibration": _fitting.save_examples(work.folder / "calibration.npz", dataset.calibration),
        },
        spec=asdict(spec),
        labels=list(dataset.label_names),
        history=history,
        trained_on=trained_on(),
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
    rate = settings.learning_rate or recipe.learning_rate
    if recipe.decay:
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, beta_1=recipe.beta_1)
    architecture.train.compile(optimizer, **task.compile_options())
    x, y = task.targets(architecture.prepare(dataset.train))
    batches = _fitting.batches(x, y, batch_size, work.request.seed, crop=recipe.crop)
    work.progress(0.0, f"{len(dataset.train)} examples, up to {epochs} epochs")
    history = architecture.train.fit(
        batches,
        epochs=epochs,
        validation_data=task.targets(architecture.prepare(dataset.validation)) if recipe.monitor else None,
        callbacks=[
            *_stopping(recipe),
            keras.callbacks.TerminateOnNaN(),
            _fitting.progress_callback(work.progress, epochs),
        ],
        verbose=0,
    ).history
    _refuse_divergence(work, history)
    return {name: [float(value) for value in values] for name, values in history.items()}


def _refuse_latent(work: Work, settings: Settings) -> None:
    if settings.latent is not None and models.find(work.request.variant).latent is None:
        fitting = [name for name, variants in models.families().items() if models.find(variants[0]).latent]
        raise RequestError(
            f"{work.request.variant} has no latent space, so train.latent={settings.latent} says nothing. "
            f"Leave it out, or choose a family that has one: {', '.join(fitting)}."
        )


def _stopping(recipe: Recipe) -> list[Any]:
    if recipe.monitor is None:
        return []
    stop = keras.callbacks.EarlyStopping
    return [stop(recipe.monitor, patience=recipe.patience, restore_best_weights=True, mode="min")]


def _refuse_divergence(work: Work, history: dict[str, list[Any]]) -> None:
    loss = history["loss"][-1]
    if not abs(loss) < float("inf"):
        raise RequestError(
            f"Training {work.request.variant} diverged: the loss became {loss} "
            f"in epoch {len(history['loss'])}. "
            "Lower learning_rate in the pipeline's train stage."
        )
