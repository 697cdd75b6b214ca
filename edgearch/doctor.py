"""What this machine can do: each ability is OK, or the reason and the remedy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

from edgearch import profiles
from edgearch.agent import environment
from edgearch.errors import DeviceError
from edgearch.firmware import emulator
from edgearch.runtimes import edgetpu, litert_gpu
from edgearch.transports import _browser_program

Finding = tuple[bool, str, str]
_KEY = "[0-9a-f]" * 12  # environments are named after their runtime and a digest


def findings() -> list[dict[str, Any]]:
    """Try each ability; nothing is installed and no TensorFlow is imported."""
    return [
        {"name": name, "ok": ok, "found": found, "remedy": None if ok else remedy}
        for name, probe in _PROBES.items()
        for ok, found, remedy in [probe()]
    ]


def _distribution(name: str) -> Callable[[], Finding]:
    def probe() -> Finding:
        try:
            return True, importlib.metadata.version(name), ""
        except importlib.metadata.PackageNotFoundError:
            return False, "not installed", "make install"

    return probe


def _program(name: str, flag: str, remedy: str) -> Callable[[], Finding]:
    def probe() -> Finding:
        path = shutil.which(name)
        if path is None:
            return False, "not on PATH", remedy
        done = subprocess.run([path, flag], capture_output=True, text=True, check=False, timeout=20)
        lines = (done.stdout + done.stderr).strip().splitlines()
        return True, lines[0].strip() if lines else path, ""

    return probe


def _runtime(name: str) -> Callable[[], Finding]:
    """Say whether this runtime's stand-in environment is made, or could be."""

    def probe() -> Finding:
        folder = platformdirs.user_cache_path("edgearch") / "stand-in"
        made = sorted(folder.glob(f"environments/{name}-{_KEY}/complete"))
        if made:
            return True, f"ready in {made[-1].parent}", ""
        free = shutil.disk_usage(folder if folder.exists() else "/").free
        if free < environment.NEEDED_BYTES:
            return False, f"{free // 1_000_000} MB free", f"Free {environment.NEEDED_BYTES // 1_000_000} MB."
        return True, "is installed at the first run (needs the network once)", ""

    return probe


def _python() -> Finding:
    version = platform.python_version_tuple()
    fit = version[:2] >= ("3", "11") and int(version[1]) <= 13
    return fit, platform.python_version(), "Install Python 3.11, 3.12 or 3.13."


def _gpu() -> Finding:
    if shutil.which("nvidia-smi") is None:
        return False, "none found: TensorFlow trains on the CPU", "Install NVIDIA's driver to train on a GPU."
    if importlib.util.find_spec("nvidia") is None:
        return (
            False,
            "a GPU, without the libraries that TensorFlow needs for it",
            "pip install -e '.[gpu]'",
        )
    return True, "TensorFlow trains on it", ""


def _vulkan() -> Finding:
    if litert_gpu.has_gpu():
        return True, "a GPU", ""
    folder = litert_gpu.swiftshader()
    remedy = "Install a GPU's driver, or, to have SwiftShader in its place, sudo apt install chromium."
    return bool(folder), f"no GPU: SwiftShader of {folder} emulates one" if folder else "no GPU", remedy


def _browser() -> Finding:
    try:
        return True, _browser_program.find(), ""
    except DeviceError as error:
        return False, "none", str(error)


def _edge_tpu_library() -> Finding:
    found = edgetpu.has_library()
    remedy = "docs/devices.md says which build of libedgetpu runs today."
    return found, edgetpu.LIBRARY if found else "not installed", remedy


def _benchmark_model() -> Finding:
    named = Path(str(profiles.device("mobile").benchmark_model)).expanduser()
    there = named.is_file()
    return there, str(named) if there else f"no {named}", "docs/devices.md says where it is to be had."


def _hosts() -> Finding:
    known = profiles.hosts()
    text = ", ".join(f"{name} ({host.address})" for name, host in known.items())
    remedy = f"Name a device's host with --host user@address, or in {profiles.config_file()}."
    return bool(known), text or "none configured: this machine stands in for devices", remedy


_PROBES: dict[str, Callable[[], Finding]] = {
    "python": _python,
    "tensorflow": _distribution("tensorflow"),
    "keras 2 (tf-keras)": _distribution("tf-keras"),
    "pruning (tensorflow-model-optimization)": _distribution("tensorflow-model-optimization"),
    "litert (ai-edge-litert)": _distribution("ai-edge-litert"),
    "gpu": _gpu,
    "ssh": _program("ssh", "-V", "sudo apt install openssh-client"),
    "sftp": _program("sftp", "-h", "sudo apt install openssh-client"),
    "runtime litert": _runtime("litert"),
    "runtime litert-gpu": _vulkan,
    "runtime tflite-runtime": _runtime("tflite-runtime"),
    "runtime tflm": _runtime("tflm"),
    "emulator qemu-aarch64": _program(
        "qemu-aarch64-static", "--version", "sudo apt install qemu-user-static"
    ),
    "browser": _browser,
    "browser: npm": _program("npm", "--version", "sudo apt install npm (it fetches LiteRT.js once)"),
    "phone: adb": _program("adb", "--version", "sudo apt install adb"),
    "phone: benchmark_model": _benchmark_model,
    "firmware: arm-none-eabi-g++": _program(
        "arm-none-eabi-g++", "--version", f"sudo apt install {emulator.PACKAGES['arm-none-eabi-g++']}"
    ),
    "firmware: cmake": _program("cmake", "--version", "sudo apt install cmake"),
    "firmware: qemu-system-arm": _program(
        "qemu-system-arm", "--version", "sudo apt install qemu-system-arm (it emulates a Cortex-M)"
    ),
    "firmware: arduino-cli": _program(
        "arduino-cli", "version", "https://arduino.github.io/arduino-cli (it flashes boards)"
    ),
    "ethos-u: vela": _distribution("ethos-u-vela"),
    "edge tpu library": _edge_tpu_library,
    "edge tpu compiler": _program(
        "edgetpu_compiler",
        "--version",
        "Placement is predicted without it: https://coral.ai/docs/edgetpu/compiler/",
    ),
    "hosts": _hosts,
}
