"""From a Keras model to TFLite files.

Each export becomes a concrete function with named, static, batch-1 inputs, never ``from_keras_model``: so
every family converts, an LSTM stays fused, and no dynamic-shape operator is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgearch import models
from edgearch.data import Examples
from edgearch.framework import make_repeatable, tf
from edgearch.models import Architecture, Export
from edgearch.stages import _fitting, _rewriting
from edgearch.tflite import kernels, tying
from edgearch.tflite import model as tflite
from edgearch.work import Arrays, Spec, Work, load_arrays, save_arrays

Calibration = Callable[[], Iterator[dict[str, np.ndarray]]]

REWRITE_EXAMPLES = 100  # on which a model with a rewrite is compared with one without


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


@dataclass(frozen=True)
class Converted:
    """What conversion to float32 found.

    ``predicts`` is the role that a classifying task asks. ``roles``: role → ``activations`` (how often each
    stands in the TensorFlow graph), ``state`` (output → input of the next step), ``instead`` (a role or
    nothing) and ``chained`` (inputs that come from an earlier role). ``rewrites``: each with the largest
    difference that it makes.
    """

    predicts: str
    roles: dict[str, dict[str, Any]]
    rewrites: list[dict[str, Any]]


def to_float32(source: Source, test: Path, validation: Path, folder: Path) -> Converted:
    """Write ``<role>.float32.tflite`` for each role, its inputs of both splits, and what Keras makes of them.

    ``<role>.expected.npz`` are outputs of the weights that are converted, ``<role>.float.npz`` of those
    before any pruning.
    """
    architecture = _build(source)
    examples = _fitting.load_examples(test)
    roles, earlier, computed = {}, dict[str, np.ndarray](), {}
    for role, export in architecture.exports.items():
        concrete = export.concrete()
        expected = _expected(export, examples, earlier)
        earlier.update(_named(role, expected))
        save_arrays(folder / f"{role}.inputs.npz", export.feed(examples))
        save_arrays(folder / f"{role}.validation.npz", export.feed(_fitting.load_examples(validation)))
        computed[role] = expected
        save_arrays(folder / f"{role}.expected.npz", expected)
        content = _converter(concrete, architecture).convert()
        (folder / f"{role}.float32.tflite").write_bytes(content)
        roles[role] = {
            "activations": _activations(concrete),
            "state": dict(export.state),
            "instead": export.instead,
            "chained": {name: list(source) for name, source in export.chained.items()},
        }

    def compute(_role: str, export: Export) -> dict[str, np.ndarray]:
        return _expected(export, examples.first(REWRITE_EXAMPLES), {})

    rewrites = _rewriting.differences(
        models.find(source.variant).builder, source.spec, architecture.train, computed, compute
    )
    _save_float(source, architecture, examples, folder)
    return Converted(architecture.predicts, roles, rewrites)


def _save_float(source: Source, architecture: Architecture, examples: Examples, folder: Path) -> None:
    """Write ``<role>.float.npz``: what Keras makes of the test inputs with the weights as trained."""
    unpruned = source.trained == source.weights
    if not unpruned:
        architecture.train.load_weights(str(source.trained))
    earlier: dict[str, np.ndarray] = {}
    for role, export in architecture.exports.items():
        expected = load_arrays(folder / f"{role}.expected.npz")
        outputs = expected if unpruned else _expected(export, examples, earlier)
        earlier.update(_named(role, outputs))
        save_arrays(folder / f"{role}.float.npz", outputs)


@dataclass
class Refusals:
    """What the converter refused.

    ``roles``: (role, precision) → its reason, where another role can stand in. ``operators``: precision →
    the operators that have no kernel in it, each with a reason and a remedy.
    """

    roles: dict[tuple[str, str], str] = field(default_factory=dict)
    operators: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def quantize(
    source: Source, calibration: Path, roles: Sequence[str], precisions: Sequence[str], folder: Path
) -> Refusals:
    """Write ``<role>.<precision>.tflite`` for each role and precision; return those that cannot be."""
    architecture = _build(source)
    examples = _fitting.load_examples(calibration)
    asked = {role for export in architecture.exports.values() for role, _ in export.chained.values()}
    refusals, earlier = Refusals(), dict[str, np.ndarray]()
    for role in roles:
        export = architecture.exports[role]
        concrete = export.concrete()
        samples = list(export.calibration(examples, earlier))
        save_arrays(folder / f"{role}.calibration.npz", _stacked(samples))
        for precision in precisions:
            converter = _converter(concrete, architecture)
            _PRECISIONS[precision](converter, partial(iter, samples))
            path = folder / f"{role}.{precision}.tflite"
            try:
                path.write_bytes(tying.tie(converter.convert(), export.state))
                lacking = kernels.lacking(tflite.read(path), precision)
            except Exception as error:  # the converter raises whatever it likes
                lacking = kernels.lacking_by_message(str(error), precision)
                if export.instead in roles:
                    refusals.roles[role, precision] = str(error).strip().splitlines()[0]
                    continue
                if not lacking:
                    raise
            if lacking:
                refusals.operators.setdefault(precision, []).extend(lacking)
        if role in asked:
            earlier.update(_named(role, _expected(export, examples, earlier)))
    return refusals


def _build(source: Source) -> Architecture:
    make_repeatable(source.seed)
    architecture = models.find(source.variant).builder(source.spec)
    architecture.train.load_weights(str(source.weights))
    return architecture


def _converter(concrete: Any, architecture: Architecture) -> Any:
    holder = tf.Module()  # a model as the converter's trackable may break its next trace
    holder.variables_ = list(architecture.train.variables)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)


def _expected(export: Export, examples: Examples, earlier: Arrays) -> dict[str, np.ndarray]:
    """Return what Keras makes of each example, stacked; of each of its steps too, as ``<output>/steps``.

    A step's answer is the one that the trained model gives for the whole sequence, where the export knows it.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for example in export.driven(examples, earlier):
        found = [outputs for _inputs, outputs in example]
        for name in found[-1].keys() - export.state.keys():
            rows.setdefault(name, []).append(found[-1][name])
            if export.state:
                rows.setdefault(f"{name}/steps", []).append(np.stack([one[name] for one in found], axis=1))
    whole = export.whole(examples) if export.whole else {}
    return {**{name: np.concatenate(values) for name, values in rows.items()}, **whole}


def _stacked(samples: Sequence[Arrays]) -> dict[str, np.ndarray]:
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


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


def _int16x8(converter: Any, representative: Calibration) -> None:
    """Keep int8 weights with int16 activations, input and output too."""
    _int8(converter, representative)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    converter.inference_input_type = converter.inference_output_type = tf.int16


_PRECISIONS: dict[str, Callable[[Any, Calibration], None]] = {
    "float16": _float16,
    "dynamic": _dynamic,
    "int8": _int8,
    "int16x8": _int16x8,
}
