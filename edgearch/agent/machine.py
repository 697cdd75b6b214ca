"""What this machine says of itself: processor, governor, temperature, throttling."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

_CPU = Path("/sys/devices/system/cpu")
_THERMAL = Path("/sys/class/thermal")


def describe() -> dict[str, Any]:
    """Return what stays the same while a model runs."""
    return {
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": _system(),
        "python": platform.python_version(),
        "free_bytes": shutil.disk_usage(".").free,
    }


def condition() -> dict[str, Any]:
    """Return what may change under load; ``None`` where the system does not tell."""
    return {
        "governor": _read(_CPU / "cpu0/cpufreq/scaling_governor"),
        "frequency_khz": _number(_CPU / "cpu0/cpufreq/scaling_cur_freq"),
        "temperature_c": _temperature(),
        "throttled": _throttled(),
        "load_1min": os.getloadavg()[0],
    }


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text and text.lstrip("-").isdigit() else None


def _processor() -> str:
    board = _read(Path("/proc/device-tree/model"))  # "Raspberry Pi 5 Model B Rev 1.0"
    if board:
        return board
    found = re.search(r"^model name\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    return found.group(1) if found else platform.processor() or platform.machine()


def _system() -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', _read(Path("/etc/os-release")) or "", re.MULTILINE)
    return found.group(1) if found else platform.platform()


def _temperature() -> float | None:
    """Return the hottest thermal zone in degrees Celsius."""
    zones = [_number(zone / "temp") for zone in _THERMAL.glob("thermal_zone*")] if _THERMAL.is_dir() else []
    known = [zone / 1000 for zone in zones if zone is not None]
    return max(known) if known else None


def _throttled() -> str | None:
    """Return a Raspberry Pi firmware's throttling bits, such as ``0x0``; 0x0 means never."""
    tool = shutil.which("vcgencmd")
    if tool is None:
        return None
    done = subprocess.run([tool, "get_throttled"], capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.strip().partition("=")[2] or None
