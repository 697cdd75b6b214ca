"""Run a bundle in this machine's own LiteRT, in a process of its own: an interpreter may crash too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from edgearch.errors import ToolError
from edgearch.work import load_arrays

RUNTIME = "litert"
_TIMEOUT_SECONDS = 900


def outputs(bundle: Path, kernels: str) -> dict[str, np.ndarray]:
    """Return all outputs of a bundle, named ``<role>/<tensor>``, with ``optimized`` or ``reference`` kernels.

    Raises:
        ToolError: the interpreter refused the model or crashed.
    """
    with tempfile.TemporaryDirectory() as folder:
        result, answer = Path(folder) / "outputs.npz", Path(folder) / "answer.json"
        request = {
            "do": "work",
            "runtime": RUNTIME,
            "kernels": kernels,
            "threads": 1,
            "seconds": 0,
            "bundle": str(bundle.absolute()),
            "outputs": str(result),
            "answer": str(answer),
        }
        done = subprocess.run(
            [sys.executable, "-m", "edgearch.agent"],
            input=json.dumps(request) + "\n",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
        if done.returncode:
            raise ToolError(
                f"LiteRT with {kernels} kernels {_ending(done)}. Convert the model anew, "
                "or try another precision or variant."
            )
        return load_arrays(result)


def _ending(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"crashed with {signal.Signals(-done.returncode).name}"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return f"refused the model: {lines[-1] if lines else f'exit status {done.returncode}'}"
