"""What train and prune share: data, a built architecture, a progress bar, saved weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgearch import data, models
from edgearch.data import Dataset, Examples
from edgearch.errors import RequestError
from edgearch.framework import keras, tf
from edgearch.models import Architecture
from edgearch.work import Progress, Spec, Work, load_arrays, save_arrays

LABELS, MASK = "labels", "mask"


def spec_for(work: Work, dataset: Dataset) -> Spec:
    """Return what the builder of the request needs to know."""
    return replace(dataset.spec, rewrites=work.request.rewrites)


def load_dataset(work: Work) -> Dataset:
    """Read the dataset of the request.

    Raises:
        RequestError: a value is not finite, or not all splits have the same shape.
    """
    dataset = data.source(work.request.dataset).load(work.request.data_folder)
    for split in ("train", "validation", "calibration", "test"):
        _check(f"Dataset {work.request.dataset!r}, {split} split", getattr(dataset, split), dataset.spec)
    return dataset


def _check(where: str, examples: Examples, spec: Spec) -> None:
    for name, shape in spec.inputs.items():
        value = examples.inputs[name]
        if tuple(value.shape[1:]) != shape:
            raise RequestError(
                f"{where}: input {name!r}: the model's exports have the fixed shape {shape}, found "
                f"{tuple(value.shape[1:])}. Cut what is longer, and pad what is shorter."
            )
        wrong = np.flatnonzero(~np.isfinite(value.reshape(len(value), -1)).all(axis=1))
        if len(wrong):
            raise RequestError(
                f"{where}: input {name!r}: expected finite numbers, found NaN or infinity in "
                f"{len(wrong)} of {len(value)} examples, the first at {wrong[0]}. Repair or leave them out."
            )


def build(work: Work, spec: Spec) -> Architecture:
    """Build the architecture of the request with fresh weights."""
    return models.find(work.request.variant).builder(spec)


def spec_of(work: Work) -> Spec:
    """Return the dataset's spec as ``train`` noted it down."""
    noted = work.facts["spec"]
    shapes = {name: tuple(shape) for name, shape in noted["inputs"].items()}
    return Spec(shapes, noted["classes"], work.request.rewrites, noted["latent"])


def save_weights(model: Any, folder: Path) -> Path:
    """Write all weights of ``model`` (HDF5, no code in it) and return the path."""
    path = folder / "model.weights.h5"
    model.save_weights(str(path))
    return path


def save_examples(path: Path, examples: Examples) -> Path:
    """Write examples so that later stages need neither the dataset nor its loader."""
    mask = {} if examples.mask is None else {MASK: examples.mask}
    return save_arrays(path, {**examples.inputs, LABELS: examples.labels, **mask})


def load_examples(path: Path) -> Examples:
    """Read what :func:`save_examples` wrote."""
    arrays = load_arrays(path)
    labels, mask = arrays.pop(LABELS), arrays.pop(MASK, None)
    return Examples(arrays, labels, mask)


def batches(x: Any, y: Any, batch_size: int, seed: int, crop: bool) -> Any:
    """Return shuffled batches as a ``tf.data.Dataset``, the same ones for the same seed."""
    examples = tf.data.Dataset.from_tensor_slices((x, y))
    examples = examples.shuffle(len(examples), seed=seed, reshuffle_each_iteration=True)
    if crop:
        seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
        examples = tf.data.Dataset.zip((examples, seeds)).map(_crop)
    return examples.batch(batch_size).prefetch(2)


def _crop(example: Any, seed: Any) -> Any:
    """Pad every image, (height, width, channels), by an eighth and crop it at random."""
    x, y = example
    return {name: _shifted(value, seed) if len(value.shape) == 3 else value for name, value in x.items()}, y


def _shifted(image: Any, seed: Any) -> Any:
    margin = max(image.shape[0] // 8, 1)
    padded = tf.pad(image, [[margin, margin], [margin, margin], [0, 0]])
    return tf.image.stateless_random_crop(padded, image.shape, seed)


def progress_callback(progress: Progress, epochs: int) -> Any:
    """Return a Keras callback that tells ``progress`` the epoch and its losses."""

    class Bar(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            shown = {name: value for name, value in (logs or {}).items() if name != "lr"}
            values = " ".join(f"{name} {value:.3f}" for name, value in shown.items())
            progress((epoch + 1) / epochs, f"epoch {epoch + 1}/{epochs} {values}")

    return Bar()
