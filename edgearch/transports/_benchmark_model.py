"""Google's ``benchmark_model``: the arguments that run a model once or time it, and what it prints.

Its flags and its report: https://github.com/tensorflow/tensorflow/tree/master/tensorflow/lite/tools/benchmark
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

RUNS = 50
_TIMINGS = re.compile(r"Init: ([\d.e+]+), First inference: ([\d.e+]+), .*?Inference \(avg\): ([\d.e+]+)")
_COUNT = re.compile(r"count=(\d+)\b.*")
_MEDIAN = re.compile(r"median=([\d.e+]+)")
_AVERAGE = re.compile(r"\bavg=([\d.e+]+)")
_PEAK = re.compile(r"peak memory footprint \(MB\) via periodic monitoring: ([\d.]+)")
_SUMMARY = "Summary by node type"


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


def timing(seconds: float) -> tuple[str, ...]:
    """Return the arguments that time the model for about ``seconds``."""
    return (
        f"--num_runs={RUNS}",
        f"--min_secs={seconds:.3f}",
        "--warmup_runs=5",
        "--report_peak_memory_footprint=true",
    )


PROFILING = (f"--num_runs={RUNS}", "--min_secs=0", "--warmup_runs=5", "--enable_op_profiling=true")


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


def profile(report: str) -> list[dict[str, Any]]:
    """Return each operator's ``op``, ``count``, ``ms`` and ``share``, summed by name, the longest first."""
    return sorted(map(dict, _rows(report)), key=lambda row: -float(row["ms"]))


def _rows(report: str) -> Iterator[Mapping[str, Any]]:
    _, _, table = report.rpartition(_SUMMARY)
    for line in table.splitlines()[1:]:
        cells = [cell.strip() for cell in line.split("\t") if cell.strip()]
        if len(cells) >= 4 and cells[1].isdigit():
            yield {
                "op": cells[0],
                "count": int(cells[1]),
                "ms": float(cells[2]),
                "share": float(cells[3].rstrip("%")) / 100,
            }
