"""From a Keras model to TFLite files.

Each export becomes a concrete function with named, static, batch-1 inputs, never ``from_keras_model``: so
every family converts, an LSTM stays fused, and no dynamic-shape operator is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgearch import models
from edgearch.framework import make_repeatable, tf
from edgearch.models import Architecture, Export
from edgearch.stages import _fitting, _rewriting
from edgearch.tflite import kernels
from edgearch.tflite import model as tflite
from edgearch.work import Spec, Work, save_arrays

REWRITE_EXAMPLES = 100  # on which a model with a rewrite is compared with one without


@dataclass(frozen=True)
class Source:
    """Which trained model: all that it takes to build it again."""

    variant: str
    spec: Spec
    weights: Path
    seed: int


def source_of(work: Work) -> Source:
    """Return the trained model that ``work`` has come to."""
    request = work.request
    return Source(request.variant, _fitting.spec_of(work), work.files["weights"], request.seed)


@dataclass(frozen=True)
class Converted:
    """``predicts``: the role that a classifying task asks. ``activations``: by role, how often each stands
    in the TensorFlow graph. ``rewrites``: each with the largest difference that it makes.
    """

    predicts: str
    activations: dict[str, dict[str, int]]
    rewrites: list[dict[str, Any]]


def to_float32(source: Source, test: Path, folder: Path) -> Converted:
    """Write ``<role>.float32.tflite`` for each role, its test inputs, and what Keras makes of them."""
    architecture = _build(source)
    examples = _fitting.load_examples(test)
    activations, expected = {}, {}
    for role, export in architecture.exports.items():
        concrete = _concrete(export)
        inputs = {name: np.asarray(value) for name, value in export.feed(examples).items()}
        save_arrays(folder / f"{role}.inputs.npz", inputs)
        expected[role] = _run(concrete, export, inputs)
        save_arrays(folder / f"{role}.expected.npz", expected[role])
        content = _converter(concrete, architecture).convert()
        (folder / f"{role}.float32.tflite").write_bytes(content)
        activations[role] = _activations(concrete)

    def compute(_role: str, export: Export) -> dict[str, np.ndarray]:
        few = export.feed(examples.first(REWRITE_EXAMPLES))
        return _run(_concrete(export), export, {name: np.asarray(value) for name, value in few.items()})

    rewrites = _rewriting.differences(
        models.find(source.variant).builder, source.spec, architecture.train, expected, compute
    )
    return Converted(architecture.predicts, activations, rewrites)


def quantize(
    source: Source, calibration: Path, precisions: Sequence[str], folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Write ``<role>.<precision>.tflite`` for each role and precision.

    Returns:
        Precision → the operators that have no kernel in it, each with a reason and a remedy.
    """
    architecture = _build(source)
    examples = _fitting.load_examples(calibration)
    refused: dict[str, list[dict[str, Any]]] = {}
    for role, export in architecture.exports.items():
        concrete = _concrete(export)
        for precision in precisions:
            converter = _converter(concrete, architecture)
            _PRECISIONS[precision](converter, export, examples)
            path = folder / f"{role}.{precision}.tflite"
            lacking = _convert(converter, path, precision)
            if lacking:
                refused.setdefault(precision, []).extend(lacking)
    return refused


def _convert(converter: Any, path: Path, precision: str) -> list[dict[str, Any]]:
    """Write the file, and return the operators that the precision has no kernel for."""
    try:
        path.write_bytes(converter.convert())
    except RuntimeError as error:
        lacking = kernels.lacking_by_message(str(error), precision)
        if not lacking:
            raise
        return lacking
    return kernels.lacking(tflite.read(path), precision)


def _build(source: Source) -> Architecture:
    make_repeatable(source.seed)
    architecture = models.find(source.variant).builder(source.spec)
    architecture.train.load_weights(str(source.weights))
    return architecture


def _concrete(export: Export) -> Any:
    specs = {name: tf.TensorSpec(shape, tf.float32, name=name) for name, shape in export.inputs.items()}
    return tf.function(export.function).get_concrete_function(**specs)


def _converter(concrete: Any, architecture: Architecture) -> Any:
    holder = tf.Module()  # a model as the converter's trackable may break its next trace
    holder.variables_ = list(architecture.train.variables)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)


def _run(concrete: Any, export: Export, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the TensorFlow function makes of each example, stacked."""
    found: dict[str, list[np.ndarray]] = {}
    for index in range(len(next(iter(inputs.values())))):
        one = {name: tf.constant(inputs[name][index].reshape(shape)) for name, shape in export.inputs.items()}
        for name, value in concrete(**one).items():
            found.setdefault(name, []).append(value.numpy())
    return {name: np.concatenate(values) for name, values in found.items()}


def _activations(concrete: Any) -> dict[str, int]:
    kinds = {"Relu": "RELU", "Relu6": "RELU6", "Tanh": "TANH", "Sigmoid": "LOGISTIC", "Maximum": "MAXIMUM"}
    graphs = [concrete.graph.as_graph_def()]
    nodes = [node.op for graph in graphs for node in graph.node]
    nodes += [node.op for graph in graphs for body in graph.library.function for node in body.node_def]
    return dict(Counter(kinds[node] for node in nodes if node in kinds))


def _float16(converter: Any, _export: Export, _examples: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any, _export: Export, _examples: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(converter: Any, export: Export, examples: Any) -> None:
    """Integers throughout, input and output too, so that no float is left for a device without one."""

    def representative() -> Iterator[dict[str, np.ndarray]]:
        yield from export.calibration(examples)

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8


def _int16x8(converter: Any, export: Export, examples: Any) -> None:
    """Keep int8 weights with int16 activations, input and output too."""
    _int8(converter, export, examples)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    converter.inference_input_type = converter.inference_output_type = tf.int16


_PRECISIONS = {"float16": _float16, "dynamic": _dynamic, "int8": _int8, "int16x8": _int16x8}
