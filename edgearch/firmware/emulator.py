"""A firmware project built with a source tree of TensorFlow Lite Micro, and run on an emulated Cortex-M.

The tree is what the environment variable ``TFLM_DIR`` names; TensorFlow Lite Micro is in no package registry.
Its library is built once for a processor and kept in the user's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import platformdirs

from edgearch import processes
from edgearch.errors import RequestError, ToolError
from edgearch.profiles import BareMetal, Device
from edgearch.work import Progress

VARIABLE = "TFLM_DIR"
_HEADER = "tensorflow/lite/micro/micro_interpreter.h"
_THIRD_PARTY = (
    "flatbuffers/include/flatbuffers/flatbuffers.h",
    "gemmlowp/fixedpoint/fixedpoint.h",
    "ruy/ruy/profiler/instrumentation.h",
)
PACKAGES = {  # a tool → the Debian packages that have it
    "arm-none-eabi-g++": "gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    "cmake": "cmake",
    "make": "make",
    "qemu-system-arm": "qemu-system-arm",
}
_SECONDS_TO_BUILD, _SECONDS_TO_RUN = 3600, 600
_UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
# As `ld --print-memory-usage` prints it, and what it says where a region is too small for the program.
_REGION = re.compile(r"^\s*(FLASH|RAM):\s+(\d+) ([KMG]?B)\s", re.MULTILINE)
_TOO_LARGE = re.compile(
    r"region `(\w+)' overflowed by (\d+) bytes|(less than \d+ bytes of RAM are left[\w ]*)"
)
# A piece of the map that goes to flash: section, address, size, object file; a long name has its own line.
_PIECE = re.compile(
    r"^ \.(?:text|rodata|data|init_array|ARM\.ex)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s+(\S+)$", re.MULTILINE
)


class TooLargeError(Exception):
    """The linker found that flash or RAM does not hold the program."""


def tree(device: Device) -> Path | None:
    """Return the named source tree, where the device's profile says how what is built of it is run."""
    named, bare_metal = os.environ.get(VARIABLE), _bare_metal(device)
    return Path(named).resolve() if named and bare_metal and bare_metal.run else None


def state(device: Device) -> str:
    """Return a word for the named sources and the compiler, on which figures depend; nothing without any."""
    sources = tree(device)
    return _state(sources) if sources else ""


def _state(sources: Path) -> str:
    _, compiler = processes.run(["arm-none-eabi-g++", "-dumpfullversion"], 60)
    changed = max(path.stat().st_mtime_ns for path in (sources / "tensorflow/lite").rglob("*.[ch]*"))
    return f"{sources} {changed} {compiler}"


def check(device: Device) -> None:
    """Raise a RequestError if a source tree is named and it, or a tool, is not there."""
    named = tree(device)
    if named is None:
        return
    if not (named / _HEADER).is_file():
        raise RequestError(
            f"{VARIABLE}={named}: expected a source tree of TensorFlow Lite Micro, found no {_HEADER}. "
            f"Name another, or unset {VARIABLE}: TensorFlow Lite Micro's kernels on this machine answer then."
        )
    places = [named / "tensorflow/lite/micro/tools/make/downloads", named / "third_party"]
    lacking = [one for one in _THIRD_PARTY if not any((place / one).is_file() for place in places)]
    if lacking:
        raise RequestError(
            f"{VARIABLE}={named}: it lacks the headers that TensorFlow Lite Micro downloads "
            f"({', '.join(lacking)}). In that folder: make -f tensorflow/lite/micro/tools/make/Makefile "
            "third_party_downloads."
        )
    missing = [tool for tool in PACKAGES if shutil.which(tool) is None]
    if missing:
        raise RequestError(
            f"{VARIABLE} is set, and building and running the firmware needs {', '.join(missing)}: "
            f"sudo apt install {' '.join(PACKAGES[tool] for tool in missing)}."
        )


def run(project: Path, device: Device, sources: Path, progress: Progress) -> dict[str, Any]:
    """Build ``project`` with ``sources``, run it, and return what was found.

    Returns:
        ``ok``; ``flash_bytes``, without the test vectors; ``ram_bytes``, with the stack that is reserved;
        ``arena_bytes``, what the interpreters took of it; and for each role its examples and steps, the
        most ``instructions`` that an inference took, how many of its ``values`` were ``equal`` to those
        expected, and their ``largest_difference`` in quantization steps.

    Raises:
        RequestError: the profile names no emulator.
        TooLargeError: flash or RAM does not hold it.
        ToolError: the build failed, or the program did not end or could not run a role.
    """
    bare_metal = _bare_metal(device)
    if bare_metal is None or bare_metal.run is None:
        raise RequestError(f"The profile of {device.name} names no emulator: run of [firmware.bare_metal].")
    library = _library(project, bare_metal, sources, progress)
    progress(None, "building the firmware")
    said = _built(project, [f"-D{VARIABLE}={sources}", f"-DTFLM_LIBRARY={library}"], [], progress)
    sizes = {region: int(count) * _UNITS[unit] for region, count, unit in _REGION.findall(said)}
    if sizes.keys() != {"FLASH", "RAM"}:
        raise ToolError(f"The linker did not say how much memory the firmware takes: {said[-400:]}")
    vectors = _bytes_of(project / "build" / "firmware.map", "test_vectors.cc")
    progress(None, "running the firmware in QEMU")
    found = _answer(project, bare_metal.run)
    per_tick = bare_metal.instructions_per_second / bare_metal.clock_hz
    roles = {name: _role(role, per_tick) for name, role in found["roles"].items()}
    return {
        "where": "emulated",
        "ok": found["ok"],
        "flash_bytes": sizes["FLASH"] - vectors,
        "ram_bytes": sizes["RAM"] + device.memory.ram_overhead_bytes // 2,
        "arena_bytes": max(role["arena_bytes"] for role in found["roles"].values()),
        "roles": roles,
    }


def _role(found: dict[str, Any], per_tick: float) -> dict[str, Any]:
    if "error" in found:
        raise ToolError(f"The firmware ran in QEMU and could not go on: {found['error']}.")
    outputs = found["outputs"].values()
    differences = [one["largest_difference"] for one in outputs]  # null: no number, or a very large one
    return {
        "examples": found["examples"],
        "steps": found["steps"],
        "instructions": round(found["latency_ticks"]["max"] * per_tick),
        "values": sum(one["values"] for one in outputs),
        "equal": sum(one["equal"] for one in outputs),
        "largest_difference": None if None in differences else max(differences),
    }


def _bare_metal(device: Device) -> BareMetal | None:
    return device.firmware.bare_metal if device.firmware else None


def _library(project: Path, bare_metal: BareMetal, sources: Path, progress: Progress) -> Path:
    """Return libtflm.a for the processor, built first if need be: whole or not at all."""
    cache = platformdirs.user_cache_path("edgearch", ensure_exists=True)
    kept = cache / f"libtflm-{_key(project, bare_metal, sources)}.a"
    with (cache / "libtflm.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two deployments at once: the second waits and finds it
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix=".tflm-") as folder:
                copy = shutil.copytree(project, Path(folder) / "project")
                progress(None, "building TensorFlow Lite Micro (minutes, once)")
                _built(copy, [f"-D{VARIABLE}={sources}"], ["--target", "tflm"], progress)
                (copy / "build" / "libtflm.a").replace(kept)
    return kept


def _key(project: Path, bare_metal: BareMetal, sources: Path) -> str:
    """Name what the library depends on: sources, compiler, its options and the recipe."""
    recipe = (project / "CMakeLists.txt").read_text(encoding="utf-8")
    parts = [_state(sources), *bare_metal.cpu_flags, recipe]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _built(project: Path, options: list[str], target: list[str], progress: Progress) -> str:
    def hear(line: str) -> None:
        share = re.match(r"\[\s*(\d+)%\]", line)
        if share:
            progress(int(share[1]) / 100, "building")

    parallel = ["-j", str(os.cpu_count() or 1)]
    said = ""
    for command in (["cmake", "-B", "build", *options], ["cmake", "--build", "build", *parallel, *target]):
        try:
            code, said = processes.run(command, _SECONDS_TO_BUILD, project, hear)
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"cmake took longer than {_SECONDS_TO_BUILD} s to build the firmware.") from error
        over = _TOO_LARGE.search(said)
        if code and over:
            what = over[3] or f"{over[1]} is {int(over[2]):,} bytes too small for the firmware"
            raise TooLargeError(f"The linker says: {what}.")
        if code:
            errors = [line for line in said.splitlines() if "error" in line.lower()] or [said[-400:]]
            raise ToolError(
                f"cmake could not build the firmware: {errors[0].strip()} The firmware's README.md says what "
                f"the tree that {VARIABLE} names must have."
            )
    return said


def _bytes_of(map_file: Path, source: str) -> int:
    """Return what the object made of ``source`` takes of the linked program."""
    text = map_file.read_text(encoding="utf-8", errors="replace")
    linked = text.partition("Linker script and memory map")[2]  # before it stands what was discarded
    return sum(int(size, 16) for size, of in _PIECE.findall(linked) if f"/{source}." in of)


def _answer(project: Path, command: str) -> dict[str, Any]:
    try:
        code, said = processes.run(shlex.split(command), _SECONDS_TO_RUN, project)
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"The firmware did not end within {_SECONDS_TO_RUN} s in QEMU: {command}, in {project}."
        ) from error
    try:
        found: dict[str, Any] = json.loads(said[said.index("{") :])  # QEMU may warn before
    except ValueError as error:
        raise ToolError(f"The firmware gave no answer in QEMU (exit status {code}): {said[-400:]}") from error
    if not found["roles"]:
        raise ToolError("The firmware ran in QEMU and could not add its operators to the resolver.")
    return found
