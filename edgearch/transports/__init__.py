"""Ways to reach a machine, one a file: ``local``, ``ssh``.

A transport module gives ``connect(host)`` (``host`` is ``None`` for this machine), which returns a
:class:`Transport`. All of them drive the same agent over its stdin and stdout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import edgearch.transports
from edgearch import registry
from edgearch.profiles import Device, Host
from edgearch.work import Progress, silent


class Transport(Protocol):
    """A machine with a folder of ours and a Python."""

    def send(self, file: Path, name: str, progress: Progress = silent) -> None:
        """Copy ``file`` into the device's folder as ``name``, whole or not at all."""

    def call(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Hand the agent ``request`` and return its answer.

        Raises:
            DeviceError: the machine or the agent cannot be reached, or says what it lacks.
        """

    def receive(self, name: str, file: Path) -> None:
        """Copy ``name`` out of the device's folder to ``file``."""

    def close(self) -> None:
        """End the connection and every process it started."""


def names() -> list[str]:
    """Return the transports there are."""
    return registry.names(edgearch.transports)


def connect(device: Device, host: Host | None) -> Transport:
    """Reach ``host`` in the device's own way; without one, this machine stands in for it."""
    name = device.transport if host else "local"
    connection: Transport = registry.load(edgearch.transports, "transport", name).connect(host)
    return connection
