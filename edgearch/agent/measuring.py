"""Run a bundle in every runtime, each in its own process, and choose the fastest that agrees."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgearch.agent import bundle, environment, machine

Say = Callable[[str], None]


def measure(request: dict[str, Any], say: Say) -> dict[str, Any]:
    """Answer with every runtime's figures and the name of the chosen one's outputs.

    ``request``: ``agent`` and ``bundle`` (files here), ``runtimes`` (name → requirements),
    ``threads``, ``seconds`` (of timed runs, each runtime), ``timeout_seconds``, ``keep`` (the outputs' name),
    ``where`` (what figures of this machine are called).
    """
    folder = bundle.unpack(request["bundle"])
    try:
        with alone(Path(), say):
            before = machine.condition()
            runtimes = [_one(request, name, folder, say) for name in request["runtimes"]]
            after = machine.condition()
        chosen = choose(runtimes, request["where"])
        if chosen:
            (folder / f"outputs-{chosen}.npz").replace(request["keep"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for runtime in runtimes:
        runtime["chosen"] = runtime["name"] == chosen
    return {
        "machine": machine.describe(),
        "condition": {"before": before, "after": after},
        "runtimes": runtimes,
    }


@contextlib.contextmanager
def alone(folder: Path, say: Say) -> Iterator[None]:
    """Wait until no other deployment that uses ``folder`` measures: each would slow the other down."""
    with (folder / "measuring.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting: another deployment measures on this machine")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def choose(runtimes: list[dict[str, Any]], where: str) -> str | None:
    """Return the fastest runtime (by its median for a whole example) that was not set aside, if any.

    One that ran on the device's own hardware comes before those that stand in for it, and one on emulated
    hardware last: its time says nothing of the hardware's.
    """
    order = ("device", where, "emulated")
    fit = [runtime for runtime in runtimes if "set_aside" not in runtime]
    ranked = [(order.index(one.get("where", where)), _median(one), one["name"]) for one in fit]
    return min(ranked)[-1] if ranked else None


def _median(runtime: dict[str, Any]) -> float:
    whole = runtime.get("sequence_latency_ms", runtime["latency_ms"])
    return float(whole["p50"])


def _one(request: dict[str, Any], name: str, folder: Path, say: Say) -> dict[str, Any]:
    """Return one runtime's figures; one that crashes or disagrees is set aside with the reason."""
    try:
        python = environment.prepare(name, request["runtimes"][name], say)
        say(f"running {name}")
        result = _work(python, request, name, folder)
    except environment.NoWheelError as missing:
        return {"name": name, "set_aside": str(missing)}
    if "error" in result:
        return {"name": name, "set_aside": result["error"]}
    return judged(name, result)


def judged(name: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return a runtime's figures, set aside where its outputs are not those of the reference kernels."""
    disagreeing = [role for role, parity in result["parity"].items() if not parity["ok"]]
    if disagreeing:
        error = result["parity"][disagreeing[0]]["rms_error"]
        result["set_aside"] = (
            f"disagrees with the reference kernels: {error:.1%} of the output's range (RMS), {disagreeing[0]}"
        )
    return {"name": name, **result}


def _work(python: str, request: dict[str, Any], name: str, folder: Path) -> dict[str, Any]:
    answer = folder / f"answer-{name}.json"
    task = {
        "do": "work",
        "runtime": name,
        "kernels": "optimized",
        "threads": request["threads"],
        "seconds": request["seconds"],
        "bundle": str(folder),
        "outputs": str(folder / f"outputs-{name}.npz"),
        "answer": str(answer),
    }
    command = [python, request["agent"]]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(task) + "\n",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=request["timeout_seconds"],
        )
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {request['timeout_seconds']} s"}
    if done.returncode < 0:
        said = _reason(done.stderr)
        return {
            "error": f"crashed with {signal.Signals(-done.returncode).name}" + (f": {said}" if said else "")
        }
    if done.returncode or not answer.exists():
        return {"error": _reason(done.stderr + done.stdout) or f"ended with status {done.returncode}"}
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def _reason(text: str) -> str:
    """Return the line of an interpreter's complaint that names an operator, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for why, line in zip(lines, lines[1:]):
        if "failed to prepare" in line:  # names the operator; what is wrong with it stands before
            return f"{why} {line}"
    naming = [line for line in lines if "find op" in line or "failed to" in line.lower()]
    return (naming or lines or [""])[-1]
