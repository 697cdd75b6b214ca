"""Time the main path and the agent, and print seconds and ratios. Nothing here asserts.

    make benchmark

What the issue of each figure is, stands beside it as `goal`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgearch.agent import driving, worker
from edgearch.runtimes import litert

EDGEARCH = [sys.executable, "-m", "edgearch"]
DEPLOY = ["deploy", "cnn", "--device", "rpi", "--json"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for verb in ("--help", "devices"):
            show(f"edgearch {verb}", median(lambda verb=verb: run([verb], folder)), "0.4 s")
        first = seconds(lambda: run(DEPLOY, folder))
        show("deploy cnn to rpi, installed, nothing finished", first, "120 s")
        again = median(lambda: run(DEPLOY, folder))
        show("the same again, all finished", again, "6 s")
        print(f"{'finished / unfinished':<52} {again / first:8.3f}")
        model = next(Path(folder).glob("build/deployments/*/bundle/model.tflite"))
        print(f"{'agent / bare interpreter, median inference':<52} {overhead(model):8.3f}   goal 1.05")


def show(what: str, value: float, goal: str) -> None:
    print(f"{what:<52} {value:7.2f} s   goal {goal}", flush=True)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median(action: Callable[[], object], times: int = 5) -> float:
    return statistics.median(seconds(action) for _ in range(times))


def run(arguments: list[str], folder: str) -> None:
    subprocess.run([*EDGEARCH, *arguments], cwd=folder, check=True, capture_output=True)


def overhead(model: Path, rounds: int = 9) -> float:
    """Return the agent's median inference over the bare interpreter's, pair by pair, in one process."""
    manifest = json.loads((model.parent / "manifest.json").read_text(encoding="utf-8"))
    export = manifest["roles"]["model"]
    with np.load(model.parent / "inputs.npz") as arrays:
        images = arrays["model/image"]
    values = driving.to_tensor(images, export["inputs"][0])
    session = litert.open_model(str(model), 1)
    drive = driving.Drive(session, export, {"image": images})
    ratios = []
    for _ in range(rounds):
        bare = bare_median(model, values)
        ratios.append(worker.summarize(worker.timed(session, drive, 0.5)[0])["p50"] / bare)
    return statistics.median(ratios)


def bare_median(model: Path, values: np.ndarray) -> float:
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    index = interpreter.get_input_details()[0]["index"]
    samples = []
    for run_number in range(5000):
        interpreter.set_tensor(index, values[run_number % len(values) : run_number % len(values) + 1])
        start = time.perf_counter_ns()
        interpreter.invoke()
        samples.append((time.perf_counter_ns() - start) / 1e6)
    return statistics.median(samples)


if __name__ == "__main__":
    main()
