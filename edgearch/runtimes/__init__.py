"""TFLite interpreters, one a file, imported on first use; they travel to devices with the agent.

A runtime module gives ``DISTRIBUTION`` (what pip calls it) and ``open_model(path, threads, kernels)``,
which returns a :class:`Session`. Tensors are addressed by their position among the model's inputs or
outputs, because TensorFlow Lite Micro knows no names. Only the standard library, NumPy and the runtime
itself may be imported here (Python 3.9 and up). One that runs only what an accelerator's compiler made gives
``COMPILED``, which that adds to a model's name; one that wants hardware which may come and go,
``hardware()``: a word for what of it is there.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Protocol

import numpy as np


class Driven(Protocol):
    """One loaded model, as far as it is run: here, on a board or in a browser."""

    def set_input(self, position: int, value: np.ndarray) -> None:
        """Copy ``value``, already of the tensor's dtype and shape, into an input."""

    def invoke(self) -> None:
        """Run the model once."""

    def output(self, position: int) -> np.ndarray:
        """Return a copy of an output as the model left it, quantized or not."""

    def reset(self) -> None:
        """Set every variable tensor (an LSTM's state) back to its start."""


class Session(Driven, Protocol):
    """One loaded model in a runtime, which says what it took."""

    def arena_bytes(self) -> int | None:
        """Return the tensor arena's recorded size in bytes, where the runtime records one."""

    def undelegated(self) -> dict[str, int] | None:
        """Count the operators left outside a delegate by name; ``None`` where there is none."""

    def processor(self) -> dict[str, str] | None:
        """Return ``name`` of what ran the model where that is not the CPU.

        And ``where``, if it is another than the machine's: ``emulated`` in software, or a real ``device``.
        """


def load(name: str) -> Any:
    """Import the runtime called ``name``, such as ``tflite-runtime``."""
    return importlib.import_module(_module(name))


def hardware(name: str) -> str:
    """Return the word of a runtime for its own hardware here; nothing of one that has none, or no module."""
    if "." in name or importlib.util.find_spec(_module(name)) is None:
        return ""
    return str(getattr(load(name), "hardware", str)())


def _module(name: str) -> str:
    return "edgearch.runtimes." + name.replace("-", "_")
