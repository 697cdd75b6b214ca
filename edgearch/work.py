"""What passes between the stages: a request, files by name, and facts as plain JSON values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.profiles import Device, Host

Arrays = Mapping[str, np.ndarray]
# Maps a role and its stacked inputs, (examples, *shape), to stacked outputs.
Predictor = Callable[[str, Arrays], Arrays]
# Told how far the present stage is, 0 to 1 (None: nobody knows), and what it is doing.
Progress = Callable[[float | None, str], None]


def silent(_fraction: float | None, _text: str) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True)
class Spec:
    """What a builder needs to know: a dataset's shapes without the batch, its classes, and the rewrites.

    ``latent`` is the size of a latent space, where the user chose another than the family's own.
    ``rewrites`` are those that the device asks for and the variant knows, by name.
    """

    inputs: Mapping[str, tuple[int, ...]]
    classes: int
    rewrites: tuple[str, ...] = ()
    latent: int | None = None


@dataclass(frozen=True)
class Request:
    """What the user asked for, with every name already resolved."""

    model: str
    variant: str
    dataset: str
    device: Device
    task: str
    data_folder: Path | None = None
    seed: int = 0
    host: Host | None = None
    rewrites: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """How figures of this request are obtained."""
        return self.host.where if self.host else self.device.without_host


@dataclass(frozen=True)
class Work:
    """One deployment so far. A stage takes one and returns another; it writes into ``folder`` only."""

    request: Request
    folder: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = silent

    def plus(self, files: Mapping[str, Path] | None = None, **facts: Any) -> Work:
        """Return this work with more files and facts."""
        return replace(self, files={**self.files, **(files or {})}, facts={**self.facts, **facts})

    def failed(self, reason: str) -> Work:
        """Return this work with a check that failed: it ends here, with a report (exit 1)."""
        return self.plus(failures=[*self.facts.get("failures", []), reason])

    @property
    def failures(self) -> list[str]:
        """The checks that failed, in order."""
        return list(self.facts.get("failures", []))


def save_arrays(path: Path, arrays: Arrays) -> Path:
    """Write named arrays as a compressed ``.npz`` and return its path."""
    np.savez_compressed(path, allow_pickle=False, **arrays)
    return path


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays; pickled objects are refused."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
