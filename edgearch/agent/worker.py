"""Run one bundle in one runtime, in this process: outputs for every example, then timed runs."""

from __future__ import annotations

import gc
import importlib.metadata
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgearch import runtimes
from edgearch.agent import bundle, driving
from edgearch.agent.driving import Drive

Arrays = dict[str, np.ndarray]
MIN_RUNS, MAX_RUNS, WARM_UP_RUNS = 30, 5000, 5
PARTS = 10  # of the runs, one after the other, whose medians show a drift
# RMS difference from the reference kernels, as a share of the output's range, above which a runtime is
# wrong and not merely rounding: float kernels sum in another order, int8 ones round each layer.
TOLERANCE = {"float32": 1e-3, "float16": 2e-2, "dynamic": 5e-2, "int8": 5e-2, "int16x8": 5e-2}
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of every role, and write all outputs to ``request["outputs"]``."""
    folder = Path(request["bundle"])
    runtime = runtimes.load(request["runtime"])
    rss_before = _peak_rss()

    def run(export: dict[str, Any], inputs: Arrays) -> tuple[dict[str, Any], Arrays]:
        return _run_role(runtime, request, folder, export, inputs)

    figures, outputs = every_role(folder, run)
    np.savez_compressed(request["outputs"], **outputs)  # type: ignore[arg-type]
    return {
        "version": importlib.metadata.version(runtime.DISTRIBUTION),
        "threads": request["threads"],
        "kernels": request["kernels"],
        **figures,
        "peak_rss_bytes": _peak_rss(),
        "rss_before_load_bytes": rss_before,
    }


def every_role(
    folder: Path, run: Callable[[dict[str, Any], Arrays], tuple[dict[str, Any], Arrays]]
) -> tuple[dict[str, Any], Arrays]:
    """Run each role of the bundle in ``folder``; return their figures and all outputs, ``<role>/<output>``.

    ``run`` takes an export of the manifest and its inputs, (examples, *shape) each. Where it refuses a role
    (ValueError, RuntimeError) and another is to answer instead, the reason is that role's figures.
    """
    manifest = bundle.read_manifest(folder)
    inputs, expected = _arrays(folder / "inputs.npz"), _arrays(folder / "expected.npz")
    outputs: Arrays = {}
    roles: dict[str, Any] = {}
    for role, export in manifest["roles"].items():
        fed = driving.with_chained(driving.of_role(inputs, role), export.get("chained", {}), outputs)
        try:
            roles[role], found = run(export, fed)
        except (ValueError, RuntimeError) as error:
            if export["instead"] not in manifest["roles"]:
                raise
            refused = f"{error}".strip().partition("\n")[0]
            roles[role], found = {"refused": refused, "instead": export["instead"]}, {}
        outputs.update({f"{role}/{name}": value for name, value in found.items()})
    main = next(figures for figures in roles.values() if "refused" not in figures)
    return {
        "load_ms": main["load_ms"],
        "latency_ms": main["latency_ms"],
        **{name: main[name] for name in ("steps", "sequence_latency_ms", "processor") if name in main},
        **({"where": main["processor"]["where"]} if "where" in main.get("processor", {}) else {}),
        "arena_bytes": main["arena_bytes"],
        "roles": roles,
        "parity": {
            role: parity(driving.of_role(outputs, role), driving.of_role(expected, role), export["precision"])
            for role, export in manifest["roles"].items()
            if driving.of_role(expected, role) and "refused" not in roles[role]
        },
    }, outputs


def parity(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], precision: str) -> dict[str, Any]:
    """Compare outputs, (examples, *shape) each, with those of the reference kernels."""
    worst = 0.0
    for name, value in expected.items():
        span = float(value.max() - value.min()) or 1.0
        difference = found[name].astype(np.float64) - value
        error = float(np.sqrt(np.mean(difference * difference))) / span
        worst = max(worst, error if np.isfinite(error) else float("inf"))
    return {"rms_error": worst, "ok": worst <= TOLERANCE[precision]}


def _run_role(
    runtime: Any, request: dict[str, Any], folder: Path, export: dict[str, Any], inputs: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    start = time.perf_counter_ns()
    session = runtime.open_model(
        str(_file(runtime, folder / export["file"])), request["threads"], request["kernels"]
    )
    load_ms = (time.perf_counter_ns() - start) / 1e6
    drive = Drive(session, export, inputs)
    first_ms = _first(session, drive)
    found = drive.outputs()
    single, whole = timed(session, drive, request["seconds"])
    figures = {
        "load_ms": load_ms,
        "latency_ms": {"first": first_ms, **summarize(single)},
        "arena_bytes": session.arena_bytes(),
        "undelegated": session.undelegated(),
    }
    processor = session.processor()
    if processor:
        figures["processor"] = processor
    if drive.in_steps:
        figures["steps"] = drive.steps
        figures["sequence_latency_ms"] = summarize(whole)
    return figures, found


def _file(runtime: Any, path: Path) -> Path:
    """Return the model, or for a runtime that takes no other, what an accelerator's compiler made of it."""
    suffix = getattr(runtime, "COMPILED", None)
    if suffix is None:
        return path
    compiled = path.with_name(f"{path.stem}{suffix}{path.suffix}")
    if not compiled.exists():
        raise RuntimeError(f"failed to find {compiled.name}: the accelerator's compiler made none")
    return compiled


def _first(session: runtimes.Session, drive: Drive) -> float:
    drive.begin(0)
    start = time.perf_counter_ns()
    session.invoke()
    return (time.perf_counter_ns() - start) / 1e6


def timed(session: runtimes.Session, drive: Drive, seconds: float) -> tuple[list[float], list[float]]:
    """Return the milliseconds of single inferences, and of whole examples with the feeding between steps.

    At least MIN_RUNS of either, for about ``seconds``, and no more than MAX_RUNS inferences without need.
    """
    clock, invoke = time.perf_counter_ns, session.invoke
    single: list[float] = []
    whole: list[float] = []
    gc.disable()
    try:
        for run in range(WARM_UP_RUNS):
            drive.begin(run % drive.examples)
            invoke()
        end = clock() + int(seconds * 1e9)
        while len(whole) < MIN_RUNS or (clock() < end and len(single) < MAX_RUNS):
            example = len(whole) % drive.examples
            drive.begin(example)
            began = start = clock()
            invoke()
            single.append((clock() - start) / 1e6)
            for step in range(1, drive.steps):
                drive.go_on(example, step)
                start = clock()
                invoke()
                single.append((clock() - start) / 1e6)
            whole.append((clock() - began) / 1e6)
    finally:
        gc.enable()
    return single, whole


def summarize(samples: list[float]) -> dict[str, Any]:
    """Return percentiles of ``samples`` (ms), medians of successive parts, a histogram up to the 99th."""
    p50, p90, p99 = (float(value) for value in np.percentile(samples, [50, 90, 99]))
    counts, edges = np.histogram(np.minimum(samples, p99), bins=40)
    return {
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "runs": len(samples),
        "medians": [float(np.median(part)) for part in np.array_split(np.asarray(samples), PARTS)],
        "histogram": {"edges": [float(edge) for edge in edges], "counts": [int(count) for count in counts]},
    }


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
