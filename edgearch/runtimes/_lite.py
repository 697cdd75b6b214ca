"""The interpreter interface that LiteRT and the older tflite-runtime share."""

from __future__ import annotations

from typing import Any

import numpy as np


class LiteSession:
    """A model in an interpreter of ``api`` (a module with ``Interpreter`` and ``OpResolverType``)."""

    def __init__(self, api: Any, path: str, threads: int, kernels: str) -> None:
        resolver = {"optimized": api.OpResolverType.AUTO, "reference": api.OpResolverType.BUILTIN_REF}[
            kernels
        ]
        self._interpreter = api.Interpreter(
            model_path=path, num_threads=threads, experimental_op_resolver_type=resolver
        )
        self._interpreter.allocate_tensors()
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
