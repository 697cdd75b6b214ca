"""Ship the bundle, run it in every runtime the profile allows, and score what the device answered."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from edgearch import transports
from edgearch.errors import DeviceError
from edgearch.profiles import Device, Strict
from edgearch.stages import _device, validate
from edgearch.work import Work, save_arrays

DEPENDS = ("device", "host", "task")
PACKAGES = ("scipy", "numpy")
NEEDS_TENSORFLOW = False


class Settings(Strict):
    """``seconds``: how long each runtime is timed, after one pass over all test inputs."""

    seconds: float = Field(default=1.5, gt=0, le=600)


def run(work: Work, settings: Settings) -> Work:
    """Measure on the device, or on this machine as its stand-in, and say which."""
    request = work.request
    connection = transports.connect(request.device, request.host)
    try:
        answer, outputs = _device.measure(
            connection, work, work.files["archive"], request.device.runtimes, settings.seconds
        )
    finally:
        connection.close()
    runtimes = [{**runtime, "where": request.where} for runtime in answer["runtimes"]]
    refuse_if_none(request.device, runtimes)
    measured = work.plus(
        {"outputs": save_arrays(work.folder / "outputs.npz", outputs)},
        where=request.where,
        runtimes=runtimes,
        machine=answer["machine"],
        condition=answer["condition"],
        score={**validate.compare_scores(work, outputs), "where": request.where},
        parity={**validate.parity(work, outputs), "where": request.where},
    )
    return over_budget(measured, runtimes)


def refuse_if_none(device: Device, runtimes: list[dict[str, Any]]) -> None:
    """Raise a DeviceError with every reason if no runtime could be chosen."""
    if not any(runtime["chosen"] for runtime in runtimes):
        reasons = "; ".join(f"{runtime['name']}: {runtime['set_aside']}" for runtime in runtimes)
        raise DeviceError(f"No runtime of {device.name} ran the model. {reasons}.")


def over_budget(work: Work, runtimes: list[dict[str, Any]]) -> Work:
    """Fail the work if the real device took longer than its profile's latency budget."""
    budget = work.request.device.latency_budget_ms
    p50 = next(runtime["latency_ms"]["p50"] for runtime in runtimes if runtime["chosen"])
    if budget is not None and work.request.where == "device" and p50 > budget:
        return work.failed(f"The median inference took {p50:.3g} ms; the profile's budget is {budget} ms.")
    return work
