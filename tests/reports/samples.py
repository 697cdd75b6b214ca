"""Documents with invented figures: no model was trained and no device was asked for them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

Document = dict[str, Any]
# No value, and values of kinds that no part has.
ODD: tuple[Any, ...] = (None, "text", [1], float("nan"))

CONFUSION = {
    "labels": ["cat", "dog", "owl"],
    "float": [[30, 0, 0], [1, 29, 0], [0, 0, 30]],
    "deployed": [[30, 0, 0], [1, 29, 0], [0, 2, 28]],
}
BY_LENGTH = {"labels": [], "float": [0.25, 0.5, 0.75, 0.9889], "deployed": [0.25, 0.5, 0.7, 0.9861]}


def latency(p50: float) -> Document:
    """Return the latency part of a runtime, in ms."""
    edges = [p50 * (0.9 + 0.1 * place) for place in range(6)]
    histogram = {"edges": edges, "counts": [10, 700, 200, 0, 90]}
    return {
        "first": p50 * 5,
        "p50": p50,
        "p90": p50 * 1.1,
        "p99": p50 * 1.4,
        "runs": 1000,
        "histogram": histogram,
    }


def runtime(name: str, p50: float, chosen: bool) -> Document:
    """Return a runtime that was measured."""
    return {
        "name": name,
        "version": "1.2.3",
        "chosen": chosen,
        "where": "stand-in",
        "threads": 1,
        "load_ms": 7.6,
        "latency_ms": latency(p50),
        "peak_rss_bytes": 51_900_416,
        "arena_bytes": None,
        "roles": {"model": {"latency_ms": latency(p50), "undelegated": {"ADD": 3, "SOFTMAX": 7}}},
    }


def deployment() -> Document:
    """Return a deployment that passed every check, with every part there is."""
    ops = {"CONV_2D": 9, "ADD": 3, "MEAN": 1}
    artifact = {
        "role": "model",
        "file": "model.tflite",
        "bytes": 93_568,
        "sha256": "ab12" * 16,
        "precision": "int8",
        "ops": ops,
        "macs": 803_000,
        "parameters": 77_360,
        "sparsity": 0.5,
    }
    error = {"max_abs_error": 4.8e-6, "share_of_range": 2.5e-7}
    return {
        "schema": "edgearch/deployment@1",
        "model": "cnn",
        "variant": "cnn-resnet8",
        "device": "rpi",
        "device_title": "Raspberry Pi 4/5, 64-bit",
        "pipeline": "prune-int8",
        "precision": "int8",
        "dataset": "digits",
        "task": "classify",
        "seed": 0,
        "where": "stand-in",
        "host": None,
        "artifacts": [artifact],
        "sizes": [
            {"precision": "float32", "bytes": 315_528, "gzip_bytes": 291_000},
            {"precision": "int8", "bytes": 93_568, "gzip_bytes": 71_000},
        ],
        "fit": {
            "ok": True,
            "where": "estimated",
            "arena_bytes": 4_096,
            "unsupported": [],
            "ram_bytes": 60_004_096,
            "ram_limit_bytes": 1_000_000_000,
            "flash_bytes": 120_093_568,
            "flash_limit_bytes": 4_000_000_000,
        },
        "gate": {"tolerance": 1e-4, "kernels": {"optimized": {"model/logits": error}}},
        "score": {
            "metric": "accuracy",
            "higher_is_better": True,
            "examples": 360,
            "float": 0.9889,
            "float_ci95": [0.972, 0.996],
            "deployed": 0.9861,
            "deployed_ci95": [0.968, 0.994],
            "delta": -0.0028,
            "ci95": [-0.0083, 0.0],
            "p_value": 1.0,
            "where": "stand-in",
            "details": {"confusion": CONFUSION, "accuracy_by_length": BY_LENGTH},
        },
        "parity": {"against": "keras", "max_abs_error": 0.31, "agreement": 0.9972, "where": "stand-in"},
        "runtimes": [
            runtime("litert", 0.00723, True),
            runtime("tflite-runtime", 0.723, False),
            {"name": "armnn", "set_aside": "crashed with SIGSEGV", "chosen": False, "where": "stand-in"},
        ],
        "float32": {"name": "litert", "where": "stand-in", "p50_ms": 0.0182},
        "rewrites": [
            {
                "name": "sigmoid-gelu",
                "replaced": "GELU",
                "by": "x * sigmoid(1.702 * x)",
                "reason": "TensorFlow Lite Micro has no GELU.",
                "trained": True,
                "max_abs_error": 0.0084,
                "share_of_range": 0.0035,
            }
        ],
        "mixed": {
            "model": {
                "precision": "int8 + float32",
                "kept": [
                    {"role": "model", "op": "SOFTMAX", "tensor": "attend", "step": 3.92e6, "share": 0.875}
                ],
                "float": 0.99,
                "int8": 0.61,
                "mixed": 0.99,
            },
            "step": {"precision": "int16x8", "kept": [], "float": 1.0, "int8": 0.98, "mixed": 1.0},
        },
        "machine": {
            "architecture": "x86_64",
            "processor": "AMD EPYC",
            "cores": 2,
            "system": "Debian GNU/Linux 12 (bookworm)",
            "python": "3.11.7",
        },
        "condition": {
            "before": {"governor": None, "temperature_c": None, "throttled": None, "load_1min": 0.0},
            "after": {
                "governor": "ondemand",
                "frequency_khz": 1_800_000,
                "temperature_c": 61.2,
                "throttled": "0x0",
                "load_1min": 0.3,
            },
        },
        "stages": [
            {"name": "train", "seconds": 14.2, "cached": False},
            {"name": "measure", "seconds": 9.8, "cached": True},
        ],
        "failures": [],
        "notes": ["No host was named, so this machine stood in for the device."],
        "bundle": "build/deployments/cnn-resnet8-digits-rpi-prune-int8/bundle",
    }


def placed() -> Document:
    """Return a deployment to a device with an accelerator that does not take all of the model."""
    after = {"reason": "follows GELU on the CPU: what is on the Edge TPU is one part", "remedy": "See GELU."}
    return deployment() | {
        "placement": [
            {"op": "CONV_2D", "count": 7, "on": "edgetpu", "reason": "", "remedy": ""},
            {"op": "CONV_2D", "count": 2, "on": "cpu", **after},
            {"op": "GELU", "count": 1, "on": "cpu", "reason": "is not among them", "remedy": "Use RELU."},
            {"op": "CUSTOM:mine", "count": 1, "on": "none", "reason": "no such op", "remedy": "Rewrite it."},
        ],
        "accelerator": {
            "name": "edgetpu",
            "where": "estimated",
            "operators": 11,
            "mapped": 7,
            "parameter_bytes": 9_000_000,
            "parameter_limit_bytes": 8_000_000,
            "streamed_bytes": 1_000_000,
        },
    }


def emulated() -> Document:
    """Return a deployment to a microcontroller whose firmware ran on an emulated one."""
    roles = {
        "encoder": {
            "examples": 8, "steps": 1, "instructions": 1_234_560, "values": 80, "equal": 79,
            "largest_difference": 1.0,
        },
        "step": {
            "examples": 8, "steps": 10, "instructions": 40_000, "values": 80, "equal": 80,
            "largest_difference": 0.0,
        },
    }  # fmt: skip
    return deployment() | {"emulation": {"where": "emulated", "ok": True, "roles": roles}}


def failed() -> Document:
    """Return a deployment that a check ended: nothing was scored or measured."""
    document = deployment()
    for name in ("gate", "score", "parity", "runtimes", "machine", "condition", "bundle"):
        del document[name]
    lacking = {"op": "GELU", "reason": "op set 'tflm' lacks it", "remedy": "Train x·σ(1.702x) in its place."}
    document["artifacts"][0]["ops"]["GELU"] = 2
    document["fit"] |= {
        "ok": False,
        "where": "simulated",
        "unsupported": [lacking],
        "ram_bytes": 1_000_000_400,
    }
    return document | {"failures": ["It needs 400 bytes of RAM too much.", "GELU: op set 'tflm' lacks it."]}


def comparison() -> Document:
    """Return five precisions: three passed, one was too inaccurate, one never ran."""
    rows = [
        _row("float32", "float32", 315_528, 0.9889, 0.0, 1.0, 0.0182),
        _row("float16", "float16", 163_656, 0.9889, 0.0, 1.0, 0.0185),
        _row("int8", "int8", 93_568, 0.9861, -0.0028, 1.0, 0.00723),
        _row("prune-int8", "int8", 93_568, 0.9694, -0.0195, 0.016, 0.00729),
    ]
    rows[3]["failures"] = ["prune-int8 loses 0.0195 accuracy; the pipeline allows 0.01."]
    refused: Document = {"pipeline": "dynamic", "precision": "dynamic", "where": "stand-in", "stages": []}
    refused |= {"failures": ["The converter crashed with SIGSEGV."], "notes": [], "bundle": None}
    named = {
        key: deployment()[key] for key in ("model", "variant", "device", "device_title", "dataset", "where")
    }
    advice = {"pipeline": "int8", "precision": "int8", "p50_ms": 0.00723, "reason": "int8 measured fastest."}
    return {
        "schema": "edgearch/comparison@1",
        **named,
        "host": None,
        "precisions": [*rows, refused],
        "recommended": advice,
    }


def _row(
    pipeline: str, precision: str, size: int, value: float, delta: float, p_value: float, p50: float
) -> Document:
    row = deployment() | {"pipeline": pipeline, "precision": precision}
    row["artifacts"][0] |= {"bytes": size, "precision": precision}
    row["runtimes"] = [runtime("litert", p50, True)]
    row["score"] |= {
        "deployed": value,
        "deployed_ci95": [value - 0.018, value + 0.009],
        "delta": delta,
        "ci95": [delta - 0.01, delta + 0.01],
        "p_value": p_value,
    }
    return row


def run() -> Document:
    """Return what running a file of the user's own gave."""
    whole = deployment()
    kept = (
        "device",
        "device_title",
        "where",
        "precision",
        "artifacts",
        "fit",
        "runtimes",
        "failures",
        "notes",
    )
    return {
        "schema": "edgearch/run@1",
        "model": "models/person.tflite",
        **{name: whole[name] for name in kept},
        "inputs": "20 random examples",
        "outputs": "build/runs/person-rpi/outputs.npz",
        "output_shapes": {"logits": [20, 10]},
    }


def keys(value: object) -> set[str]:
    """Return every key of every mapping in ``value``."""
    if isinstance(value, dict):
        return set(value) | {key for one in value.values() for key in keys(one)}
    return {key for one in value for key in keys(one)} if isinstance(value, list) else set()


def having(value: Any, key: str, other: object) -> Any:
    """Return ``value`` with ``other`` wherever it says ``key``."""
    if isinstance(value, dict):
        return {name: other if name == key else having(one, key, other) for name, one in value.items()}
    return [having(one, key, other) for one in value] if isinstance(value, list) else copy.copy(value)


def lacking(value: Any, key: str) -> Any:
    """Return ``value`` without ``key``, wherever it is."""
    if isinstance(value, dict):
        return {name: lacking(one, key) for name, one in value.items() if name != key}
    return [lacking(one, key) for one in value] if isinstance(value, list) else value


def saying(value: Any, text: str) -> Any:
    """Return ``value`` with ``text`` behind every string but the schema, and behind every key of ``ops``."""
    if isinstance(value, dict):
        return {
            key: {f"{op}{text}": count for op, count in one.items()}
            if key == "ops"
            else one
            if key == "schema"
            else saying(one, text)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [saying(one, text) for one in value]
    return value + text if isinstance(value, str) else value


def broken(document: Document, others: Sequence[object]) -> Iterator[Document]:
    """Yield ``document`` with each of ``others`` in place of each key's value."""
    for key in sorted(keys(document) - {"schema", "model", "device", "where"}):
        for other in others:
            yield having(document, key, other)
