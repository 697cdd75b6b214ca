"""Answer one request: ``hello``, ``measure``, ``clean``; or, in a runtime's own environment, ``work``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from edgearch.agent.failure import AgentError

PROGRESS = "edgearch: "
LEFT_BEHIND = (".part-*", "bundle-*.zip", "outputs-*.npz", "run-*")
STALE_SECONDS = 3600  # no run of another deployment takes that long: each runtime has a time limit


def say(text: str) -> None:
    """Tell the host what is being done."""
    print(PROGRESS + text, file=sys.stderr, flush=True)


def hello(request: dict[str, Any]) -> dict[str, Any]:
    """Say what this machine is and which of the named files it has."""
    from edgearch.agent import machine

    return {
        "machine": machine.describe(),
        "files": [name for name in request["files"] if Path(name).exists()],
    }


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Run a bundle in each runtime asked for."""
    from edgearch.agent import measuring

    return measuring.measure(request, say)


def clean(request: dict[str, Any]) -> dict[str, Any]:
    """Remove what a finished run left here, and what runs that were cut off left long ago."""
    old = [path for pattern in LEFT_BEHIND for path in Path().glob(pattern) if _age(path) > STALE_SECONDS]
    for path in [*map(Path, request["names"]), *old]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.exists():
            path.unlink()
    return {}


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # another deployment has just removed it
        return 0


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Run the bundle in one runtime, in this process."""
    from edgearch.agent import worker

    return worker.work(request)


VERBS = {"hello": hello, "measure": measure, "clean": clean, "work": work}


def main(request: dict[str, Any]) -> int:
    """Answer ``request`` and return an exit status."""
    if request["do"] != "work":
        _end_with_the_host()
    try:
        answer = VERBS[request["do"]](request)
    except (AgentError, OSError) as error:
        answer = {"error": str(error)}
    text = json.dumps(answer)
    if "answer" in request:
        Path(request["answer"]).write_text(text, encoding="utf-8")  # C++ libraries print on stdout too
    else:
        print(text, flush=True)
    return 0


def _end_with_the_host() -> None:
    """End this process and all it starts as soon as stdin closes."""
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # a group of our own, to end as one

    def wait() -> None:
        sys.stdin.read()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
