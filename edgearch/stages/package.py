"""Put what a device needs into one bundle: models, inputs, expected outputs, a manifest with sums.

For a device whose profile asks for it, a firmware project is made from the same bundle.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgearch import firmware
from edgearch.records import Strict
from edgearch.stages import _bundle, _compiling
from edgearch.work import Request, Work, load_arrays

AFTER = ("train", "convert", "validate")
DEPENDS = ("device", "variant", "dataset")
PACKAGES = ()
NEEDS_TENSORFLOW = False
FILES = firmware.FILES


class Settings(Strict):
    """A bundle has no settings."""


def machine(request: Request) -> str | None:
    """Return where the compiler of the device's accelerator is: with one, a bundle holds compiled models."""
    return _compiling.found(request.device)


def run(work: Work, _settings: Settings) -> Work:
    """Write the bundle as a folder, for people, and as one archive, to be sent; and the firmware."""
    precision = work.facts["precision"]
    inputs, expected = (load_arrays(work.files[name]) for name in ("stacked_inputs", "parity"))
    folder = work.folder / "bundle"
    work = with_compiled(work, folder)
    _bundle.write(
        folder, _bundle.models_of(work, precision), precision, inputs, expected, _bundle.driving(work)
    )
    archive = pack(folder, work.folder / "bundle.zip")
    files = {f"bundle/{file.name}": file for file in sorted(folder.iterdir())}
    packaged = work.plus({**files, "archive": archive})
    return with_firmware(packaged, folder) if work.request.device.firmware else packaged


def with_firmware(work: Work, bundle: Path) -> Work:
    """Add the firmware project of ``bundle``, or a note that says why there is none."""
    request, fit = work.request, work.facts.get("fit")
    if fit is None:
        return _noted(
            work, "the pipeline has no stage check before package, which measures the tensor arena."
        )
    folder = work.folder / "firmware"
    title = f"{request.variant}, {request.dataset}, {work.facts['precision']}"
    try:
        written = firmware.write(folder, bundle, request.device, fit, title)
    except firmware.NoRoomError as error:
        return _noted(work, str(error))
    return work.plus({f"firmware/{file.relative_to(folder)}": file for file in written})


def _noted(work: Work, reason: str) -> Work:
    return work.plus(notes=[*work.facts.get("notes", []), f"No firmware project was made: {reason}"])


def with_compiled(work: Work, folder: Path) -> Work:
    """Put models compiled for the device's accelerator into ``folder``, and note what it took.

    Raises:
        ToolError: the compiler failed.
    """
    compiler, program = _compiling.compiler_of(work.request.device), machine(work.request)
    if compiler is None:
        return work
    models = _bundle.models_of(work, work.facts["precision"])
    if all(_compiling.is_compiled(compiler, path) for path in models.values()):
        _compiling.keep_compiled(compiler, models, folder)
        return work
    notes = work.facts.get("notes", [])
    if "accelerator" not in work.facts:
        unknown = "the pipeline has no stage check before package, which says what the accelerator takes."
        return work.plus(notes=[*notes, f"No model was compiled for the accelerator: {unknown}"])
    if program is None:
        missing = f"{compiler.program} is not on PATH, so the bundle holds no model for the accelerator."
        return work.plus(notes=[*notes, f"{missing} {compiler.source}"])
    work.progress(None, f"compiling with {compiler.program}")
    left = _compiling.compiled(compiler, program, models, folder)
    accelerator = work.facts["accelerator"]
    mapped = accelerator["operators"] - sum(left.values())
    said = (
        f"{compiler.program} put {mapped} of {accelerator['operators']} operators on the accelerator; "
        f"{accelerator['mapped']} were predicted. The compiled models are in the bundle."
    )
    return work.plus(
        accelerator={**accelerator, "compiler": compiler.program, "compiled": mapped}, notes=[*notes, said]
    )


def pack(folder: Path, archive: Path) -> Path:
    """Write the files of ``folder`` into ``archive``, the same bytes for the same files."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            packed.writestr(zipfile.ZipInfo(file.name), file.read_bytes())
    return archive
