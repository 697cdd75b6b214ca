"""The one sentence that a report begins with."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgearch.reports import format as fmt
from edgearch.reports import reading
from edgearch.reports.reading import Document, interval, number, part, text


def title(document: Document) -> str:
    """Return what was put where: ``cnn-resnet8 as int8 on rpi``."""
    named = reading.name(document) or text(document, "file") or "model"
    pipeline = text(document, "pipeline") or text(document, "precision")
    return f"{named}{f' as {pipeline}' if pipeline else ''} on {text(document, 'device') or 'no device'}"


def deployment(document: Document) -> str:
    """Return the verdict on one deployment: why it failed, or what it came to."""
    if reading.reasons(document):
        return _failed(document)
    said = [one for one in (_metric(document), _latency(document), _size(document)) if one]
    return f"{title(document)}: {', '.join(said) or 'nothing was measured'}."


def check(document: Document) -> str:
    """Return the verdict of a check: what stops the model, or what it needs of the device."""
    if reading.reasons(document):
        return _failed(document)
    found = part(document, "fit")
    ram, limit = number(found, "ram_bytes"), number(found, "ram_limit_bytes")
    needs = (
        f"{fmt.size(ram)} of {fmt.size(limit)} RAM ({reading.where(document, found)})"
        if ram and limit
        else ""
    )
    said = [one for one in (needs, _size(document)) if one]
    fits = "fits" if found.get("ok") is True else "was not held against the device's memory"
    return f"{title(document)} {fits}{': ' if said else ''}{', '.join(said)}."


def _failed(document: Document) -> str:
    reasons = reading.reasons(document)
    more = f" (and {len(reasons) - 1} more, below)" if len(reasons) > 1 else ""
    return f"{title(document)} failed: {reasons[0].rstrip('.')}{more}."


def _metric(document: Document) -> str:
    found = part(document, "score")
    value, before = number(found, "deployed"), number(found, "float")
    if value is None:
        return ""
    delta, bounds = fmt.difference(number(found, "delta"), interval(found, "ci95"))
    said = [f"float {fmt.metric(before)}" if before is not None else ""]
    if delta != fmt.MISSING:
        said.append(f"difference {delta}" + (f" {bounds}" if bounds != fmt.MISSING else ""))
    said += [fmt.p_statement(number(found, "p_value")), reading.where(document, found)]
    return (
        f"{fmt.metric(value)} {reading.metric_name(found)}".rstrip()
        + f" ({', '.join(one for one in said if one)})"
    )


def _latency(document: Document) -> str:
    runtime = reading.chosen(document)
    label, timed = reading.timings(runtime)[0]  # of several roles the first, named: it is not the whole
    median = number(part(timed, "latency_ms"), "p50")
    if median is None:
        return ""
    said = ["p50", label, reading.where(document, runtime)]
    whole = number(part(runtime, "sequence_latency_ms"), "p50")
    step = f" a step, {fmt.duration(whole)} for {reading.steps(runtime)}" if whole is not None else ""
    return f"{fmt.duration(median)}{step} ({', '.join(one for one in said if one)})"


def _size(document: Document) -> str:
    own = reading.deployed_bytes(document)
    return fmt.size(own) if own is not None else ""


def comparison(document: Document) -> str:
    """Return the verdict on a comparison: the best, the fastest, the smallest, and what failed."""
    rows = reading.precisions(document)
    passed = [one for one in rows if not reading.reasons(one)]
    failed = [reading.precision_name(one) for one in rows if reading.reasons(one)]
    said = [_best(passed), _fastest(passed), _smallest(passed)] if len(passed) > 1 else []
    found = "; ".join(one for one in said if one)
    head = f"{title(document)}, {len(rows)} precision{'' if len(rows) == 1 else 's'}"
    sentences = [f"{head}: {found}." if found else f"{head}.", _significant(passed)]
    if failed:
        sentences.append(f"Failed: {', '.join(failed)}.")
    return " ".join(one for one in sentences if one)


def _least(
    rows: list[Document], value: Callable[[Document], float | None]
) -> tuple[list[Document], float | None]:
    """Return all rows that share the least value: a tie has no single winner."""
    known = [(one, found) for one in rows if (found := value(one)) is not None and math.isfinite(found)]
    least = min((found for _, found in known), default=None)
    return [one for one, found in known if found == least], least


def _names(rows: list[Document]) -> str:
    return " and ".join(reading.precision_name(one) for one in rows)


def _best(rows: list[Document]) -> str:
    directions = [part(one, "score").get("higher_is_better") for one in rows if part(one, "score")]
    higher = all(one is True for one in directions)
    if not higher and not all(one is False for one in directions):
        return ""
    sign = -1 if higher else 1

    def signed(one: Document) -> float | None:
        value = number(part(one, "score"), "deployed")
        return None if value is None else sign * value

    best, value = _least(rows, signed)
    if value is None:
        return ""
    metric = reading.metric_name(part(best[0], "score"))
    where = reading.where(best[0], part(best[0], "score"))
    return f"best {metric} {_names(best)} ({fmt.metric(sign * value)}{f', {where}' if where else ''})"


def _fastest(rows: list[Document]) -> str:
    best, value = _least(rows, lambda one: number(part(reading.chosen(one), "latency_ms"), "p50"))
    if value is None:
        return ""
    runtime = reading.chosen(best[0])
    said = ["p50", reading.timings(runtime)[0][0], reading.where(best[0], runtime)]
    return f"fastest {_names(best)} ({fmt.duration(value)}, {', '.join(one for one in said if one)})"


def _smallest(rows: list[Document]) -> str:
    best, value = _least(rows, reading.deployed_bytes)
    return "" if value is None else f"smallest {_names(best)} ({fmt.size(value)})"


def _significant(rows: list[Document]) -> str:
    """Say which precisions a paired test tells from float; nothing if any was not tested."""
    tested = [(one, number(part(one, "score"), "p_value")) for one in rows]
    known = [(one, p) for one, p in tested if p is not None]
    if not known or len(known) < len(tested):
        return ""
    different = [one for one, p in known if p < 0.05]
    if not different:
        return "A paired test tells none of them from float (all p ≥ 0.05)."
    names = ", ".join(reading.precision_name(one) for one in different)
    return f"A paired test tells from float (p < 0.05): {names}."
