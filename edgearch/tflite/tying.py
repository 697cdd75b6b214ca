"""Give an output and the input that it feeds at the next step one quantization.

A converter calibrates the two apart: an input never sees the last state, an output never the zeros before
the first. Copied raw, each step would then scale the state by the ratio of their scales (0.86 for the cell
of an LSTM, which forgets a sequence that way). Tied, a raw copy is exact.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgearch.errors import ToolError

# The TensorFlow Lite 8-bit quantization specification: these give one range whatever they are calibrated to,
_FIXED = {"TANH", "LOGISTIC", "SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION"}
# and these have the same scale on both sides.
_SAME = {
    "CONCATENATION", "GATHER", "MAXIMUM", "MINIMUM", "PAD", "PADV2", "RESHAPE", "SLICE", "SPLIT", "SPLIT_V",
    "STRIDED_SLICE", "TRANSPOSE", "UNPACK", "PACK", "EXPAND_DIMS", "SQUEEZE",
}  # fmt: skip
_BIASED = {"FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"}

Quantization = tuple[float, int]  # scale, zero point


def tie(content: bytes, state: Mapping[str, str]) -> bytes:
    """Return the model with one quantization for each output of ``state`` and the input that it feeds.

    Args:
        content: A ``.tflite`` file whose signature names inputs and outputs.
        state: Output → input. Pairs that are not quantized, or already alike, stay as they are.

    Raises:
        ToolError: a state passes through an operator that has the same scale on both sides.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(content, 0)
    graph, signature = tree.subgraphs[0], tree.signatureDefs[0]
    outputs, inputs = (
        {entry.name.decode(): entry.tensorIndex for entry in entries}
        for entries in (signature.outputs, signature.inputs)
    )
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in tree.operatorCodes]
    pairs = [(name, outputs[name], inputs[fed]) for name, fed in state.items()]
    changed = False
    for name, output, fed in pairs:
        ends = [_quantization(graph.tensors[index]) for index in (output, fed)]
        if None in ends or ends[0] == ends[1]:
            continue
        shared = _shared(graph, codes, name, output, fed)
        for index in (output, fed):
            _requantize(tree, graph, codes, index, shared)
        changed = True
    if not changed:
        return content
    builder = flatbuffers.Builder(len(content))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _quantization(tensor: Any) -> Quantization | None:
    found = tensor.quantization
    if found is None or found.scale is None or len(found.scale) != 1:
        return None
    return float(found.scale[0]), int(found.zeroPoint[0])


def _shared(graph: Any, codes: list[str], name: str, output: int, fed: int) -> Quantization:
    """Return the quantization that both ends can have: an operator's fixed one, else one that holds both."""
    maker = next(codes[one.opcodeIndex] for one in graph.operators if output in one.outputs)
    users = [codes[one.opcodeIndex] for one in graph.operators if {output, fed} & set(one.inputs)]
    stuck = sorted(_SAME & {maker, *users})
    if stuck:
        raise ToolError(
            f"State {name!r} passes through {' and '.join(stuck)}, so it cannot have the scale of the input "
            "that it feeds. Compute the state with ADD or MUL last, as an LSTM and a GRU do."
        )
    ends = [_quantization(graph.tensors[index]) or (1.0, 0) for index in (output, fed)]
    if maker in _FIXED:
        return ends[0]
    limits = np.iinfo(_dtype(graph.tensors[output]))
    if limits.max > 127:  # 16 bits are symmetric
        return max(scale for scale, _ in ends), 0
    low = min((limits.min - zero) * scale for scale, zero in ends)
    high = max((limits.max - zero) * scale for scale, zero in ends)
    scale = float(np.float32((high - low) / (limits.max - limits.min)))
    return scale, round(limits.min - low / scale)


def _dtype(tensor: Any) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    types = schema.TensorType
    known = {types.INT8: np.int8, types.INT16: np.int16, types.INT32: np.int32, types.INT64: np.int64}
    return np.dtype(known[tensor.type])


def _requantize(tree: Any, graph: Any, codes: list[str], index: int, shared: Quantization) -> None:
    """Set a tensor's quantization, and rescale the biases that are counted in its scale."""
    tensor = graph.tensors[index]
    (before, _), (scale, zero_point) = _quantization(tensor) or shared, shared
    tensor.quantization.scale = np.array([scale], np.float32)
    tensor.quantization.zeroPoint = np.array([zero_point], np.int64)
    tensor.quantization.min = tensor.quantization.max = None
    for operator in graph.operators:
        biased = codes[operator.opcodeIndex] in _BIASED and len(operator.inputs) > 2
        if biased and operator.inputs[0] == index and operator.inputs[2] >= 0:
            kernel, bias = operator.inputs[1], _rescaled(tree, graph, operator.inputs[2], scale / before)
            operator.inputs = np.array([index, kernel, bias, *operator.inputs[3:]], np.int32)


def _rescaled(tree: Any, graph: Any, index: int, ratio: float) -> int:
    """Give a bias ``ratio`` times its scale and return its index: a copy's, if another operator reads it."""
    readers = sum(int(index in one.inputs) for one in graph.operators)
    if readers > 1:
        graph.tensors.append(copy.deepcopy(graph.tensors[index]))
        index = len(graph.tensors) - 1
    bias = graph.tensors[index]
    bias.quantization.scale = np.asarray(bias.quantization.scale, np.float32) * np.float32(ratio)
    if sum(int(one.buffer == bias.buffer) for one in graph.tensors) > 1:
        tree.buffers.append(copy.deepcopy(tree.buffers[bias.buffer]))
        bias.buffer = len(tree.buffers) - 1
    buffer = tree.buffers[bias.buffer]
    values = np.asarray(buffer.data, np.uint8).view(_dtype(bias))
    buffer.data = np.round(values / ratio).astype(values.dtype).view(np.uint8)
    return index
