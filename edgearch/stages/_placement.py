"""Which processor of a device runs each operator of a model, why, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgearch.profiles import Device
from edgearch.stages import _vela
from edgearch.tflite import edgetpu
from edgearch.tflite import model as tflite
from edgearch.tflite.placement import Place, counted


@dataclass(frozen=True)
class Mapper:
    """What is known of an accelerator: where it puts a file's operators, and what the files take of it."""

    places: Callable[[Path, Device], Iterable[Place]]
    figures: Callable[[Sequence[Path], Device], dict[str, Any]]


def placed(
    device: Device, models: Sequence[Path], unsupported: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the facts ``placement`` and, of a device that has one, ``accelerator``.

    Args:
        device: has a processor and perhaps an accelerator before it.
        models: a file for each role.
        unsupported: what ``fit`` says its runtimes lack, each with an op, a reason and a remedy.

    Raises:
        ToolError: the accelerator's compiler was asked, and failed.
    """
    places = [place for model in models for place in _places(device, model)]
    found = [_stopped(device, place, unsupported) for place in places]
    facts: dict[str, Any] = {"placement": counted(found)}
    if device.accelerator:
        elsewhere = (device.processor, "none")
        facts["accelerator"] = {
            "name": device.accelerator,
            "where": "estimated",
            "operators": len(found),
            "mapped": sum(place.on not in elsewhere for place in found),
            **MAPPERS[device.accelerator].figures(models, device),
        }
    return facts


def fit_as_compiled(device: Device, fit: dict[str, Any], accelerator: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fit`` with the memory that the accelerator's compiler plans, where it says so.

    It plans nothing for what it leaves to the processor, and weights that it moves to DRAM are stored too.
    """
    if "sram_bytes" not in accelerator:
        return fit
    memory, whole = device.memory, accelerator["mapped"] == accelerator["operators"]
    arena = accelerator["sram_bytes"] if whole else max(accelerator["sram_bytes"], fit["arena_bytes"])
    ram = arena + memory.ram_overhead_bytes
    flash = max(accelerator["flash_bytes"] + memory.flash_overhead_bytes, fit["flash_bytes"])
    fits = ram <= memory.ram_bytes and flash <= memory.flash_bytes
    kept = {"where": "estimated", "arena_bytes": arena, "ram_bytes": ram, "flash_bytes": flash}
    return {**fit, **kept, "ok": fits and not fit["unsupported"]}


def _places(device: Device, path: Path) -> Iterable[Place]:
    if device.accelerator:
        return MAPPERS[device.accelerator].places(path, device)
    graphs = tflite.read(path).graphs
    return [Place(operator.name, device.processor) for graph in graphs for operator in graph.operators]


def _stopped(device: Device, place: Place, unsupported: Sequence[Mapping[str, Any]]) -> Place:
    """Take an operator off the processor if its runtimes lack it, or refuse the model as a whole."""
    if place.on != device.processor:
        return place
    for one in unsupported:
        if one["op"] in (place.op, "model"):
            return replace(place, on="none", reason=one["reason"], remedy=one["remedy"])
    return place


def _edge_tpu_places(path: Path, _device: Device) -> list[Place]:
    return edgetpu.places(tflite.read(path))


def _edge_tpu_figures(models: Sequence[Path], _device: Device) -> dict[str, Any]:
    """Return what parameters take of the memory on the chip; nothing of files that are compiled already."""
    known = [memory for model in models if (memory := edgetpu.memory(tflite.read(model)))]
    if not known:
        return {}
    needed = sum(one["parameter_bytes"] for one in known)
    limit = max(one["parameter_limit_bytes"] for one in known)
    return {
        "parameter_bytes": needed,
        "parameter_limit_bytes": limit,
        "streamed_bytes": max(needed - limit, 0),
    }


def _vela_places(path: Path, device: Device) -> list[Place]:
    return _vela.places(path, str(device.accelerator), device.processor)


def _vela_figures(models: Sequence[Path], device: Device) -> dict[str, Any]:
    return _vela.figures(models, str(device.accelerator))


_ETHOS_U = Mapper(_vela_places, _vela_figures)
# By the word in a profile's ``accelerator``.
MAPPERS: Mapping[str, Mapper] = {
    "edgetpu": Mapper(_edge_tpu_places, _edge_tpu_figures),
    "ethos-u55-128": _ETHOS_U,
    "ethos-u65-256": _ETHOS_U,
}
