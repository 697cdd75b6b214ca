"""TensorFlow Lite Micro's reference kernels, the ones a microcontroller runs, from its Python package."""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any

import numpy as np

DISTRIBUTION = "tflite-micro"
# More than any microcontroller has: what a model takes of it is recorded, and then judged.
_ARENA_BYTES = 256 << 20
_TOTAL = re.compile(rb"Arena allocation total (\d+) bytes")


class TflmSession:
    """A model in a MicroInterpreter that records its allocations."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self.invoke = interpreter.invoke
        self.reset = interpreter.reset

    def set_input(self, position: int, value: np.ndarray) -> None:
        """Copy ``value`` into an input tensor."""
        self._interpreter.set_input(value, position)

    def output(self, position: int) -> np.ndarray:
        """Return a copy of an output tensor."""
        return np.array(self._interpreter.get_output(position))

    def arena_bytes(self) -> int | None:
        """Return what the RecordingMicroAllocator counted, in bytes."""
        found = _TOTAL.search(_captured(self._interpreter.print_allocations))
        return int(found.group(1)) if found else None

    def undelegated(self) -> None:
        """Return nothing: there are no delegates."""
        return


def open_model(path: str, threads: int, kernels: str = "reference") -> TflmSession:
    """Load ``path``. One thread and reference kernels are all there is, whatever is asked."""
    del threads, kernels
    from tflite_micro import runtime

    return TflmSession(runtime.Interpreter.from_file(path, arena_size=_ARENA_BYTES))


def _captured(function: Any) -> bytes:
    """Call ``function`` and return what its C++ side printed on either standard stream."""
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            function()
        finally:
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])
        file.seek(0)
        return file.read()
