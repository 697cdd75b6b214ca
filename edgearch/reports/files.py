"""Write a finished document where the user finds it: JSON, Markdown, HTML, the bundle and the firmware."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

KINDS = ("report.json", "report.md", "report.html")


def write(
    folder: Path,
    document: Mapping[str, Any],
    kind: str,
    bundle: Mapping[str, Path],
    firmware: Mapping[str, Path] | None = None,
) -> None:
    """Write the reports of ``document`` and its bundle's files; each appears whole, one writer at a time.

    Args:
        folder: Where to.
        document: A finished document.
        kind: The function of ``reports.html`` and ``reports.markdown`` that shows it.
        bundle: Names in the bundle → files; none leaves the bundle out.
        firmware: Paths in the firmware project → files; none removes what an earlier run left.
    """
    from edgearch.reports import html, markdown

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if bundle:
            _replace_folder(folder / "bundle", bundle)
        if firmware or (folder / "firmware").exists():
            _replace_folder(folder / "firmware", firmware or {})
        _replace(folder / "report.json", json.dumps(document, indent=1) + "\n")
        for name, module in (("report.md", markdown), ("report.html", html)):
            _replace(folder / name, _shown(module, kind, document))


def _shown(module: ModuleType, kind: str, document: Mapping[str, Any]) -> str:
    return str(getattr(module, kind)(document))


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def _replace_folder(folder: Path, files: Mapping[str, Path]) -> None:
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    scratch.chmod(0o755)
    for name, path in files.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, scratch / name)
    if folder.exists():
        shutil.rmtree(folder)
    if files:
        scratch.rename(folder)
    else:
        scratch.rmdir()
