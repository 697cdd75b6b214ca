"""TensorFlow Lite Micro's reference kernels, the ones a microcontroller runs, from its Python package."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edgearch.runtimes._captured import captured

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
        with captured() as printed:
            self._interpreter.print_allocations()
        found = _TOTAL.search(printed[0])
        return int(found.group(1)) if found else None

    def undelegated(self) -> None:
        """Return nothing: there are no delegates."""
        return

    def processor(self) -> None:
        """Return nothing: it is the CPU."""
        return


def open_model(path: str, threads: int, kernels: str = "reference") -> TflmSession:
    """Load ``path``. One thread and reference kernels are all there is, whatever is asked."""
    del threads, kernels
    from tflite_micro import runtime

    return TflmSession(runtime.Interpreter.from_file(path, arena_size=_ARENA_BYTES))
