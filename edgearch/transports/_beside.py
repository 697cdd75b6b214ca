"""Files that stay on this side: for a phone, a board or a browser, which has no Python to run the agent."""

from __future__ import annotations

import abc
import shutil
import tempfile
from pathlib import Path
from typing import Any

from edgearch.agent import bundle
from edgearch.agent.failure import AgentError
from edgearch.errors import DeviceError
from edgearch.work import Progress, silent


class Beside(abc.ABC):
    """A folder here, where such a transport answers the agent's requests; gone when it is closed."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.folder = Path(tempfile.mkdtemp(prefix="edgearch-"))

    def send(self, file: Path, name: str, progress: Progress = silent) -> None:
        """Keep ``file`` as ``name``: what the machine itself needs is given to it when it runs."""
        del progress
        shutil.copyfile(file, self.folder / name)

    def call(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Answer as the agent does; what it cleans up goes with the folder here."""
        return self.measure(request, progress) if request["do"] == "measure" else {}

    @abc.abstractmethod
    def measure(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Run a bundle and answer as :func:`edgearch.agent.measuring.measure` does."""

    def receive(self, name: str, file: Path) -> None:
        """Copy ``name`` to ``file``."""
        shutil.copyfile(self.folder / name, file)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def unpacked(self, request: dict[str, Any]) -> Path:
        """Return the folder of the request's bundle.

        Raises:
            DeviceError: it is damaged.
        """
        try:
            return bundle.unpack(str(self.folder / request["bundle"]), str(self.folder))
        except AgentError as error:
            raise DeviceError(f"{self.place}: {error}") from error
