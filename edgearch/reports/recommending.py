"""Which precision to deploy: the one that measured fastest among those that passed every check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgearch.reports import format as fmt
from edgearch.reports import reading, rewriting
from edgearch.reports.reading import Document, number, part, text

REFERENCE = "float32"


def recommended(documents: Sequence[Document]) -> dict[str, Any] | None:
    """Return pipeline, precision and the reason in a sentence; nothing where nothing was measured."""
    timed = [
        (median, one)
        for one in documents
        if not reading.reasons(one) and (median := _median(one)) is not None
    ]
    if not timed:
        return None
    median, best = min(timed, key=lambda pair: pair[0])
    runtime = reading.chosen(best)
    others = len(timed) - 1
    beaten = f" of {len(timed)} that passed every check" if others else ", the only one that passed"
    said = [
        f"{reading.precision_name(best)} measured fastest{beaten}: {fmt.duration(median)} "
        f"(p50, {text(runtime, 'name')}, {reading.where(best, runtime)}).",
        _beside_float(best, median, documents),
        _caution(best, runtime),
    ]
    return {
        "pipeline": text(best, "pipeline"),
        "precision": text(best, "precision"),
        "p50_ms": median,
        "reason": " ".join(one for one in said if one),
    }


def slower_than_float(documents: Sequence[Document]) -> list[str]:
    """Return a sentence for each precision that took longer than float32 in the same comparison."""
    reference = next((_median(one) for one in documents if text(one, "pipeline") == REFERENCE), None)
    if reference is None:
        return []
    found = []
    for one in documents:
        median = _median(one)
        if median is not None and median > reference:
            runtime = reading.chosen(one)
            how = f"p50, {text(runtime, 'name')}, {reading.where(one, runtime)}"
            said = [
                f"{reading.precision_name(one)} is slower than {REFERENCE} here: {fmt.duration(median)} "
                f"against {fmt.duration(reference)} ({how}).",
                rewriting.undelegated(one),
            ]
            found.append(" ".join(sentence for sentence in said if sentence))
    return found


def statement(document: Document) -> str:
    """Return the recommendation of a comparison as a line; an empty one where there is none."""
    reason = text(part(document, "recommended"), "reason")
    return f"Recommended: {reason}" if reason else ""


def _median(one: Document) -> float | None:
    return number(part(reading.chosen(one), "latency_ms"), "p50")


def _beside_float(best: Document, median: float, documents: Sequence[Document]) -> str:
    reference = next((_median(one) for one in documents if text(one, "pipeline") == REFERENCE), None)
    if reference is None or not median or text(best, "pipeline") == REFERENCE:
        return ""
    return f"That is {fmt.ratio(reference / median)} as fast as {REFERENCE}."


def _caution(best: Document, runtime: Document) -> str:
    if reading.where(best, runtime) == "simulated":
        return "The speed is this machine's: on the microcontroller itself the order may be another."
    return ""
