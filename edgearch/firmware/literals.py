"""Values as C++ source text. Whatever a name holds, it stays inside its literal."""

from __future__ import annotations

import json
import math
import re

import numpy as np

_A_LINE = 16
_LONGEST = 80


def identifier(name: str, index: int) -> str:
    """Return a C identifier for ``name`` that no other ``index`` gives."""
    safe = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()[:_LONGEST]
    return f"{safe}_{index}" if safe[:1].isalpha() else f"role_{index}"


def plain(text: str) -> str:
    """Return ``text`` on one line, in characters that mean nothing to Markdown, C++ or CMake."""
    return re.sub(r"[^A-Za-z0-9 _.,:()/+-]", "?", text)[:_LONGEST]


def json_literal(value: object) -> str:
    """Return a C string literal that holds ``value`` as JSON."""
    escaped = json.dumps(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("?", "\\?") + '"'  # ?? begins a trigraph


def octets(content: bytes) -> str:
    """Return bytes as the elements of an array, some a line."""
    return _lines([f"0x{byte:02x}" for byte in content])


def elements(values: np.ndarray) -> str:
    """Return the values of an array, flat, as the elements of a C array of their type."""
    flat = values.reshape(-1)
    write = real if flat.dtype.kind == "f" else _integer
    return _lines([write(value) for value in flat.tolist()])


def real(value: float) -> str:
    """Return a C literal of type float: nine digits bring it back exactly (IEEE 754-2019, 5.12.2)."""
    if not math.isfinite(value):
        return {"nan": '__builtin_nanf("")', "inf": "__builtin_inff()", "-inf": "-__builtin_inff()"}[
            str(value)
        ]
    text = f"{value:.9g}"
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"


def _integer(value: int) -> str:
    return "INT64_MIN" if value == -(2**63) else str(int(value))


def _lines(items: list[str]) -> str:
    rows = [items[start : start + _A_LINE] for start in range(0, len(items), _A_LINE)]
    return "\n".join(f"    {', '.join(row)}," for row in rows)
