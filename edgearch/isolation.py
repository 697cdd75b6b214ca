"""Run a function in a child process: TensorFlow is heavy, and its converter crashes on some graphs.

The fork server imports TensorFlow once, before any child needs it; a plain fork after TensorFlow has run
an op would deadlock. A crash becomes an error, and this process never pays for TensorFlow's memory.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from edgearch import errors
from edgearch.errors import EdgearchError, ToolError
from edgearch.work import Work, silent

Stage = Callable[[Work, Any], Work]


@functools.cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["edgearch.preload"])
    return context


def run(stage: Stage, work: Work, settings: object, *, what: str, log: Path, remedy: str) -> Work:
    """Return ``stage(work, settings)`` as computed by a child whose own output goes to ``log``.

    Raises:
        EdgearchError: the one that the child raised.
        ToolError: the child crashed or failed; the text names ``what``, the signal and the ``remedy``.
    """
    ours, theirs = _context().Pipe(duplex=False)
    plain = replace(work, progress=silent)
    child = _context().Process(target=_serve, args=(theirs, stage, plain, settings, str(log)), daemon=True)
    child.start()
    theirs.close()
    try:
        return replace(_result(ours, work, what, remedy), progress=work.progress)
    except EOFError:
        child.join()
        raise ToolError(
            f"{what}: the process {_ending(child.exitcode)}. {remedy} Its output: {log}"
        ) from None
    finally:
        if child.is_alive():
            child.kill()
        child.join()
        ours.close()


def _result(pipe: Connection, work: Work, what: str, remedy: str) -> Work:
    while True:
        kind, value = pipe.recv()
        if kind == "progress":
            work.progress(*value)
        elif kind == "result":
            return value  # type: ignore[no-any-return]
        elif kind == "ToolError":
            raise ToolError(f"{what}: {value} {remedy}")
        else:
            raise getattr(errors, kind)(value)


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"crashed with {signal.Signals(-exitcode).name}"
    return f"ended with status {exitcode} and no result"


def _serve(pipe: Connection, stage: Stage, work: Work, settings: object, log: str) -> None:
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)

    def progress(fraction: float | None, text: str) -> None:
        pipe.send(("progress", (fraction, text)))

    try:
        pipe.send(("result", replace(stage(replace(work, progress=progress), settings), progress=silent)))
    except EdgearchError as error:
        pipe.send((type(error).__name__, str(error)))
    except Exception as error:  # whatever TensorFlow raises becomes one line for the user
        import traceback

        traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        pipe.send(("ToolError", f"{type(error).__name__}: {lines[0][:400]}"))
    finally:
        with contextlib.suppress(OSError):
            pipe.close()


def _end_with_parent() -> None:
    """End this process when the one that asked for it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
