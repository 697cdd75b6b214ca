"""Run one bundle in one runtime, in this process: outputs for every input, then timed runs."""

from __future__ import annotations

import gc
import importlib.metadata
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgearch import runtimes
from edgearch.agent import bundle

MIN_RUNS, MAX_RUNS, WARM_UP_RUNS = 30, 5000, 5
# RMS difference from the reference kernels, as a share of the output's range, above which a runtime is
# wrong and not merely rounding: float kernels sum in another order, int8 ones round each layer.
TOLERANCE = {"float32": 1e-3, "float16": 2e-2, "dynamic": 5e-2, "int8": 5e-2, "int16x8": 5e-2}
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of every role, and write all outputs to ``request["outputs"]``."""
    folder = Path(request["bundle"])
    manifest = bundle.read_manifest(folder)
    runtime = runtimes.load(request["runtime"])
    inputs, expected = _arrays(folder / "inputs.npz"), _arrays(folder / "expected.npz")
    rss_before = _peak_rss()
    outputs: dict[str, np.ndarray] = {}
    roles: dict[str, Any] = {}
    for role, export in manifest["roles"].items():
        figures, found = _run_role(runtime, request, folder, export, _of_role(inputs, role))
        roles[role] = figures
        outputs.update({f"{role}/{name}": value for name, value in found.items()})
    np.savez_compressed(request["outputs"], **outputs)  # type: ignore[arg-type]
    main = next(iter(roles.values()))
    return {
        "version": importlib.metadata.version(runtime.DISTRIBUTION),
        "threads": request["threads"],
        "kernels": request["kernels"],
        "load_ms": main["load_ms"],
        "latency_ms": main["latency_ms"],
        "arena_bytes": main["arena_bytes"],
        "roles": roles,
        "peak_rss_bytes": _peak_rss(),
        "rss_before_load_bytes": rss_before,
        "parity": {
            role: parity(_of_role(outputs, role), _of_role(expected, role), export["precision"])
            for role, export in manifest["roles"].items()
            if _of_role(expected, role)
        },
    }


def parity(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], precision: str) -> dict[str, Any]:
    """Compare outputs, (examples, *shape) each, with those of the reference kernels."""
    worst = 0.0
    for name, value in expected.items():
        span = float(value.max() - value.min()) or 1.0
        difference = found[name].astype(np.float64) - value
        error = float(np.sqrt(np.mean(difference * difference))) / span
        worst = max(worst, error if np.isfinite(error) else float("inf"))
    return {"rms_error": worst, "ok": worst <= TOLERANCE[precision]}


def to_tensor(value: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return ``value`` in a tensor's dtype, quantized with its scale and zero point where it has one."""
    dtype = np.dtype(tensor["dtype"])
    if tensor["scale"] and np.issubdtype(dtype, np.integer) and np.issubdtype(value.dtype, np.floating):
        limits = np.iinfo(dtype)
        value = np.clip(np.round(value / tensor["scale"]) + tensor["zero_point"], limits.min, limits.max)
    return np.ascontiguousarray(value, dtype=dtype)


def from_tensor(value: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return a tensor's values as real numbers (float32); integers without a scale stay as they are."""
    if tensor["scale"] and np.issubdtype(value.dtype, np.integer):
        real = (value.astype(np.float32) - tensor["zero_point"]) * tensor["scale"]
        return np.asarray(real, dtype=np.float32)
    return value


def _run_role(
    runtime: Any, request: dict[str, Any], folder: Path, export: dict[str, Any], inputs: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    start = time.perf_counter_ns()
    session = runtime.open_model(str(folder / export["file"]), request["threads"], request["kernels"])
    load_ms = (time.perf_counter_ns() - start) / 1e6
    ready = [_ready(inputs[tensor["name"]], tensor) for tensor in export["inputs"]]
    first_ms = _first(session, ready)
    found = _outputs(session, ready, export["outputs"])
    samples = timed(session, ready, request["seconds"])
    figures = {
        "load_ms": load_ms,
        "latency_ms": {"first": first_ms, **summarize(samples)},
        "arena_bytes": session.arena_bytes(),
        "undelegated": session.undelegated(),
    }
    return figures, found


def _ready(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return the examples of one input in its dtype, (examples, *the tensor's whole shape)."""
    return to_tensor(values, tensor).reshape((len(values), *tensor["shape"]))


def _set(session: runtimes.Session, ready: list[np.ndarray], example: int) -> None:
    session.reset()  # an LSTM must not remember the example before
    for position, values in enumerate(ready):
        session.set_input(position, values[example])


def _first(session: runtimes.Session, ready: list[np.ndarray]) -> float:
    _set(session, ready, 0)
    start = time.perf_counter_ns()
    session.invoke()
    return (time.perf_counter_ns() - start) / 1e6


def _outputs(
    session: runtimes.Session, ready: list[np.ndarray], tensors: list[dict[str, Any]]
) -> dict[str, np.ndarray]:
    """Run every example once and return the outputs as real numbers, (examples, *shape)."""
    found: dict[str, list[np.ndarray]] = {tensor["name"]: [] for tensor in tensors}
    for example in range(len(ready[0])):
        _set(session, ready, example)
        session.invoke()
        for position, tensor in enumerate(tensors):
            value = from_tensor(session.output(position), tensor)
            found[tensor["name"]].append(value if value.shape[:1] == (1,) else value[None])
    return {name: np.concatenate(values) for name, values in found.items()}


def timed(session: runtimes.Session, ready: list[np.ndarray], seconds: float) -> list[float]:
    """Return the milliseconds of single inferences: at least MIN_RUNS, for about ``seconds``."""
    examples = len(ready[0])
    clock, invoke = time.perf_counter_ns, session.invoke
    samples: list[float] = []
    gc.disable()
    try:
        for run in range(WARM_UP_RUNS):
            _set(session, ready, run % examples)
            invoke()
        end = clock() + int(seconds * 1e9)
        while len(samples) < MIN_RUNS or (clock() < end and len(samples) < MAX_RUNS):
            _set(session, ready, len(samples) % examples)
            start = clock()
            invoke()
            samples.append((clock() - start) / 1e6)
    finally:
        gc.enable()
    return samples


def summarize(samples: list[float]) -> dict[str, Any]:
    """Return percentiles of ``samples`` (ms), and a histogram up to the 99th percentile."""
    p50, p90, p99 = (float(value) for value in np.percentile(samples, [50, 90, 99]))
    counts, edges = np.histogram(np.minimum(samples, p99), bins=40)
    return {
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "runs": len(samples),
        "histogram": {"edges": [float(edge) for edge in edges], "counts": [int(count) for count in counts]},
    }


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _of_role(arrays: dict[str, np.ndarray], role: str) -> dict[str, np.ndarray]:
    return {name[len(role) + 1 :]: value for name, value in arrays.items() if name.startswith(role + "/")}


def _peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
