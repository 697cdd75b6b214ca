"""Figures as people read them: one rule for each kind, the same in every report.

A figure that is not there (``None``) is a dash, and never a value that looks measured.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

MISSING = "–"
MINUS = "−"  # as wide as a digit, and never a hyphen at which a line may break

Interval = tuple[float, float]

_SIZES = (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))
_TIMES = (("µs", 1e-3), ("ms", 1.0), ("s", 1e3))


def line(value: object) -> str:
    """Return ``value`` as one line that is safe to print.

    Names and reasons may come from a file or a device: their control characters could move a cursor,
    and half a surrogate pair cannot be written at all.
    """
    words = "".join(" " if char.isspace() else char for char in str(value)).split()
    # Cc: control, Cf: format (right-to-left overrides), Cs: surrogates.
    return "".join(
        "�" if unicodedata.category(char) in {"Cc", "Cf", "Cs"} else char for char in " ".join(words)
    )


def short(value: str, limit: int) -> str:
    """Return ``value`` in at most ``limit`` characters: the middle goes, for names differ at their ends."""
    kept = limit - 1
    return value if len(value) <= limit else f"{value[: kept - kept // 2]}…{value[len(value) - kept // 2 :]}"


def size(value: float | None) -> str:
    """Return bytes in decimal units with three significant digits: ``93.6 kB``."""
    if value is None or not math.isfinite(value):
        return _odd(value)
    return f"{value:.0f} B" if abs(value) < 1000 else _scaled(value, _SIZES)


def duration(milliseconds: float | None) -> str:
    """Return a latency with three significant digits: ``7.23 µs`` below 1 ms, ``1.25 s`` from 1000 ms."""
    if milliseconds is None or not math.isfinite(milliseconds):
        return _odd(milliseconds)
    return _scaled(milliseconds, _TIMES)


def seconds(value: float | None) -> str:
    """Return the time that a stage took: ``30 ms``, ``14.2 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if value is None or not math.isfinite(value):
        return _odd(value)
    if 0 < value < 0.0995:
        return f"{max(1, 1000 * value):.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s"


def metric(value: float | None) -> str:
    """Return a metric: ``0.9861``; four significant digits above 1 (``7.291``), three below 0.01."""
    if value is None or not math.isfinite(value):
        return _odd(value)
    if value == 0 or 0.01 <= abs(value) <= 1:
        return _minus(f"{value:.4f}")
    if abs(value) > 1:
        return _minus(_significant(value, 4) if abs(value) < 9999.5 else f"{value:,.0f}")
    return _minus(_significant(value, 3) if abs(value) >= 1e-4 else f"{value:.2e}")


def difference(delta: float | None, interval: Interval | None) -> tuple[str, str]:
    """Return a difference and its interval, with equally many decimals: ``−0.003``, ``[−0.008, 0.000]``."""
    decimals = _decimals([value for value in (delta, *(interval or ())) if value is not None])
    return _signed(delta, decimals), _bracketed(interval, decimals)


def interval(value: Interval | None) -> str:
    """Return an interval: ``[0.968, 0.994]``."""
    return _bracketed(value, _decimals(value or ()))


def p_value(value: float | None) -> str:
    """Return a p-value without false precision: ``0.25``, ``0.031``, ``< 0.001``."""
    if value is None or not math.isfinite(value):
        return _odd(value)
    if value < 0.001:
        return "< 0.001"
    return f"{value:.2f}" if value >= 0.0995 else f"{value:.3f}"


def p_statement(value: float | None) -> str:
    """Return ``p = 0.25`` or ``p < 0.001``; nothing where no test was made."""
    if value is None:
        return ""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def percent(share: float | None) -> str:
    """Return a share of 1 as ``6.0 %``; only all of it is ``100 %`` and only none of it ``0 %``."""
    if share is None or not math.isfinite(share):
        return _odd(share)
    if share in {0, 1}:
        return f"{share:.0%}".replace("%", " %")
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return _minus(f"{100 * share:.1f} %")


def ratio(value: float | None) -> str:
    """Return how many times: ``3.37×``."""
    return _odd(value) if value is None or not math.isfinite(value) else f"{_significant(value, 3)}×"


def count(value: float | None) -> str:
    """Return a whole number with its thousands apart: ``803,000``."""
    return _odd(value) if value is None or not math.isfinite(value) else _minus(f"{value:,.0f}")


def _odd(value: float | None) -> str:
    """Say that there is no figure, or that it is not one; a metric that diverged is a fact too."""
    if value is None:
        return MISSING
    return "NaN" if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")


def _significant(value: float, digits: int) -> str:
    # The exponent is read off the rounded figure: 9.996 has two digits before the point, not one.
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2]) if value else 0
    return f"{value:.{max(0, digits - 1 - exponent)}f}" if value else "0"


def _scaled(value: float, units: Sequence[tuple[str, float]]) -> str:
    scaled = [(_significant(value / factor, 3), unit) for unit, factor in units]
    text, unit = next((one for one in scaled if abs(float(one[0])) < 1000), scaled[-1])
    return f"{_minus(text)} {unit}"


def _decimals(values: Sequence[float]) -> int:
    """Return 3 for what lies between 0.001 and 10, fewer above, and below as many as show two digits."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    exponent = math.floor(math.log10(largest)) if largest else 0
    return max(0, 3 - exponent) if exponent > 0 else 3 if exponent >= -3 else 1 - exponent


def _fixed(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return _odd(value)
    text = f"{value:.{decimals}f}" if decimals <= 7 else f"{value:.1e}"
    return _minus(text) if float(text) else text.removeprefix("-")


def _signed(value: float | None, decimals: int) -> str:
    if value is None:
        return MISSING
    text = _fixed(value, decimals)
    return f"+{text}" if value > 0 and any(char in "123456789" for char in text) else text


def _bracketed(value: Interval | None, decimals: int) -> str:
    return MISSING if value is None else f"[{_fixed(value[0], decimals)}, {_fixed(value[1], decimals)}]"


def _minus(text: str) -> str:
    return MINUS + text[1:] if text.startswith("-") else text
