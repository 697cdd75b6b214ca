"""Quantize after training: float16 weights, dynamic-range, int8 throughout, or int8 weights with int16.

Source: B. Jacob et al., arXiv:1712.05877; the TensorFlow Lite 8-bit quantization specification.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edgearch.records import Strict
from edgearch.stages import _bundle, _conversion, convert
from edgearch.work import Work

AFTER = ("train", "convert")
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
    roles = work.facts["roles"]
    refused = _conversion.quantize(source, work.files["calibration"], roles, wanted, work.folder)
    files = {
        f"{role}.{kind}": work.folder / f"{role}.{kind}.tflite"
        for role in roles
        for kind in wanted
        if (role, kind) not in refused.roles and kind not in refused.operators
    }
    files |= {f"{role}.calibration": work.folder / f"{role}.calibration.npz" for role in roles}
    quantized = work.plus(files, precision=settings.precision)
    for (role, kind), reason in refused.roles.items():
        if kind == settings.precision:
            quantized = _bundle.without(quantized, role, f"the converter refused {kind}: {reason}")
    return _without_kernels(quantized, refused.operators.get(settings.precision, []))


def _without_kernels(work: Work, lacking: list[dict[str, Any]]) -> Work:
    """Fail the work for each operator that has no kernel in its precision."""
    if not lacking:
        return work
    failed = work.plus(fit={"ok": False, "unsupported": lacking})
    for one in lacking:
        failed = failed.failed(f"{one['op']}: {one['reason']}. {one['remedy']}")
    return failed
