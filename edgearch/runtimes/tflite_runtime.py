"""The older ``tflite-runtime``: the only wheels for 32-bit Arm. It needs ``numpy<2``."""

from __future__ import annotations

from edgearch.runtimes._lite import LiteSession

DISTRIBUTION = "tflite-runtime"


def open_model(path: str, threads: int, kernels: str = "optimized") -> LiteSession:
    """Load ``path``; ``kernels`` is ``optimized`` (with delegates) or ``reference``."""
    from tflite_runtime import interpreter

    return LiteSession(interpreter, path, threads, kernels)
