"""This machine: the desktop itself, or a stand-in for a device that is not on the desk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import platformdirs

from edgearch.errors import DeviceError
from edgearch.profiles import Device, Host
from edgearch.transports import _agent
from edgearch.work import Progress, silent

ADDRESS = None


class Local:
    """A folder in this user's cache, and this Python to make the runtimes' environments with."""

    def __init__(self) -> None:
        self._folder = platformdirs.user_cache_path("edgearch") / "stand-in"
        self._folder.mkdir(parents=True, exist_ok=True)

    def send(self, file: Path, name: str, progress: Progress = silent) -> None:
        """Copy ``file`` into the folder as ``name``."""
        del progress  # a copy on one disk is over at once
        _agent.write_whole(self._folder / name, file.read_bytes())

    def call(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Run the agent in a process of its own."""
        agent = _agent.packed_agent()
        request = {**request, "folder": str(self._folder), "agent": str(agent)}
        answer = _agent.converse([sys.executable, "-c", _agent.BOOTSTRAP], request, progress)
        return _agent.result(answer, "This machine")

    def receive(self, name: str, file: Path) -> None:
        """Copy ``name`` out of the folder."""
        try:
            _agent.write_whole(file, (self._folder / name).read_bytes())
        except FileNotFoundError as error:
            raise DeviceError(f"The agent left no {name} in {self._folder}.") from error

    def close(self) -> None:
        """Nothing stays open."""


def connect(device: Device, host: Host | None) -> Local:
    """Return this machine; it needs no ``host``."""
    del device, host
    return Local()
