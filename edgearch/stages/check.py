"""Hold the model against the device profile: operators, precision, RAM and flash."""

from __future__ import annotations

import gzip
import re
import tomllib
from collections import Counter
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from edgearch.profiles import Device, Precision
from edgearch.records import Strict
from edgearch.stages import _bundle, _device, _placement
from edgearch.tflite import costs
from edgearch.tflite import model as tflite
from edgearch.work import Work, load_arrays

AFTER = ("train", "convert")
DEPENDS = ("device",)
PACKAGES = ("ai-edge-litert",)
NEEDS_TENSORFLOW = False
FILES = (Path(costs.__file__).with_name("remedies.toml"), Path(costs.__file__).with_name("edgetpu.toml"))


class Settings(Strict):
    """The limits stand in the device profile."""


def run(work: Work, _settings: Settings) -> Work:
    """Describe the artifacts, and say whether and why not they fit."""
    device, precision = work.request.device, work.facts["precision"]
    work = without_unsupported(work)
    models = _bundle.models_of(work, precision)
    mixed = work.facts.get("mixed", {})
    artifacts = [
        artifact(role, path, mixed.get(role, {}).get("precision", precision)) for role, path in models.items()
    ]
    fit = fitting(work, models, artifacts)
    refused = device.refusal(precision)
    stopped = [*fit["unsupported"]]
    if refused and device.accelerator is None:
        stopped.append({"op": "model", "reason": refused[0], "remedy": refused[1]})
    placed = _placement.placed(device, list(models.values()), stopped)
    fit = _placement.fit_as_compiled(device, fit, placed.get("accelerator", {}))
    sizes = _sizes(work, artifacts[0]["precision"])
    checked = work.plus(artifacts=artifacts, fit=fit, **placed, sizes=sizes)
    if refused:
        checked = checked.failed(". ".join(refused))
    for reason in complaints(device, fit):
        checked = checked.failed(reason)
    return checked


def without_unsupported(work: Work) -> Work:
    """Leave out each role with operators that the device lacks, where another stands in for it."""
    device, precision = work.request.device, work.facts["precision"]
    lacking = {
        role: [one["op"] for one in unsupported_ops(device, tflite.read(path).ops())]
        for role, path in _bundle.models_of(work, precision).items()
    }
    for role, ops in lacking.items():
        instead = work.facts.get("instead", {}).get(role)
        if ops and instead in lacking and not lacking[instead]:
            work = _bundle.without(work, role, f"{device.name} has no {' and no '.join(ops)}")
    return work


def artifact(role: str, path: Path, precision: str) -> dict[str, Any]:
    """Describe one file: bytes, operators, multiply-accumulates, parameters, zeros."""
    model = tflite.read(path)
    return {
        "role": role,
        "file": path.name,
        "bytes": model.bytes,
        "sha256": _bundle.digest(path),
        "precision": precision,
        "ops": model.ops(),
        "macs": costs.macs(model),
        "parameters": costs.parameters(model),
        "sparsity": round(costs.sparsity(model), 4),
    }


def fitting(work: Work, models: dict[str, Path], artifacts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ``fit`` part of a deployment: memory against limits, and operators the device lacks."""
    device = work.request.device
    memory = device.memory
    parsed = {role: tflite.read(path) for role, path in models.items()}
    unsupported = unsupported_ops(device, sum((Counter(model.ops()) for model in parsed.values()), Counter()))
    arena, where = max(costs.arena_bytes(model) for model in parsed.values()), "estimated"
    # The estimate is a lower bound: over the limit already, running the model would only take long to say so.
    if device.arena_runtime and not unsupported and arena + memory.ram_overhead_bytes <= memory.ram_bytes:
        recorded = _recorded_arena(work, models)
        if "reason" in recorded:
            unsupported.append(recorded)
        else:
            arena, where = recorded["arena_bytes"], "simulated"
    model_bytes = sum(one["bytes"] for one in artifacts)
    ram = arena + memory.ram_overhead_bytes
    if device.operators is None:
        ram += model_bytes  # an operating system maps the file; a microcontroller reads it in flash
    flash = model_bytes + memory.flash_overhead_bytes
    return {
        "ok": not unsupported and ram <= memory.ram_bytes and flash <= memory.flash_bytes,
        "where": where,
        "arena_bytes": arena,
        "unsupported": unsupported,
        "ram_bytes": ram,
        "ram_limit_bytes": memory.ram_bytes,
        "flash_bytes": flash,
        "flash_limit_bytes": memory.flash_bytes,
    }


def unsupported_ops(device: Device, ops: dict[str, int]) -> list[dict[str, Any]]:
    """Return the operators that the device's op set lacks, each with a reason and a remedy."""
    lacking = [op for op in ops if not _has(device, op)]
    what = f"op set {device.opset!r} of {device.name} has no such operator"
    if device.missing_operators:
        what = f"the runtime of {device.name} has no such operator"
    return [{"op": op, "count": ops[op], "reason": what, "remedy": _remedy(op)} for op in lacking]


def _has(device: Device, op: str) -> bool:
    if op.startswith("CUSTOM:"):
        return op.removeprefix("CUSTOM:") in device.custom_operators
    return op not in device.missing_operators and (device.operators is None or op in device.operators)


def complaints(device: Device, fit: dict[str, Any]) -> list[str]:
    """Return one sentence for each thing that does not fit."""
    found = [f"{one['op']}: {one['reason']}. {one['remedy']}" for one in fit["unsupported"]]
    for kind, remedy in (
        ("ram", "Use int8, a narrower variant, or a smaller input"),
        ("flash", "Use int8 or a variant with fewer parameters"),
    ):
        needed, limit = fit[f"{kind}_bytes"], fit[f"{kind}_limit_bytes"]
        if needed > limit:
            found.append(
                f"{device.name} has {limit:,} bytes of {kind.upper() if kind == 'ram' else kind}, "
                f"the model with its runtime needs {needed:,} ({fit['where']}). {remedy}."
            )
    return found


def _recorded_arena(work: Work, models: dict[str, Path]) -> dict[str, Any]:
    """Run the models once in the device's arena-recording runtime, on this machine."""
    device = work.request.device
    runtime = str(device.arena_runtime)
    work.progress(None, f"recording the tensor arena with {runtime}")
    inputs = {
        f"{role}/{name}": value[:1]
        for role in models
        for name, value in load_arrays(work.files[f"{role}.inputs"]).items()
    }
    driving = _bundle.driving(work)
    folder = _bundle.write(work.folder / "arena", models, work.facts["precision"], inputs, {}, driving)
    answer = _device.measure_here(work, folder, (runtime,), seconds=0)
    (found,) = answer["runtimes"]
    if "set_aside" in found:
        op = re.search(r"(?:opcode '|Node )(\w+)", found["set_aside"])
        name = op.group(1) if op else "model"
        remedy = _remedy("uint8" if any(map(_has_uint8_weights, models.values())) else name)
        return {"op": name, "reason": f"{runtime}: {found['set_aside']}", "remedy": remedy}
    return {"arena_bytes": max(role["arena_bytes"] for role in found["roles"].values())}


def _has_uint8_weights(path: Path) -> bool:
    tensors = tflite.read(path).main.tensors
    return any(one.dtype == "uint8" and one.data is not None for one in tensors)


def _sizes(work: Work, deployed: str) -> list[dict[str, Any]]:
    """Return bytes and gzipped bytes of every precision that was converted; the one ``deployed`` by its name.

    int8 may be deployed in part only, and is then called after all that it is.
    """
    found = []
    for precision in get_args(Precision):
        paths = [work.files.get(f"{role}.{precision}") for role in work.facts["roles"]]
        contents = [path.read_bytes() for path in paths if path]
        if contents:
            found.append(
                {
                    "precision": deployed if precision == work.facts["precision"] else precision,
                    "bytes": sum(map(len, contents)),
                    "gzip_bytes": sum(len(gzip.compress(content, mtime=0)) for content in contents),
                }
            )
    return found


@cache
def _remedies() -> dict[str, str]:
    text = resources.files("edgearch.tflite").joinpath("remedies.toml").read_text(encoding="utf-8")
    return {str(op): str(remedy) for op, remedy in tomllib.loads(text).items()}


def _remedy(op: str) -> str:
    known = _remedies()
    return known.get(op, known["otherwise"])
