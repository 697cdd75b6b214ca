"""One virtual environment a runtime, made once and used again."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from edgearch.agent.failure import AgentError

# tflite-runtime with NumPy takes 120 MB, ai-edge-litert 250 MB; pip unpacks beside what it installs.
NEEDED_BYTES = 600_000_000


class NoWheelError(AgentError):
    """The package index has nothing of this runtime for this Python and processor."""


def prepare(runtime: str, requirements: list[str], say: Callable[[str], None]) -> str:
    """Return the Python of an environment that holds exactly ``requirements``.

    Raises:
        AgentError: no venv module, no pip, no space, or pip failed; the text says which and what to do.
        NoWheelError: this runtime has no wheel here.
    """
    key = hashlib.sha256("\n".join([*requirements, platform.python_version()]).encode()).hexdigest()[:12]
    folder = Path("environments").absolute() / f"{runtime}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two deployments at once: the second waits and finds it made
        if not (folder / "complete").exists():
            say(f"making an environment for {runtime} ({', '.join(requirements)})")
            _make(folder, runtime, requirements)
    return str(folder / "bin" / "python")


def _make(folder: Path, runtime: str, requirements: list[str]) -> None:
    _check_machine(folder.parent)
    shutil.rmtree(folder, ignore_errors=True)
    made = _run([sys.executable, "-m", "venv", str(folder)])
    if made.returncode:
        raise AgentError(f"Python's venv failed: {_last(made)}. On Debian: sudo apt install python3-venv.")
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(requirements) + "\n", encoding="utf-8")
    pip = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
    ]
    installed = _run([*pip, "--quiet", "--only-binary", ":all:", "-r", str(listed)])
    if installed.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise _pip_failure(runtime, installed)
    (folder / "complete").touch()


def _check_machine(folder: Path) -> None:
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise AgentError(
                f"This machine's Python {platform.python_version()} has no {module} module, so no pip: "
                "install it (on Debian and Raspberry Pi OS: sudo apt install python3-venv)."
            )
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise AgentError(
            f"No space: {folder} has {free // 1_000_000} MB free, a runtime's environment needs "
            f"{NEEDED_BYTES // 1_000_000} MB. Free some, or name another folder in the host's config entry."
        )


def _pip_failure(runtime: str, done: subprocess.CompletedProcess[str]) -> AgentError:
    if "No matching distribution" in done.stderr and "from versions: none" not in done.stderr:
        return NoWheelError(
            f"{runtime} has no wheel for Python {platform.python_version()} on {platform.machine()}. Take a "
            "system whose Python has one (tflite-runtime: 3.9 to 3.11, as Debian 12 and the Raspberry Pi OS "
            "made of it), or a 64-bit system."
        )
    if "No space left" in done.stderr:
        return AgentError(f"No space left while pip installed {runtime}.")
    return AgentError(f"pip could not install {runtime}: {_last(done)}. It needs the network once.")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return lines[-1].strip().rstrip(".") if lines else f"exit status {done.returncode}"
