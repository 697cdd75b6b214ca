"""What Arm's compiler Vela puts on an Ethos-U, and what it estimates of it: memory, cycles, time.

Vela compiles in a fraction of a second and is a Python package, so nothing is predicted here: it is asked.
Its figures are its own model of the hardware, for the system configuration that it assumes.
Source: https://pypi.org/project/ethos-u-vela/ (OPTIONS.md, PERFORMANCE.md).
"""

from __future__ import annotations

import csv
import functools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgearch.errors import ToolError
from edgearch.stages import _compiling
from edgearch.tflite import model as tflite
from edgearch.tflite.placement import Place

ACCELERATOR = "npu"
_KIB = 1024
_FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Compiled:
    """What Vela made of one model: the operators that it left, by name, and its summary."""

    left: Mapping[str, int]
    summary: Mapping[str, float]


def places(path: Path, name: str, processor: str) -> list[Place]:
    """Say for each operator of the model at ``path`` whether Vela puts it on the accelerator ``name``."""
    model = tflite.read(path)
    if _compiling.is_compiled(_compiling.COMPILERS[name], path):
        mapped = _compiling.COMPILERS[name].operator
        return [_as_compiled(one.name, mapped, processor) for one in model.main.operators]
    left = dict(_compile(path, name).left)
    return [place for graph in model.graphs for place in _places(graph, left, processor)]


def figures(paths: Sequence[Path], name: str) -> dict[str, Any]:
    """Estimate what the models take: bytes of SRAM, flash and DRAM, cycles and ms of an inference of each.

    Nothing of files that Vela made: they hold its commands, and no operators to estimate.
    """
    if any(_compiling.is_compiled(_compiling.COMPILERS[name], path) for path in paths):
        return {}
    summaries = [_compile(path, name).summary for path in paths]
    flash = ("off_chip_flash_memory_used", "on_chip_flash_memory_used")
    return {
        "sram_bytes": round(max(one["sram_memory_used"] for one in summaries) * _KIB),
        "flash_bytes": round(sum(one[kind] for one in summaries for kind in flash) * _KIB),
        "dram_bytes": round(sum(one["dram_memory_used"] for one in summaries) * _KIB),
        "cycles": round(sum(one["cycles_total"] for one in summaries)),
        "inference_ms": sum(one["inference_time"] for one in summaries) * 1000,
        "clock_hz": round(summaries[0]["core_clock"]),
    }


def _as_compiled(op: str, mapped: str, processor: str) -> Place:
    if op == mapped:
        return Place(op, ACCELERATOR)
    return Place(op, processor, "Vela left it to the processor", "Check the model as it was before Vela.")


def _places(graph: tflite.Graph, left: dict[str, int], processor: str) -> Iterator[Place]:
    """Give what Vela left to the last operators of that name: it does not say which of them it is."""
    for operator in reversed(graph.operators):
        if left.get(operator.name, 0) > 0:
            left[operator.name] -= 1
            yield Place(operator.name, processor, *_why(graph, operator))
        else:
            yield Place(operator.name, ACCELERATOR)


def _why(graph: tflite.Graph, operator: tflite.Operator) -> tuple[str, str]:
    tensors = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0]
    floats = sorted({tensor.dtype for tensor in tensors} & set(_FLOATS))
    if floats:
        return (
            f"its tensors are {' and '.join(floats)}; an Ethos-U computes on 8- and 16-bit integers",
            "Use the pipeline int8 or int16x8.",
        )
    return (
        "Vela does not map it in this form",
        ".venv/bin/vela --supported-ops-report lists what it asks of each operator.",
    )


@functools.lru_cache  # asked for the placement, and for the figures
def _compile(path: Path, name: str) -> Compiled:
    compiler = _compiling.COMPILERS[name]
    program = _compiling.located(compiler)
    if program is None:
        raise ToolError(f"{compiler.program} is not installed. {compiler.source}")
    with tempfile.TemporaryDirectory() as folder:
        _compiling.compiled(compiler, program, {"model": path}, Path(folder))
        made = tflite.read(Path(folder) / f"model{compiler.suffix}.tflite")
        left = {op: count for op, count in made.ops().items() if op != compiler.operator}
        (summary,) = Path(folder).glob("model_summary_*.csv")
        with summary.open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
    return Compiled(left, {key: float(value) for key, value in row.items() if _is_number(value)})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
