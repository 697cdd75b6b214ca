"""A firmware project for a microcontroller: the models of a bundle with test vectors, ready to build.

What differs between projects is data: arrays of bytes, a list of operators, sizes. The rest is plain C++
under ``templates/`` that is copied as it is. Names come from untrusted files: they never become paths, and
reach the project as C identifiers that are made safe and as escaped literals.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from edgearch.agent.bundle import models_digest
from edgearch.errors import RequestError
from edgearch.firmware import literals, vectors
from edgearch.firmware.vectors import Role
from edgearch.profiles import Device, Firmware
from edgearch.tflite import model as tflite
from edgearch.work import Arrays

_HERE = Path(__file__).parent
_TEMPLATES = _HERE / "templates"
_SUFFIX = ".j2"
# Which field of a profile's firmware asks for a part of the project; all others are in every project.
_ASKED_FOR_BY = {
    "cortex_m": "bare_metal",
    "CMakeLists.txt": "bare_metal",
    "examples": "arduino",
    "library.properties": "arduino",
}
FILES = (_HERE / "operators.toml", *sorted(path for path in _TEMPLATES.rglob("*") if path.is_file()))
_KIB = 1024
TICKS_PER_SECOND = 1_000_000  # of the Arduino sketch that serves: micros()
_ALIGNMENT = 16  # bytes: what TensorFlow Lite Micro aligns its arena to


class NoRoomError(Exception):
    """Flash has no room for a single test vector."""


@dataclass(frozen=True)
class Content:
    """What the templates are filled with."""

    device: Device
    title: str
    digest: str
    roles: tuple[Role, ...]
    operators: tuple[str, ...]
    measured_bytes: int
    arena_bytes: int


def write(
    folder: Path,
    bundle: Path,
    device: Device,
    fit: dict[str, Any],
    title: str,
    expected: Arrays | None = None,
) -> list[Path]:
    """Write the firmware project of ``bundle`` into ``folder`` and return its files.

    Args:
        folder: Where to; made if need be.
        bundle: A bundle's folder, with its models, inputs and expected outputs.
        device: A profile with a ``firmware`` part.
        fit: What ``check`` found: ``arena_bytes`` as measured, and ``flash_bytes`` without test vectors.
        title: What the model is called, for people.
        expected: Answers to hold the device's against, in place of the bundle's.

    Raises:
        NoRoomError: flash holds the model, but not one test vector beside it.
        RequestError: an operator or a tensor type that no project can hold.
    """
    asked = _asked(device)
    room = device.memory.flash_bytes - int(fit["flash_bytes"])
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    roles = vectors.of_bundle(bundle, manifest["roles"], asked.vectors, room, expected)
    if not roles:
        raise NoRoomError(f"{device.name} has {room:,} bytes of flash left, less than one test vector takes.")
    content = Content(
        device=device,
        title=literals.plain(title),
        digest=models_digest(manifest),
        roles=roles,
        operators=operators(bundle / export["file"] for export in manifest["roles"].values()),
        measured_bytes=int(fit["arena_bytes"]),
        arena_bytes=arena_bytes(int(fit["arena_bytes"]), device),
    )
    return [_render(folder, source, content) for source in _sources(asked)]


def _asked(device: Device) -> Firmware:
    if device.firmware is None:
        raise RequestError(f"The profile of {device.name} asks for no firmware: it has no [firmware] table.")
    return device.firmware


def arena_bytes(measured: int, device: Device) -> int:
    """Return the tensor arena to reserve: ``measured`` with the profile's margin, in whole KiB.

    It is never less than what was measured, and no more than the RAM that the profile leaves for it, of which
    ``check`` has made sure that what was measured fits.
    """
    roomy = -(-(measured + _asked(device).arena_margin_bytes) // _KIB) * _KIB
    left = (device.memory.ram_bytes - device.memory.ram_overhead_bytes) // _ALIGNMENT * _ALIGNMENT
    return max(measured, min(roomy, left))


def operators(models: Iterable[Path]) -> tuple[str, ...]:
    """Return the resolver's methods for exactly the operators of ``models``, sorted.

    Raises:
        RequestError: TensorFlow Lite Micro has no such operator.
    """
    known = _methods()
    used = sorted({name for path in models for name in tflite.read(path).ops()})
    lacking = [literals.plain(name) for name in used if name not in known]
    if lacking:
        raise RequestError(
            f"No firmware can be made: TensorFlow Lite Micro has no {' and no '.join(lacking)}. "
            "Take it out of the device's op set, and check says so before."
        )
    return tuple(known[name] for name in used)


@cache
def _methods() -> dict[str, str]:
    text = (_HERE / "operators.toml").read_text(encoding="utf-8")
    return {str(op): str(method) for op, method in tomllib.loads(text).items()}


def _sources(asked: Firmware) -> list[Path]:
    return [path for path in FILES if path.is_relative_to(_TEMPLATES) and _wanted(path, asked)]


def _wanted(path: Path, asked: Firmware) -> bool:
    part = path.relative_to(_TEMPLATES).parts[0].removesuffix(_SUFFIX)
    return part not in _ASKED_FOR_BY or getattr(asked, _ASKED_FOR_BY[part]) is not None


def _render(folder: Path, source: Path, content: Content) -> Path:
    name = source.relative_to(_TEMPLATES)
    target = folder / name.with_name(name.name.removesuffix(_SUFFIX))
    target.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text(encoding="utf-8")
    filled = _environment().from_string(text).render(_values(content)) if source.suffix == _SUFFIX else text
    target.write_text(filled, encoding="utf-8")
    return target


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        autoescape=False,  # noqa: S701 - C++, CMake and Markdown: literals.py escapes what comes from files
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _hello(content: Content) -> dict[str, Any]:
    """Return what the firmware says of itself on a serial line."""
    return {
        "schema": "edgearch/board@1",
        "board": content.device.name,
        "model": content.title,
        "digest": content.digest,
        "ticks_per_second": TICKS_PER_SECOND,
    }


def _values(content: Content) -> dict[str, Any]:
    device, roles, asked = content.device, content.roles, _asked(content.device)
    examples = ", ".join(f"{role.examples} of {literals.plain(role.title)}" for role in roles)
    return {
        "bare_metal": asked.bare_metal,
        "arduino": asked.arduino,
        "memory": device.memory,
        "stack_bytes": device.memory.ram_overhead_bytes // 2,
        "device_title": literals.plain(device.title),
        "model_title": content.title,
        "model_literal": literals.json_literal(content.title),
        "hello_literal": literals.json_literal(_hello(content)),
        "roles": roles,
        "examples": f"examples ({examples})",
        "tensors": [row for role in roles for row in role.tensors],
        "max_outputs": max(len(role.outputs) for role in roles),
        "state_bytes": max(1, *(sum(state.array.row_bytes for state in role.states) for role in roles)),
        "model_bytes": sum(len(role.model) for role in roles),
        "operators": content.operators,
        "measured_bytes": content.measured_bytes,
        "arena_bytes": content.arena_bytes,
    }
