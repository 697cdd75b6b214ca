"""Put what a device needs into one bundle: models, inputs, expected outputs, a manifest with sums."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgearch.profiles import Strict
from edgearch.stages import _bundle
from edgearch.work import Work, load_arrays

DEPENDS = ()
PACKAGES = ()
NEEDS_TENSORFLOW = False


class Settings(Strict):
    """A bundle has no settings."""


def run(work: Work, _settings: Settings) -> Work:
    """Write the bundle as a folder, for people, and as one archive, to be sent."""
    precision = work.facts["precision"]
    inputs, expected = (load_arrays(work.files[name]) for name in ("stacked_inputs", "parity"))
    folder = work.folder / "bundle"
    _bundle.write(
        folder, _bundle.models_of(work, precision), precision, inputs, expected, _bundle.driving(work)
    )
    archive = pack(folder, work.folder / "bundle.zip")
    files = {f"bundle/{file.name}": file for file in sorted(folder.iterdir())}
    return work.plus({**files, "archive": archive})


def pack(folder: Path, archive: Path) -> Path:
    """Write the files of ``folder`` into ``archive``, the same bytes for the same files."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            packed.writestr(zipfile.ZipInfo(file.name), file.read_bytes())
    return archive
