"""Small graphs built from plain values, to try one rule at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from edgearch.tflite.model import Graph, Model, Operator, Tensor


def tensor(*shape: int, dtype: str = "int8", data: Any = None, **changes: Any) -> Tensor:
    """Return an activation, or a constant where ``data`` is given (one value fills it)."""
    stored = None if data is None else np.broadcast_to(np.asarray(data, dtype), shape).copy()
    known = {"scale": 0.5, "zero_point": 0, "channels": 1, "variable": False, **changes}
    data_bytes = None if stored is None else stored.reshape(-1).view(np.uint8)
    return Tensor(name="", shape=shape, dtype=dtype, data=data_bytes, **known)


def numbers(*values: int) -> Tensor:
    """Return a constant of int32: a shape, axes or sizes."""
    return tensor(len(values), dtype="int32", data=values, scale=None, channels=0)


class Drawing:
    """A graph in the making: each call of ``op`` takes tensors by their index and returns its output's."""

    def __init__(self, *inputs: Tensor) -> None:
        self.tensors = list(inputs)
        self.inputs = tuple(range(len(inputs)))
        self.operators: list[Operator] = []

    def op(
        self, name: str, *inputs: int | Tensor, gives: Tensor, activation: str = "NONE", **options: Any
    ) -> int:
        """Add an operator; a tensor among its inputs is added too."""
        indices = tuple(one if isinstance(one, int) else self._added(one) for one in inputs)
        output = self._added(gives)
        self.operators.append(Operator(name, indices, (output,), activation, SimpleNamespace(**options)))
        return output

    def _added(self, one: Tensor) -> int:
        self.tensors.append(one)
        return len(self.tensors) - 1

    @property
    def graph(self) -> Graph:
        """The graph so far; its output is that of its last operator."""
        outputs = self.operators[-1].outputs if self.operators else ()
        return Graph(tuple(self.tensors), tuple(self.operators), self.inputs, outputs)

    def model(self, *others: Graph) -> Model:
        """The graph so far as a model, with other graphs behind it."""
        return Model(0, (self.graph, *others), ("input",), ("output",))
