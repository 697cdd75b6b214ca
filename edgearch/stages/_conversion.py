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
from edgearch.data import Examples
from edgearch.framework import make_repeatable, tf
from edgearch.models import Architecture, Export
from edgearch.stages import _fitting
from edgearch.tflite import tying
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
        TensorFlow graph), ``state`` (output → input of the next step) and ``instead`` (a role or nothing).
    """
    architecture = _build(source)
    examples = _fitting.load_examples(test)
    facts = {}
    for role, export in architecture.exports.items():
        concrete = export.concrete()
        inputs = {name: np.asarray(value) for name, value in export.feed(examples).items()}
        save_arrays(folder / f"{role}.inputs.npz", inputs)
        save_arrays(folder / f"{role}.expected.npz", _expected(export, examples))
        content = _converter(concrete, architecture).convert()
        (folder / f"{role}.float32.tflite").write_bytes(content)
        facts[role] = {
            "activations": _activations(concrete),
            "state": dict(export.state),
            "instead": export.instead,
        }
    _save_float(source, architecture, examples, folder)
    return architecture.predicts, facts


def _save_float(source: Source, architecture: Architecture, examples: Examples, folder: Path) -> None:
    """Write ``<role>.float.npz``: what Keras makes of the test inputs with the weights as trained."""
    unpruned = source.trained == source.weights
    if not unpruned:
        architecture.train.load_weights(str(source.trained))
    for role, export in architecture.exports.items():
        expected = folder / f"{role}.expected.npz"
        outputs = load_arrays(expected) if unpruned else _expected(export, examples)
        save_arrays(folder / f"{role}.float.npz", outputs)


def quantize(
    source: Source, calibration: Path, roles: Sequence[str], precisions: Sequence[str], folder: Path
) -> dict[tuple[str, str], str]:
    """Write ``<role>.<precision>.tflite`` for each role and precision.

    Returns:
        (role, precision) → the converter's reason to refuse it, of roles that another can stand in for.
    """
    architecture = _build(source)
    examples = _fitting.load_examples(calibration)
    refused = {}
    for role in roles:
        export = architecture.exports[role]
        concrete = export.concrete()
        for precision in precisions:
            converter = _converter(concrete, architecture)
            _PRECISIONS[precision](converter, export, examples)
            try:
                content = tying.tie(converter.convert(), export.state)
            except Exception as error:  # the converter raises whatever it likes
                if export.instead not in roles:
                    raise
                refused[role, precision] = str(error).strip().splitlines()[0]
            else:
                (folder / f"{role}.{precision}.tflite").write_bytes(content)
    return refused


def _build(source: Source) -> Architecture:
    make_repeatable(source.seed)
    architecture = models.find(source.variant).builder(source.spec)
    architecture.train.load_weights(str(source.weights))
    return architecture


def _converter(concrete: Any, architecture: Architecture) -> Any:
    holder = tf.Module()  # a model as the converter's trackable may break its next trace
    holder.variables_ = list(architecture.train.variables)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)


def _expected(export: Export, examples: Examples) -> dict[str, np.ndarray]:
    """Return what Keras makes of each example, stacked; of each of its steps too, as ``<output>/steps``.

    A step's answer is the one that the trained model gives for the whole sequence, where the export knows it.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for example in export.driven(examples):
        found = [outputs for _inputs, outputs in example]
        for name in found[-1].keys() - export.state.keys():
            rows.setdefault(name, []).append(found[-1][name])
            if export.state:
                rows.setdefault(f"{name}/steps", []).append(np.stack([one[name] for one in found], axis=1))
    whole = export.whole(examples) if export.whole else {}
    return {**{name: np.concatenate(values) for name, values in rows.items()}, **whole}


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
