"""Run a command for as long as stdin is open: a script of its own, started by path.

Whoever holds the other end of stdin may be killed without a word; the command and its folder then go too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading

SECONDS_TO_END = 3


def main(folder: str, command: list[str]) -> int:
    """Run ``command``; when stdin closes, end it and remove ``folder``. Return its exit status."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    alone = threading.Event()
    threading.Thread(target=_end_with_the_host, args=(child, alone), daemon=True).start()
    status = child.wait()
    if alone.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return status


def _end_with_the_host(child: subprocess.Popen[bytes], alone: threading.Event) -> None:
    os.read(0, 1)
    alone.set()
    child.terminate()
    try:
        child.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    # Not sys.exit: the other thread may still hold stdin, which an orderly exit would wait for.
    os._exit(main(sys.argv[1], sys.argv[2:]) & 0xFF)
