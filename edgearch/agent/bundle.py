"""A bundle on a device: unpacked, its sums checked, its arrays read."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from edgearch.agent.failure import AgentError


def unpack(archive: str, parent: str = ".") -> Path:
    """Unpack ``archive`` into a new folder of ``parent`` and check every SHA-256 sum of its manifest.

    Raises:
        AgentError: not an archive, a name that is more than a name, or a sum that differs.
    """
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    try:
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                if Path(name).name != name or name in (".", ".."):
                    raise AgentError(f"The bundle holds {name!r}, which is not a plain file name.")
            packed.extractall(folder)
        for name, expected in read_manifest(folder)["sha256"].items():
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            if found != expected:
                raise AgentError(f"{name} arrived damaged: SHA-256 {found[:12]}…, expected {expected[:12]}….")
    except (zipfile.BadZipFile, KeyError, ValueError, FileNotFoundError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise AgentError(f"The bundle arrived damaged: {error}.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the bundle's manifest."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def models_digest(manifest: dict[str, Any]) -> str:
    """Return what tells the models of a bundle, in the order of its roles, from those of another."""
    sums = [manifest["sha256"][export["file"]] for export in manifest["roles"].values()]
    return hashlib.sha256("".join(sums).encode()).hexdigest()[:16]
