"""Quantize after training: float16 weights, dynamic-range, int8 throughout, or int8 weights with int16.

Source: B. Jacob et al., arXiv:1712.05877; the TensorFlow Lite 8-bit quantization specification.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgearch.profiles import Strict
from edgearch.stages import _conversion, convert
from edgearch.work import Work

DEPENDS = ("variant", "seed", "rewrites")
PACKAGES = convert.PACKAGES
NEEDS_TENSORFLOW = True

Quantized = Literal["float16", "dynamic", "int8", "int16x8"]
LADDER: tuple[Quantized, ...] = ("float16", "dynamic", "int8", "int16x8")


class Settings(Strict):
    """``precision`` is deployed; those of ``compare_sizes`` are converted too, for the report's size plot."""

    precision: Quantized
    compare_sizes: tuple[Quantized, ...] = Field(default=LADDER[:3])


def run(work: Work, settings: Settings) -> Work:
    """Write the quantized files of each role; a precision that an operator lacks is named with the reason."""
    wanted = sorted({settings.precision, *settings.compare_sizes}, key=LADDER.index)
    work.progress(None, f"quantizing to {', '.join(wanted)}")
    source = _conversion.source_of(work)
    refused = _conversion.quantize(source, work.files["calibration"], wanted, work.folder)
    files = {
        f"{role}.{kind}": work.folder / f"{role}.{kind}.tflite"
        for role in work.facts["roles"]
        for kind in wanted
        if kind not in refused
    }
    quantized = work.plus(files, precision=settings.precision)
    found = refused.get(settings.precision)
    if not found:
        return quantized
    failed = quantized.plus(fit={"ok": False, "unsupported": found})
    for one in found:
        failed = failed.failed(f"{one['op']}: {one['reason']}. {one['remedy']}")
    return failed
