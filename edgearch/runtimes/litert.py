"""LiteRT (``ai-edge-litert``), today's TFLite interpreter, with XNNPACK on CPUs."""

from __future__ import annotations

from edgearch.runtimes._lite import LiteSession

DISTRIBUTION = "ai-edge-litert"


def open_model(path: str, threads: int, kernels: str = "optimized") -> LiteSession:
    """Load ``path``; ``kernels`` is ``optimized`` (with delegates) or ``reference``."""
    from ai_edge_litert import interpreter

    return LiteSession(interpreter, path, threads, kernels)
