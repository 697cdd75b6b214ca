"""Ways to reach a machine, one a file, such as ``ssh``.

A transport module gives ``connect(device, host)``, which returns a :class:`Transport`; ``ADDRESS``, the
pattern of its hosts' addresses (``None``: it takes no host), and ``EXAMPLE`` of one. One that can see what is
plugged in gives ``find(device)`` too: the host to use where the user names none. Each answers the agent's
requests: most by driving the agent itself over its stdin and stdout.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import edgearch.transports
from edgearch import registry
from edgearch.errors import RequestError
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
    """Reach ``host`` in its own way or the device's; without one, this machine is the device or stands in."""
    if host is None:
        name = device.transport if device.without_host == "device" else "local"
    else:
        name = _way(device, host)
    connection: Transport = _module(name).connect(device, host)
    return connection


def find(device: Device) -> Host | None:
    """Return the host that is plugged in, where the device's transport can see it.

    Raises:
        RequestError: there is more than one.
        DeviceError: there is one, and it cannot be used yet; the text says why and what to do.
    """
    look = getattr(_module(device.transport), "find", None)
    found: Host | None = look(device) if look else None
    return found


def check(device: Device, host: Host) -> None:
    """Raise a RequestError if the transport that reaches ``host`` takes no such address."""
    transport = _module(_way(device, host))
    if transport.ADDRESS is None:
        raise RequestError(f"Device {device.name!r} is this machine or runs on it: it takes no host.")
    if not transport.ADDRESS.fullmatch(host.address):
        raise RequestError(
            f"Device {device.name!r} is reached by {_way(device, host)}: expected a host such as "
            f"{transport.EXAMPLE}, found {host.address!r}."
        )


def _way(device: Device, host: Host) -> str:
    return host.transport or device.transport


def _module(name: str) -> ModuleType:
    return registry.load(edgearch.transports, "transport", name)
