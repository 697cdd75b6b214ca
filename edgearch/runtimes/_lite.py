"""The interpreter interface that LiteRT and the older tflite-runtime share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class LiteSession:
    """A model in an interpreter of ``api`` (a module with ``Interpreter`` and ``OpResolverType``)."""

    def __init__(
        self, api: Any, path: str, threads: int, kernels: str, delegates: Sequence[Any] = ()
    ) -> None:
        resolver = {"optimized": api.OpResolverType.AUTO, "reference": api.OpResolverType.BUILTIN_REF}[
            kernels
        ]
        self._interpreter = api.Interpreter(
            model_path=path,
            num_threads=threads,
            experimental_op_resolver_type=resolver,
            experimental_delegates=[*delegates],
        )
        self._interpreter.allocate_tensors()
        self._delegating = kernels == "optimized"
        self._inputs = [detail["index"] for detail in self._interpreter.get_input_details()]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]
        self.invoke = self._interpreter.invoke  # no frame of ours inside the timed call
        self.reset = self._interpreter.reset_all_variables

    def set_input(self, position: int, value: np.ndarray) -> None:
        """Copy ``value`` into an input tensor."""
        self._interpreter.set_tensor(self._inputs[position], value)

    def output(self, position: int) -> np.ndarray:
        """Return a copy of an output tensor."""
        return np.asarray(self._interpreter.get_tensor(self._outputs[position]))

    def arena_bytes(self) -> None:
        """Return nothing: these interpreters do not record their arena."""
        return

    def processor(self) -> dict[str, str] | None:
        """Return nothing: it is the CPU."""
        return None

    def undelegated(self) -> dict[str, int] | None:
        """Count the operators that no delegate took, by name; ``None`` where none was to take any.

        A delegate stands among the operators as one more, after those of the file, with the tensors that
        enter and leave it: what lies between those is inside.
        """
        if not self._delegating:
            return None
        try:
            nodes = self._interpreter._get_ops_details()
        except (AttributeError, RuntimeError, ValueError):  # not a promise of the interpreter's
            return None
        own = [node for node in nodes if node["op_name"] != "DELEGATE"]
        delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
        inside: set[int] = set().union(*(_between(own, one["inputs"], one["outputs"]) for one in delegates))
        outside = [node["op_name"] for node in own if node["index"] not in inside]
        return {name: outside.count(name) for name in sorted(set(outside))}


def _between(nodes: list[dict[str, Any]], inputs: Any, outputs: Any) -> set[int]:
    """Return the indices of the nodes through which ``outputs`` are computed from ``inputs``."""
    makers = {int(tensor): node for node in nodes for tensor in node["outputs"]}
    given, waiting, found = {int(tensor) for tensor in inputs}, [int(tensor) for tensor in outputs], set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node["index"] not in found:
            found.add(int(node["index"]))
            waiting += [int(tensor) for tensor in node["inputs"] if int(tensor) not in given]
    return found
