"""A ``.tflite`` file as plain values.

The format is the flatbuffer schema of TensorFlow Lite (``schema.fbs``, file identifier TFL3). A file is
untrusted: whatever is wrong with it becomes a :class:`~edgearch.errors.RequestError`.
"""

from __future__ import annotations

import importlib.metadata
import math
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.errors import RequestError

IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Tensor:
    """One tensor of a graph; ``data`` holds the bytes of a constant, else nothing.

    ``dynamic``: a size of it, but for the batch, is not known before it runs, and stands as 1 in its shape.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int
    channels: int
    data: np.ndarray | None
    variable: bool
    dynamic: bool = False

    @property
    def elements(self) -> int:
        """How many values it holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes its values take, unpadded."""
        return (self.elements * _BITS.get(self.dtype, 32) + 7) // 8


@dataclass(frozen=True)
class Operator:
    """One node: its name as in ``BuiltinOperator``, and the indices of its tensors (−1: left out)."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str
    options: Any


@dataclass(frozen=True)
class Graph:
    """One subgraph."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A whole file. ``input_names`` and ``output_names`` stand in the main graph's tensor order."""

    bytes: int
    graphs: tuple[Graph, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]

    @property
    def main(self) -> Graph:
        """The graph that an interpreter invokes."""
        return self.graphs[0]

    def ops(self) -> dict[str, int]:
        """Count the operators of all graphs by name, most frequent first."""
        counted = Counter(operator.name for graph in self.graphs for operator in graph.operators)
        return dict(counted.most_common())

    def inputs(self) -> list[Tensor]:
        """Return the main graph's input tensors."""
        return [self.main.tensors[index] for index in self.main.inputs]

    def outputs(self) -> list[Tensor]:
        """Return the main graph's output tensors."""
        return [self.main.tensors[index] for index in self.main.outputs]


def read(path: Path) -> Model:
    """Read the file at ``path``.

    Raises:
        RequestError: it cannot be read, is empty, is not TFLite, or is truncated or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}.") from error
    return parse(content, str(path))


class _UnknownCodeError(Exception):
    """A code of the file that our schema gives no name, such as ``operator 9999``."""


def parse(content: bytes, name: str) -> Model:
    """Read a model from ``content``; ``name`` stands in errors."""
    if not content:
        raise RequestError(f"{name}: the file is empty; expected a TFLite model.")
    if content[4:8] != IDENTIFIER:
        raise RequestError(
            f"{name}: not a TFLite model: expected the identifier TFL3 at byte 4, found {content[4:8]!r}."
        )
    from ai_edge_litert import schema_py_generated as schema

    try:
        return _model(schema, schema.ModelT.InitFromPackedBuf(content, 0), content)
    except _UnknownCodeError as error:
        reader = f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"
        raise RequestError(
            f"{name}: {error} is unknown to {reader}, by which edgearch reads models: it is newer, or the "
            "file is damaged. Update ai-edge-litert, or convert the model with an older converter."
        ) from error
    except (
        struct.error,
        IndexError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        OverflowError,
    ) as error:
        raise RequestError(
            f"{name}: a TFLite model that is truncated or damaged ({len(content)} bytes). "
            "Copy or convert it again."
        ) from error


def _model(schema: Any, tree: Any, content: bytes) -> Model:
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    dtypes = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    activations = {
        code: name for name, code in vars(schema.ActivationFunctionType).items() if isinstance(code, int)
    }
    codes = [_operator_name(code, names) for code in tree.operatorCodes or []]
    graphs = tuple(
        Graph(
            tensors=tuple(_tensor(one, tree.buffers, dtypes, content) for one in graph.tensors),
            operators=tuple(_operator(one, codes, activations) for one in _list(graph.operators)),
            inputs=tuple(int(index) for index in _list(graph.inputs)),
            outputs=tuple(int(index) for index in _list(graph.outputs)),
        )
        for graph in tree.subgraphs
    )
    for graph in graphs:
        _check_indices(graph)
    main = graphs[0]
    inputs, outputs = _signature_names(tree)
    return Model(
        bytes=len(content),
        graphs=graphs,
        input_names=tuple(inputs.get(index, main.tensors[index].name) for index in main.inputs),
        output_names=tuple(outputs.get(index, main.tensors[index].name) for index in main.outputs),
    )


def _check_indices(graph: Graph) -> None:
    used = {*graph.inputs, *graph.outputs}
    for operator in graph.operators:
        used |= {index for index in operator.inputs if index != -1} | set(operator.outputs)
    if used and not (min(used) >= 0 and max(used) < len(graph.tensors)):
        raise IndexError(f"tensor {max(used)} of {len(graph.tensors)}")
    if any(size < 0 for tensor in graph.tensors for size in tensor.shape):
        raise ValueError("a tensor of negative size")


def _list(values: Any) -> Any:
    return [] if values is None else values


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _named(kind: str, code: int, names: dict[int, str]) -> str:
    if code not in names:
        raise _UnknownCodeError(f"{kind} {code}")
    return names[code]


def _operator_name(code: Any, names: dict[int, str]) -> str:
    name = _named("operator", max(code.builtinCode, code.deprecatedBuiltinCode), names)
    return f"CUSTOM:{_text(code.customCode)}" if name == "CUSTOM" else name


def _operator(one: Any, codes: list[str], activations: dict[int, str]) -> Operator:
    options = one.builtinOptions
    fused = getattr(options, "fusedActivationFunction", 0)
    return Operator(
        name=codes[one.opcodeIndex],
        inputs=tuple(int(index) for index in _list(one.inputs)),
        outputs=tuple(int(index) for index in _list(one.outputs)),
        activation=activations.get(fused, "NONE"),
        options=options,
    )


def _tensor(one: Any, buffers: Any, dtypes: dict[int, str], content: bytes) -> Tensor:
    quantization = one.quantization
    scales = _list(quantization.scale) if quantization else []
    zero_points = _list(quantization.zeroPoint) if quantization else []
    buffer = buffers[one.buffer]
    data = np.asarray(_list(buffer.data), dtype=np.uint8)
    if not data.size and buffer.size > 1:  # large files keep buffers behind the flatbuffer
        data = np.frombuffer(content, dtype=np.uint8, count=buffer.size, offset=buffer.offset)
    return Tensor(
        name=_text(one.name),
        shape=tuple(int(size) for size in _list(one.shape)),
        dtype=_named("tensor type", one.type, dtypes),
        scale=float(scales[0]) if len(scales) == 1 else None,
        zero_point=int(zero_points[0]) if len(zero_points) == 1 else 0,
        channels=len(scales),
        data=data if data.size else None,
        variable=bool(one.isVariable),
        dynamic=any(size < 0 for size in _list(one.shapeSignature)[1:]),
    )


def _signature_names(tree: Any) -> tuple[dict[int, str], dict[int, str]]:
    for signature in _list(tree.signatureDefs):
        if signature.subgraphIndex == 0:
            return tuple(  # type: ignore[return-value]
                {int(entry.tensorIndex): _text(entry.name) for entry in _list(entries)}
                for entries in (signature.inputs, signature.outputs)
            )
    return {}, {}


_BITS = {
    "float32": 32, "float16": 16, "bfloat16": 16, "float64": 64, "int2": 2, "int4": 4, "uint4": 4, "int8": 8,
    "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64, "uint64": 64, "bool": 8,
    "complex64": 64, "complex128": 128, "string": 0, "resource": 32, "variant": 32,
}  # fmt: skip
