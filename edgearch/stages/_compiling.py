"""Make models ready for an accelerator with its maker's compiler, on a machine that has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgearch import processes
from edgearch.errors import ToolError
from edgearch.profiles import Device
from edgearch.tflite import edgetpu
from edgearch.tflite import model as tflite

TIMEOUT_SECONDS = 600
SAID_CHARACTERS = 600  # of a compiler's output in an error: it ends with what went wrong


@dataclass(frozen=True)
class Compiler:
    """A program that takes ``arguments``, a folder and a model, and writes the model's name with ``suffix``.

    ``operator`` is what stands in a compiled model for all that runs on the accelerator; ``source`` says
    where the program is to be had.
    """

    program: str
    arguments: tuple[str, ...]
    suffix: str
    operator: str
    source: str


COMPILERS: Mapping[str, Compiler] = {
    "edgetpu": Compiler(
        "edgetpu_compiler",
        ("--show_operations", "--out_dir"),
        "_edgetpu",
        edgetpu.COMPILED,
        "Coral publishes it for Debian on x86-64: https://coral.ai/docs/edgetpu/compiler/",
    ),
    **{
        name: Compiler(
            "vela",
            ("--accelerator-config", name, "--output-dir"),
            "_vela",
            "CUSTOM:ethos-u",
            "It comes with edgearch: pip install ethos-u-vela.",
        )
        for name in ("ethos-u55-128", "ethos-u65-256")
    },
}


def compiler_of(device: Device) -> Compiler | None:
    """Return the compiler of a device's accelerator, if it has either."""
    return COMPILERS.get(device.accelerator or "")


def found(device: Device) -> str | None:
    """Return where this machine has the compiler that the device wants."""
    compiler = compiler_of(device)
    return located(compiler) if compiler else None


def located(compiler: Compiler) -> str | None:
    """Return where a compiler is: beside our Python, or on PATH."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return shutil.which(compiler.program, path=beside)


def advice(device: Device, path: Path) -> str:
    """Say what to do where nothing ran a model that is compiled for an accelerator; nothing of others."""
    compiler = compiler_of(device)
    if compiler is None or not is_compiled(compiler, path):
        return ""
    return (
        f"The model is compiled for the accelerator of {device.name}, and only that runs it. Run it as it "
        "was before it was compiled: the CPU stands in for that."
    )


def is_compiled(compiler: Compiler, path: Path) -> bool:
    """Say whether a model is what ``compiler`` makes of one."""
    return compiler.operator in tflite.read(path).ops()


def keep_compiled(compiler: Compiler, models: Mapping[str, Path], folder: Path) -> None:
    """Put models that are compiled already into ``folder``, under the names that a compiler gives them."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, path in models.items():
        shutil.copyfile(path, folder / f"{role}{compiler.suffix}.tflite")


def compiled(compiler: Compiler, program: str, models: Mapping[str, Path], folder: Path) -> dict[str, int]:
    """Compile each role's model into ``folder``; return how many operators are left to the CPU, by role.

    ``folder`` gets ``<role>_edgetpu.tflite`` and what the compiler said, ``<role>_edgetpu.log``.

    Raises:
        ToolError: the compiler failed, took too long, or wrote no model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {role: _compile(compiler, program, role, path, folder) for role, path in models.items()}


def _compile(compiler: Compiler, program: str, role: str, path: Path, folder: Path) -> int:
    source = shutil.copyfile(path, folder / f"{role}.tflite")
    made = folder / f"{role}{compiler.suffix}.tflite"
    try:
        code, said = processes.run([program, *compiler.arguments, str(folder), str(source)], TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise _failed(compiler, role, f"it took longer than {TIMEOUT_SECONDS} s") from error
    except OSError as error:
        raise _failed(compiler, role, f"{program}: {error.strerror}") from error
    if code != 0 or not made.is_file():
        ending = f"it ended with {code}" if code else "it wrote no model"
        raise _failed(compiler, role, f"{ending}: {said[-SAID_CHARACTERS:] or 'it said nothing'}")
    made.with_suffix(".log").write_text(said + "\n", encoding="utf-8")
    ops = tflite.read(made).ops()
    return sum(count for op, count in ops.items() if op != compiler.operator)


def _failed(compiler: Compiler, role: str, why: str) -> ToolError:
    name = compiler.program
    return ToolError(
        f"{name} could not compile {role}.tflite: {' '.join(why.split())}. Try a smaller input or a narrower "
        f"variant, or take {name} off PATH to deploy without it: the model then runs on the CPU, and its "
        "placement is an estimate."
    )
