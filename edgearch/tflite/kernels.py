"""Which operators have no kernel in a precision: from the converter's complaint, or known beforehand.

Known beforehand are those that the converter lets pass and an interpreter then crashes on.
"""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources
from typing import Any

from edgearch.tflite.model import Model

# TensorFlow's own words: Quantization to 16x8-bit not yet supported for op: 'NAME'.
_REFUSED = re.compile(r"not yet supported for op:\s*'(\w+)'")


def lacking_by_message(message: str, precision: str) -> list[dict[str, Any]]:
    """Return the operators that the converter's error names; nothing if it speaks of something else."""
    names = dict.fromkeys(_REFUSED.findall(message))
    return [_entry(op, None, precision, "the converter does not quantize it") for op in names]


def lacking(model: Model, precision: str) -> list[dict[str, Any]]:
    """Return the operators of a converted file that no interpreter runs in ``precision``."""
    known = _known().get(precision, {}).get("crashes", ())
    return [
        _entry(op, count, precision, "interpreters have no kernel for it")
        for op, count in model.ops().items()
        if op in known
    ]


def _entry(op: str, count: int | None, precision: str, reason: str) -> dict[str, Any]:
    remedies = _known().get(precision, {}).get("remedies", {})
    counted = {} if count is None else {"count": count}
    remedy = remedies.get(op, "Choose another precision, int8 for example.")
    return {"op": op, **counted, "reason": f"{reason} in {precision}", "remedy": remedy}


@functools.cache
def _known() -> dict[str, Any]:
    text = resources.files("edgearch.tflite").joinpath("kernels.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
