"""From a Keras model to TFLite files.

Each export becomes a concrete function with named, static, batch-1 inputs, never ``from_keras_model``: so
every family converts, an LSTM stays fused, and no dynamic-shape operator is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgearch import models
from edgearch.agent import bundle
from edgearch.framework import make_repeatable, tf
from edgearch.models import Architecture, Export
from edgearch.stages import _fitting
from edgearch.work import Arrays, Spec, Work, save_arrays

Calibration = Callable[[], Iterator[dict[str, np.ndarray]]]


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


def to_float32(source: Source, test: Path, folder: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Write ``<role>.float32.tflite`` for each role, its test inputs, and what Keras makes of them.

    Returns:
        The role that a classifying task asks, and role → ``activations`` (how often each stands in the
        TensorFlow graph) and ``chained`` (inputs that come from an earlier role).
    """
    architecture = _build(source)
    examples = _fitting.load_examples(test)
    facts, earlier = {}, dict[str, np.ndarray]()
    for role, export in architecture.exports.items():
        concrete = _concrete(export)
        inputs = {name: np.asarray(value) for name, value in export.feed(examples).items()}
        expected = _run(concrete, export, bundle.with_chained(inputs, export.chained, earlier))
        earlier.update(_named(role, expected))
        save_arrays(folder / f"{role}.inputs.npz", inputs)
        save_arrays(folder / f"{role}.expected.npz", expected)
        content = _converter(concrete, architecture).convert()
        (folder / f"{role}.float32.tflite").write_bytes(content)
        chained = {name: list(source) for name, source in export.chained.items()}
        facts[role] = {"activations": _activations(concrete), "chained": chained}
    return architecture.predicts, facts


def quantize(source: Source, calibration: Path, precisions: Sequence[str], folder: Path) -> list[str]:
    """Write ``<role>.<precision>.tflite`` for each role and precision; return the roles."""
    architecture = _build(source)
    examples = _fitting.load_examples(calibration)
    asked = {role for export in architecture.exports.values() for role, _ in export.chained.values()}
    earlier: dict[str, np.ndarray] = {}
    for role, export in architecture.exports.items():
        concrete = _concrete(export)
        for precision in precisions:
            converter = _converter(concrete, architecture)
            _PRECISIONS[precision](converter, partial(export.calibration, examples, earlier))
            (folder / f"{role}.{precision}.tflite").write_bytes(converter.convert())
        if role in asked:
            inputs = bundle.with_chained(export.feed(examples), export.chained, earlier)
            earlier.update(_named(role, _run(concrete, export, inputs)))
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


def _named(role: str, outputs: Arrays) -> dict[str, np.ndarray]:
    return {f"{role}/{name}": value for name, value in outputs.items()}


def _activations(concrete: Any) -> dict[str, int]:
    kinds = {"Relu": "RELU", "Relu6": "RELU6", "Tanh": "TANH", "Sigmoid": "LOGISTIC", "Maximum": "MAXIMUM"}
    graphs = [concrete.graph.as_graph_def()]
    nodes = [node.op for graph in graphs for node in graph.node]
    nodes += [node.op for graph in graphs for body in graph.library.function for node in body.node_def]
    return dict(Counter(kinds[node] for node in nodes if node in kinds))


def _float16(converter: Any, _representative: Calibration) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any, _representative: Calibration) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(converter: Any, representative: Calibration) -> None:
    """Integers throughout, input and output too, so that no float is left for a device without one."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8


_PRECISIONS = {"float16": _float16, "dynamic": _dynamic, "int8": _int8}
