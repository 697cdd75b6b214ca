"""Programs of others: run with a time limit, heard line by line, ended with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path


def run(
    command: Sequence[str],
    seconds: float,
    cwd: Path | None = None,
    hear: Callable[[str], object] = lambda _line: None,
) -> tuple[int, str]:
    """Run ``command`` and return its exit code and what it printed; ``hear`` is told each line.

    Raises:
        subprocess.TimeoutExpired: it took longer than ``seconds``.
        OSError: it could not be started.
    """
    with subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # what it starts is to end with it
    ) as child:
        late = threading.Event()

        def end() -> None:
            late.set()
            _end(child)

        timer = threading.Timer(seconds, end)
        timer.start()
        lines: list[str] = []
        try:
            for line in child.stdout or ():
                lines.append(line)
                hear(line)
            child.wait()
        except BaseException:
            _end(child)
            raise
        finally:
            timer.cancel()
    if late.is_set():
        raise subprocess.TimeoutExpired(command, seconds)
    return child.returncode, "".join(lines).strip()


def _end(child: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
