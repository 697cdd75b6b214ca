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
from edgearch.stages import _fitting
from edgearch.work import Spec, Work, load_arrays, save_arrays


@dataclass(frozen=True)
class Source:
    """Which model: all that it takes to build it again.

    ``weights`` are those to convert; ``trained`` those before any pruning, the float that is compared with.
    """

    variant: str
    spec: Spec
    weights: Path
    trained: Path
    seed: int


def source_of(work: Work) -> Source:
    """Return the trained model that ``work`` has come to."""
    request = work.request
    spec = _fitting.spec_of(work)
    return Source(request.variant, spec, work.files["weights"], work.files["trained"], request.seed)


def to_float32(source: Source, test: Path, folder: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Write ``<role>.float32.tflite`` for each role, its test inputs, and what Keras makes of them.

    ``<role>.expected.npz`` are outputs of the weights that are converted, ``<role>.float.npz`` of those
    before any pruning.

    Returns:
        The role that a classifying task asks, and role → ``activations`` (how often each stands in the
        TensorFlow graph).
    """
    architecture = _build(source)
    examples = _fitting.load_examples(test)
    facts = {}
    for role, export in architecture.exports.items():
        concrete = _concrete(export)
        inputs = {name: np.asarray(value) for name, value in export.feed(examples).items()}
        save_arrays(folder / f"{role}.inputs.npz", inputs)
        save_arrays(folder / f"{role}.expected.npz", _run(concrete, export, inputs))
        content = _converter(concrete, architecture).convert()
        (folder / f"{role}.float32.tflite").write_bytes(content)
        facts[role] = {"activations": _activations(concrete)}
    _save_float(source, architecture, folder)
    return architecture.predicts, facts


def _save_float(source: Source, architecture: Architecture, folder: Path) -> None:
    """Write ``<role>.float.npz``: what Keras makes of the test inputs with the weights as trained."""
    unpruned = source.trained == source.weights
    if not unpruned:
        architecture.train.load_weights(str(source.trained))
    for role, export in architecture.exports.items():
        inputs, expected = (load_arrays(folder / f"{role}.{kind}.npz") for kind in ("inputs", "expected"))
        outputs = expected if unpruned else _run(_concrete(export), export, inputs)
        save_arrays(folder / f"{role}.float.npz", outputs)


def quantize(source: Source, calibration: Path, precisions: Sequence[str], folder: Path) -> list[str]:
    """Write ``<role>.<precision>.tflite`` for each role and precision; return the roles."""
    architecture = _build(source)
    examples = _fitting.load_examples(calibration)
    for role, export in architecture.exports.items():
        concrete = _concrete(export)
        for precision in precisions:
            converter = _converter(concrete, architecture)
            _PRECISIONS[precision](converter, export, examples)
            (folder / f"{role}.{precision}.tflite").write_bytes(converter.convert())
    return list(architecture.exports)


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


_PRECISIONS = {"float16": _float16, "dynamic": _dynamic, "int8": _int8}
