"""Google's ``benchmark_model``: the arguments that run a model once or time it, and what it prints.

Its flags and its report: https://github.com/tensorflow/tensorflow/tree/master/tensorflow/lite/tools/benchmark
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

RUNS = 50
_TIMINGS = re.compile(r"Init: ([\d.e+]+), First inference: ([\d.e+]+), .*?Inference \(avg\): ([\d.e+]+)")
_COUNT = re.compile(r"count=(\d+)\b.*")
_MEDIAN = re.compile(r"median=([\d.e+]+)")
_AVERAGE = re.compile(r"\bavg=([\d.e+]+)")
_PEAK = re.compile(r"peak memory footprint \(MB\) via periodic monitoring: ([\d.]+)")
_VERSION = re.compile(r"\b(?:LiteRT|TensorFlow Lite|TFLite)\b.*\bversion:? v?(\d[\w.+-]*)", re.IGNORECASE)
# A profile has tables of the initialization, of the runs, and of what a delegate did within them.
_OF_RUNS, _OF_DELEGATE = "Profiling Info for Regular Benchmark Runs", "Delegate internal"
_SUMMARY = "Summary by node type"
# Said after the reason.
_THAT_IT_FAILED = re.compile(
    "(?:Benchmarking|Registration) failed|Failed to (?:initialize the interpreter|allocate tensors)"
)


def arguments(graph: str, shapes: Sequence[Sequence[int]], threads: int) -> list[str]:
    """Return what every run needs: the model, its inputs in the interpreter's order, as files ``in.N``."""
    names = [f"in{index}" for index in range(len(shapes))]
    return [
        f"--graph={graph}",
        f"--num_threads={threads}",
        f"--input_layer={','.join(names)}",
        f"--input_layer_shape={':'.join(','.join(map(str, shape)) for shape in shapes)}",
        f"--input_layer_value_files={','.join(f'{name}:in.{index}' for index, name in enumerate(names))}",
    ]


ONCE = ("--num_runs=1", "--min_secs=0", "--warmup_runs=0", "--warmup_min_secs=0", "--output_filepath=out")


def timing(seconds: float, most: float) -> tuple[str, ...]:
    """Return the arguments that time the model for about ``seconds``, a slow one for ``most``.

    A run ends when all runs and ``--min_secs`` are over, or ``--max_secs`` are; so does its warm-up.
    """
    return (
        f"--num_runs={RUNS}",
        f"--min_secs={seconds:.3f}",
        f"--max_secs={max(seconds, most):.3f}",
        "--warmup_runs=5",
        "--report_peak_memory_footprint=true",
    )


def profiling(most: float) -> tuple[str, ...]:
    """Return the arguments that time each operator, for ``most`` seconds at most."""
    return (
        f"--num_runs={RUNS}",
        "--min_secs=0",
        f"--max_secs={most:.3f}",
        "--warmup_runs=5",
        "--enable_op_profiling=true",
    )


def figures(report: str) -> dict[str, Any]:
    """Return the figures of one timed run, in ms and bytes.

    ``median_ms`` is the middle of the inferences; of an older binary, which prints none, their mean.

    Raises:
        ValueError: the report has no timings.
    """
    found, counts = _TIMINGS.search(report), _COUNT.findall(report)
    if found is None or not counts:
        raise ValueError("benchmark_model printed no timings")
    line = [one for one in report.splitlines() if "count=" in one][-1]
    middle = _MEDIAN.search(line) or _AVERAGE.search(line)
    peak = _PEAK.search(report)
    return {
        "load_ms": float(found[1]) / 1e3,
        "first_ms": float(found[2]) / 1e3,
        "median_ms": float(middle[1] if middle else found[3]) / 1e3,
        "is_median": bool(_MEDIAN.search(line)),
        "runs": int(counts[-1]),
        "peak_bytes": round(float(peak[1]) * 2**20) if peak else None,
    }


def version(report: str) -> str | None:
    """Return the version of its runtime, where the binary prints it."""
    found = _VERSION.search(report)
    return found[1] if found else None


def profiles(report: str) -> dict[str, list[dict[str, Any]]]:
    """Return the operators' ``op_profile`` and, where a delegate tells its own, a ``delegate_profile``.

    Each row has ``op``, ``count``, ``ms`` and ``share``, summed by name, the longest first.
    """
    graph, _, delegate = report.rpartition(_OF_RUNS)[-1].partition(_OF_DELEGATE)
    own = _table(delegate)
    return {"op_profile": _table(graph), **({"delegate_profile": own} if own else {})}


def _table(text: str) -> list[dict[str, Any]]:
    """Return the first summary in ``text``: a model's main graph comes before those it calls."""
    return sorted(_rows(text.partition(_SUMMARY)[-1]), key=lambda row: -float(row["ms"]))


def _rows(table: str) -> Iterator[dict[str, Any]]:
    for line in takewhile(str.strip, table.splitlines()[1:]):
        cells = [cell.strip() for cell in line.split("\t") if cell.strip()]
        if len(cells) >= 4 and cells[1].isdigit():
            yield {
                "op": cells[0],
                "count": int(cells[1]),
                "ms": float(cells[2]),
                "share": float(cells[3].rstrip("%")) / 100,
            }


def reason(status: int, report: str) -> str:
    """Return why a run failed: the last line that gives a reason, and what its exit ``status`` adds."""
    lines = [line.strip().removeprefix("ERROR: ") for line in report.splitlines() if line.strip()]
    said = ([one for one in lines if not _THAT_IT_FAILED.match(one)] or lines or ["no word"])[-1]
    if status in (126, 127) or said.startswith("CANNOT LINK EXECUTABLE"):
        return (
            f"the phone cannot start benchmark_model ({said}): expected one that is built for its processor, "
            "which adb shell getprop ro.product.cpu.abi names"
        )
    return f"benchmark_model was ended by signal {status - 128}: {said}" if status > 128 else said
