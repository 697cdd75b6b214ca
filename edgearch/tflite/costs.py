"""What a TFLite model costs: parameters, multiply-accumulates, zeros, and the arena its tensors need."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from edgearch.tflite.model import Graph, Model, Operator, Tensor

Counter = Callable[[Operator, list[Tensor | None], list[Tensor]], int]
ALIGNMENT = 16  # TFLite's and TFLM's tensor alignment, in bytes


def macs(model: Model) -> int:
    """Count the multiply-accumulates of one inference in the operators that have any."""
    return sum(_macs(graph, operator) for graph in model.graphs for operator in graph.operators)


def _macs(graph: Graph, operator: Operator) -> int:
    count = _COUNTERS.get(operator.name)
    inputs = [graph.tensors[index] if index >= 0 else None for index in operator.inputs]
    return count(operator, inputs, [graph.tensors[index] for index in operator.outputs]) if count else 0


def _shape(tensor: Tensor | None) -> tuple[int, ...]:
    return tensor.shape if tensor else ()


def _conv(_operator: Operator, inputs: list[Tensor | None], outputs: list[Tensor]) -> int:
    """Weights are (out, height, width, in): each output value takes height × width × in."""
    return outputs[0].elements * math.prod(_shape(inputs[1])[1:])


def _depthwise(_operator: Operator, inputs: list[Tensor | None], outputs: list[Tensor]) -> int:
    """Weights are (1, height, width, channels): each output value takes height × width."""
    return outputs[0].elements * math.prod(_shape(inputs[1])[1:3])


def _transposed(_operator: Operator, inputs: list[Tensor | None], _outputs: list[Tensor]) -> int:
    """Weights are (out, height, width, in): each input value meets out × height × width of them."""
    weights = _shape(inputs[1])
    return math.prod(_shape(inputs[2])) * math.prod(weights[:3])


def _dense(_operator: Operator, inputs: list[Tensor | None], outputs: list[Tensor]) -> int:
    """Weights are (units, features)."""
    return outputs[0].elements * _shape(inputs[1])[-1]


def _matmul(operator: Operator, inputs: list[Tensor | None], outputs: list[Tensor]) -> int:
    left = _shape(inputs[0])
    inner = left[-2] if getattr(operator.options, "adjX", False) else left[-1]
    return outputs[0].elements * inner


def _lstm(_operator: Operator, inputs: list[Tensor | None], _outputs: list[Tensor]) -> int:
    """Weights of all gates, inputs 1 to 8, are met once a time step of (batch, steps, features)."""
    steps = math.prod(_shape(inputs[0])[:-1])
    return steps * sum(math.prod(tensor.shape) for tensor in inputs[1:9] if tensor)


_COUNTERS: dict[str, Counter] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "BATCH_MATMUL": _matmul,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}


def _weights(model: Model) -> list[Tensor]:
    """Return the constants that hold numbers a training could have changed, each once."""
    found = {
        (position, index): graph.tensors[index]
        for position, graph in enumerate(model.graphs)
        for operator in graph.operators
        for index in operator.inputs
        if index >= 0 and graph.tensors[index].data is not None
    }
    shapes = ("int32", "int64")  # constants of these types are shapes, axes, or int8 biases
    return [tensor for tensor in found.values() if tensor.dtype not in shapes or tensor.channels > 0]


def parameters(model: Model) -> int:
    """Count the weights and biases."""
    return sum(tensor.elements for tensor in _weights(model))


def sparsity(model: Model) -> float:
    """Return the share of zeros among the values of kernels (constants of two dimensions and more)."""
    kernels = [tensor for tensor in _weights(model) if len(tensor.shape) > 1]
    values = sum(tensor.elements for tensor in kernels)
    return sum(_zeros(tensor) for tensor in kernels) / values if values else 0.0


def _zeros(tensor: Tensor) -> int:
    dtypes = {
        "float32": np.float32,
        "float16": np.float16,
        "int8": np.int8,
        "uint8": np.uint8,
        "int16": np.int16,
    }
    if tensor.data is None or tensor.dtype not in dtypes or tensor.data.size != tensor.bytes:
        return 0
    values = tensor.data.view(dtypes[tensor.dtype])
    return int(np.count_nonzero(values == tensor.zero_point))


def precision(model: Model) -> Literal["float32", "float16", "dynamic", "int8", "int16x8"]:
    """Tell a model's precision from the types of its kernels and of its activations."""
    kernels = {tensor.dtype for tensor in _weights(model) if len(tensor.shape) > 1}
    activations = {
        graph.tensors[index].dtype
        for graph in model.graphs
        for operator in graph.operators
        if operator.name not in ("QUANTIZE", "DEQUANTIZE")
        for index in operator.outputs
    }
    if activations & {"int8", "uint8", "int16"} and "float32" not in activations:
        return "int16x8" if "int16" in activations else "int8"
    if kernels & {"int8", "uint8", "int4"}:
        return "dynamic"
    return "float16" if "float16" in kernels else "float32"


def arena_bytes(model: Model) -> int:
    """Estimate the tensor arena: the most bytes of activations alive at once, in the order of operators.

    A planner may need more (fragments, its own records); TFLM's recording says what it really takes.
    """
    return sum(_peak(graph) for graph in model.graphs)


def _peak(graph: Graph) -> int:
    born: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    dies: dict[int, int] = dict.fromkeys(graph.outputs, len(graph.operators))
    for step, operator in enumerate(graph.operators):
        for index in operator.outputs:
            born.setdefault(index, step)
        for index in (*operator.inputs, *operator.outputs):
            dies[index] = max(dies.get(index, 0), step)
    sizes = {index: -(-tensor.bytes // ALIGNMENT) * ALIGNMENT for index, tensor in enumerate(graph.tensors)}
    always = sum(sizes[index] for index, tensor in enumerate(graph.tensors) if tensor.variable)
    alive = [
        sum(sizes[index] for index in born if born[index] <= step <= dies.get(index, step))
        for step in range(max(len(graph.operators), 1))
    ]
    return always + max(alive)
