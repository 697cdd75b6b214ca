"""Finished stages on disk: found by a key, written whole or not at all, one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = "stage.json"


@dataclass(frozen=True)
class Kept:
    """A finished stage: its files by name, its facts, and how long it took, in seconds."""

    files: Mapping[str, Path]
    facts: Mapping[str, Any]
    seconds: float


class Store:
    """A folder with one subfolder a finished stage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def path(self, key: str) -> Path:
        """Return where the stage ``key`` is, or would be."""
        return self._folder / key

    def find(self, key: str) -> Kept | None:
        """Return the finished stage ``key``; one whose files are damaged counts as unfinished."""
        folder = self.path(key)
        try:
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            files = {name: folder / relative for name, relative in record["files"].items()}
            if any(_digest(folder / name) != digest for name, digest in record["sha256"].items()):
                return None
            return Kept(files, record["facts"], record["seconds"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the only right to write ``key``; the system takes it back when a process dies."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f".{key}.lock").open("w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def scratch(self, key: str) -> Path:
        """Return a new folder to work in; what a killed run left of ``key`` is removed. Hold the lock."""
        for left in self._folder.glob(f".{key}-*"):
            shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f".{key}-", dir=self._folder))

    def keep(self, key: str, scratch: Path, files: Mapping[str, Path], facts: Any, seconds: float) -> Kept:
        """Turn ``scratch`` into the finished stage ``key`` by one rename. Hold the lock."""
        relative = {name: str(path.relative_to(scratch)) for name, path in files.items()}
        record = {
            "files": relative,
            "sha256": {name: _digest(scratch / name) for name in sorted(set(relative.values()))},
            "facts": facts,
            "seconds": seconds,
        }
        (scratch / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        folder = self.path(key)
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
        return Kept({name: folder / path for name, path in relative.items()}, facts, seconds)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
