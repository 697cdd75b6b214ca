"""Ship the bundle, run it in every runtime the profile allows, and score what the device answered.

A microcontroller that is not there is emulated too, where a source tree of TensorFlow Lite Micro is named.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pydantic import Field

from edgearch import firmware, transports
from edgearch.errors import DeviceError
from edgearch.firmware import emulator
from edgearch.profiles import Device
from edgearch.records import Strict
from edgearch.runtimes import hardware
from edgearch.stages import _bundle, _device, package, validate
from edgearch.transports import Transport
from edgearch.work import Arrays, Request, Work, load_arrays, save_arrays

AFTER = ("train", "convert", "validate", "package")
DEPENDS = ("device", "host", "task")
PACKAGES = ("scipy", "numpy")
NEEDS_TENSORFLOW = False
FLOAT32_EXAMPLES = 20  # enough to time float32 with, beside the precision that is deployed


class Settings(Strict):
    """``seconds``: how long each runtime is timed, after one pass over all test inputs."""

    seconds: float = Field(default=1.5, gt=0, le=600)


def machine(request: Request) -> str | None:
    """Return what here decides how it is measured, unless another machine does: hardware, an emulator."""
    if request.host:
        return None
    found = [*map(hardware, request.device.runtimes), emulator.state(request.device)]
    return " ".join(filter(None, found)) or None


def run(work: Work, settings: Settings) -> Work:
    """Measure on the device, or on this machine as its stand-in, and say which."""
    request = work.request
    connection = transports.connect(request.device, request.host)
    try:
        answer, outputs = _device.measure(
            connection, work, work.files["archive"], request.device.runtimes, settings.seconds
        )
        beside = _float32(work, connection, answer["runtimes"], settings)
    finally:
        connection.close()
    runtimes = labelled(answer["runtimes"], request.where)
    refuse_if_none(request.device, runtimes)
    where = chosen(runtimes)["where"]
    measured = work.plus(
        {"outputs": save_arrays(work.folder / "outputs.npz", outputs)},
        where=where,
        runtimes=runtimes,
        float32=beside,
        machine=answer["machine"],
        condition=answer["condition"],
        score={**validate.compare_scores(work, outputs), "where": where},
        parity={**validate.parity(work, outputs), "where": where},
    )
    return over_budget(with_emulation(measured, outputs), runtimes)


def with_emulation(work: Work, outputs: Arrays) -> Work:
    """Build the firmware, run it in the emulator, and let what was linked and run there count as ``fit``.

    Its answers are held against ``outputs``, those of TensorFlow Lite Micro's kernels on this machine.
    """
    device = work.request.device
    sources = None if work.request.host else emulator.tree(device)
    bundle = work.files["bundle/manifest.json"].parent
    if sources is None or "fit" not in work.facts:
        return work
    with tempfile.TemporaryDirectory(prefix="edgearch-") as folder:
        project = Path(folder) / "firmware"
        try:
            firmware.write(project, bundle, device, work.facts["fit"], work.request.variant, outputs)
            found = emulator.run(project, device, sources, work.progress)
        except firmware.NoRoomError:  # package has said so
            return work
        except emulator.TooLargeError as error:
            return work.failed(f"{device.name}: {error} Use int8 or a narrower variant.")
    kept = {name: found[name] for name in ("where", "arena_bytes", "ram_bytes", "flash_bytes")}
    emulated = work.plus(emulation=found, fit={**work.facts["fit"], **kept})
    if found["ok"]:
        return emulated
    return emulated.failed(
        "On the emulated processor the answers differ from those of the same kernels here."
    )


def _float32(
    work: Work, connection: Transport, runtimes: list[dict[str, Any]], settings: Settings
) -> dict[str, Any] | None:
    """Time float32 in the chosen runtime, the same minute on the same machine: integers may be slower.

    Nothing where the precision is float32 itself, the device does not run it, the clock is not its own, or
    the models are part of a firmware.
    """
    device, where = work.request.device, work.request.where
    fastest = next((runtime["name"] for runtime in runtimes if runtime["chosen"]), None)
    if work.facts["precision"] == "float32" or "float32" not in device.precisions:
        return None
    if fastest is None or where == "simulated" or device.firmware:
        return None
    inputs = {
        name: value[:FLOAT32_EXAMPLES] for name, value in load_arrays(work.files["stacked_inputs"]).items()
    }
    folder = work.folder / "float32"
    _bundle.write(folder, _bundle.models_of(work, "float32"), "float32", inputs, {}, _bundle.driving(work))
    archive = package.pack(folder, work.folder / "float32.zip")
    answer, _ = _device.measure(connection, work, archive, (fastest,), settings.seconds)
    (found,) = answer["runtimes"]
    if "set_aside" in found:
        return None
    return {"name": fastest, "where": found.get("where", where), "p50_ms": found["latency_ms"]["p50"]}


def labelled(runtimes: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    """Say how each runtime's figures were obtained: as the machine's, unless it says otherwise itself."""
    return [{"where": where, **runtime} for runtime in runtimes]


def refuse_if_none(device: Device, runtimes: list[dict[str, Any]]) -> None:
    """Raise a DeviceError with every reason if no runtime could be chosen."""
    if not any(runtime["chosen"] for runtime in runtimes):
        reasons = "; ".join(f"{one['name']}: {one['set_aside'].rstrip('.')}" for one in runtimes)
        raise DeviceError(f"No runtime of {device.name} ran the model. {reasons}.")


def chosen(runtimes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the chosen runtime; there is one."""
    return next(runtime for runtime in runtimes if runtime["chosen"])


def over_budget(work: Work, runtimes: list[dict[str, Any]]) -> Work:
    """Fail the work if the real device took longer than its profile's latency budget."""
    budget = work.request.device.latency_budget_ms
    fastest = chosen(runtimes)
    p50 = fastest["latency_ms"]["p50"]
    if budget is not None and fastest["where"] == "device" and p50 > budget:
        return work.failed(f"The median inference took {p50:.3g} ms; the profile's budget is {budget} ms.")
    return work
