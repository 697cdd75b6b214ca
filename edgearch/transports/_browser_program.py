"""The user's Chrome or Chromium: found, started without a window, ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgearch.errors import DeviceError
from edgearch.runtimes import litert_gpu

PROGRAMS = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome")
VARIABLE = "CHROME_PATH"
_QUIET = (
    "--headless=new", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--disable-extensions", "--mute-audio",
)  # fmt: skip
_SECONDS_TO_END = 5


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
def started(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a browser without a window on ``url``, with a profile of its own; it has ended when this has."""
    # A browser whose starter was killed must end too.
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    with tempfile.TemporaryDirectory(prefix="edgearch-browser-", ignore_cleanup_errors=True) as profile:
        command = [*guard, find(), *_QUIET, *_graphics(), f"--user-data-dir={profile}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium's sandbox does not work for root
        with (Path(profile) / "stderr").open("wb") as complaints:
            child = subprocess.Popen(
                [*command, url], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints,
                start_new_session=True,
            )  # fmt: skip
        try:
            yield child
        finally:
            _end(child)


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
