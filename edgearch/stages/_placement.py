"""Which processor of a device runs each operator of a model, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from edgearch.profiles import Device
from edgearch.tflite import edgetpu
from edgearch.tflite.model import Model
from edgearch.tflite.placement import Place, counted

# What each accelerator of a profile takes: modules with ``places`` and ``memory``.
MAPPERS: Mapping[str, ModuleType] = {"edgetpu": edgetpu}


def placed(
    device: Device, models: Sequence[Model], unsupported: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the facts ``placement`` and, of a device that has one, ``accelerator``.

    Args:
        device: has a processor and perhaps an accelerator before it.
        models: one for each role.
        unsupported: what ``fit`` says its runtimes lack, each with an op, a reason and a remedy.
    """
    places = [place for model in models for place in _places(device, model)]
    found = [_stopped(device, place, unsupported) for place in places]
    facts: dict[str, Any] = {"placement": counted(found)}
    if device.accelerator:
        facts["accelerator"] = _accelerator(device.accelerator, models, found)
    return facts


def _places(device: Device, model: Model) -> Iterable[Place]:
    if device.accelerator:
        found: list[Place] = MAPPERS[device.accelerator].places(model)
        return found
    return [Place(operator.name, device.processor) for graph in model.graphs for operator in graph.operators]


def _stopped(device: Device, place: Place, unsupported: Sequence[Mapping[str, Any]]) -> Place:
    """Take an operator off the processor if its runtimes lack it, or refuse the model as a whole."""
    if place.on != device.processor:
        return place
    for one in unsupported:
        if one["op"] in (place.op, "model"):
            return replace(place, on="none", reason=one["reason"], remedy=one["remedy"])
    return place


def _accelerator(name: str, models: Sequence[Model], places: Sequence[Place]) -> dict[str, Any]:
    """Return how much of the models the accelerator takes: operators, and bytes of its own memory."""
    known = [memory for model in models if (memory := MAPPERS[name].memory(model))]
    needed = sum(one["parameter_bytes"] for one in known)
    limit = max((one["parameter_limit_bytes"] for one in known), default=0)
    sizes = {
        "parameter_bytes": needed,
        "parameter_limit_bytes": limit,
        "streamed_bytes": max(needed - limit, 0),
    }
    return {
        "name": name,
        "where": "estimated",
        "operators": len(places),
        "mapped": sum(place.on == name for place in places),
        **(sizes if known else {}),
    }
