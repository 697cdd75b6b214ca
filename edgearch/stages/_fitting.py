"""What train and prune share: data, a built architecture, a progress bar, saved weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgearch import data, models
from edgearch.data import Dataset, Examples
from edgearch.framework import keras, tf
from edgearch.models import Architecture
from edgearch.work import Progress, Spec, Work, load_arrays, save_arrays

LABELS = "labels"


def spec_for(work: Work, dataset: Dataset) -> Spec:
    """Return what the builder of the request needs to know."""
    return replace(dataset.spec, rewrites=work.request.rewrites)


def load_dataset(work: Work) -> Dataset:
    """Read the dataset of the request."""
    return data.source(work.request.dataset).load(work.request.data_folder)


def build(work: Work, spec: Spec) -> Architecture:
    """Build the architecture of the request with fresh weights."""
    return models.find(work.request.variant).builder(spec)


def spec_of(work: Work) -> Spec:
    """Return the dataset's spec as ``train`` noted it down."""
    noted = work.facts["spec"]
    shapes = {name: tuple(shape) for name, shape in noted["inputs"].items()}
    return Spec(shapes, noted["classes"], work.request.rewrites)


def save_weights(model: Any, folder: Path) -> Path:
    """Write all weights of ``model`` (HDF5, no code in it) and return the path."""
    path = folder / "model.weights.h5"
    model.save_weights(str(path))
    return path


def save_examples(path: Path, examples: Examples) -> Path:
    """Write examples so that later stages need neither the dataset nor its loader."""
    return save_arrays(path, {**examples.inputs, LABELS: examples.labels})


def load_examples(path: Path) -> Examples:
    """Read what :func:`save_examples` wrote."""
    arrays = load_arrays(path)
    labels = arrays.pop(LABELS)
    return Examples(arrays, labels)


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
