"""Send a bundle to a machine, run the agent on it, fetch what it found."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgearch import transports
from edgearch.errors import DeviceError
from edgearch.stages import _bundle, package
from edgearch.transports import Transport
from edgearch.work import Work, load_arrays

TIMEOUT_SECONDS = 900


def measure(
    connection: Transport, work: Work, archive: Path, runtimes: Sequence[str], seconds: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run ``archive`` in each runtime; return the agent's answer and the chosen runtime's outputs.

    Nothing but the agent and the runtimes' environments stays on the device.
    """
    digest = _bundle.digest(archive)[:16]
    # Two deployments at once must not take each other's files: the name holds the run, not only the bytes.
    run = f"{digest}-{secrets.token_hex(4)}"
    sent, kept = f"bundle-{run}.zip", f"outputs-{run}.npz"
    connection.send(archive, sent, work.progress)
    try:
        answer = connection.call(
            {
                "do": "measure",
                "bundle": sent,
                "keep": kept,
                "runtimes": {name: work.request.device.requirements[name] for name in runtimes},
                "threads": work.request.device.threads,
                "where": work.request.where,
                "seconds": seconds,
                "timeout_seconds": TIMEOUT_SECONDS,
            },
            work.progress,
        )
        outputs: dict[str, np.ndarray] = {}
        if any(runtime["chosen"] for runtime in answer["runtimes"]):
            with tempfile.TemporaryDirectory() as folder:
                connection.receive(kept, Path(folder) / "outputs.npz")
                outputs = load_arrays(Path(folder) / "outputs.npz")
    finally:
        with contextlib.suppress(DeviceError):  # the connection that failed cannot clean up either
            connection.call({"do": "clean", "names": [sent, kept]}, work.progress)
    return answer, outputs


def measure_here(work: Work, bundle: Path, runtimes: Sequence[str], seconds: float) -> dict[str, Any]:
    """Run a bundle folder on this machine and return the agent's answer."""
    connection = transports.connect(work.request.device, None)
    try:
        archive = package.pack(bundle, bundle.with_suffix(".zip"))
        return measure(connection, work, archive, runtimes, seconds)[0]
    finally:
        connection.close()
