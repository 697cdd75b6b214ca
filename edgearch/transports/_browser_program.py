"""The user's Chrome or Chromium: found, started without a window, ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgearch.errors import DeviceError
from edgearch.runtimes import litert_gpu
from edgearch.transports._browser_server import redirect

PROGRAMS = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome")
VARIABLE = "CHROME_PATH"
_QUIET = (
    "--headless=new", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--disable-extensions", "--mute-audio",
)  # fmt: skip
_SECONDS_TO_END = 5
# [process:thread:date/time:LEVEL:file:line] what
_LOGGED = re.compile(r"^\[[\d:/.]*:(?P<level>[A-Z]+):[^\]]*\] *")
# What Chromium also says where all is well (no D-Bus, no clock to read), and a crash's stack and registers.
_NOISE = re.compile(
    r"ERROR:(dbus|third_party/crashpad|content/common/zygote)/|^#\d|^ *\w+: [0-9a-f]{16}|^\[end of"
)


@dataclass(frozen=True)
class Running:
    """A browser that was started, and the file that holds its complaints."""

    child: subprocess.Popen[bytes]
    complaints: Path

    def end(self) -> str | None:
        """Return how it ended and what it last said of that; ``None`` while it runs."""
        status = self.child.poll()
        if status is None:
            return None
        said = complaint(self.complaints.read_text(encoding="utf-8", errors="replace"))
        return f"the browser ended (exit status {status})" + (f": {said}" if said else "")


def find() -> str:
    """Return the browser: what CHROME_PATH names, or the first on PATH.

    Raises:
        DeviceError: there is none.
    """
    named = os.environ.get(VARIABLE)
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        looked = named or ", ".join(PROGRAMS)
        raise DeviceError(
            f"No Chrome or Chromium (looked for {looked}): sudo apt install chromium, or name yours in the "
            f"environment variable {VARIABLE}."
        )
    return found


@contextlib.contextmanager
def started(program: str, url: str) -> Iterator[Running]:
    """Run a browser without a window on ``url``, with a profile of its own; it has ended when this has."""
    # A browser whose starter was killed must end too.
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    with (
        tempfile.TemporaryDirectory(prefix="edgearch-browser-", ignore_cleanup_errors=True) as profile,
        redirect(url) as file,
    ):
        command = [*guard, program, *_QUIET, *_graphics(), f"--user-data-dir={profile}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium's sandbox does not work for root
        complaints = Path(profile) / "stderr"
        with complaints.open("wb") as stderr:
            child = subprocess.Popen(
                [*command, file], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                start_new_session=True,
            )  # fmt: skip
        try:
            yield Running(child, complaints)
        finally:
            _end(child)


def complaint(text: str) -> str:
    """Return the line of a browser's complaints that says why it ended: the last fatal one, else the last."""
    lines = [line for line in text.splitlines() if line.strip() and not _NOISE.search(line)]
    fatal = [line for line in lines if (found := _LOGGED.match(line)) and found["level"] == "FATAL"]
    return _LOGGED.sub("", (fatal or lines or [""])[-1]).strip()


def _graphics() -> list[str]:
    """Return what gives pages WebGPU: on the GPU, or on SwiftShader where there is none."""
    flags = ["--enable-unsafe-webgpu", "--enable-features=Vulkan"]
    return flags if litert_gpu.has_gpu() else [*flags, "--use-webgpu-adapter=swiftshader"]


def _end(child: subprocess.Popen[bytes]) -> None:
    for end in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, end)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_SECONDS_TO_END)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
