"""Which precision to deploy: the one that measured fastest among those that passed every check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgearch.reports import format as fmt
from edgearch.reports import reading, rewriting
from edgearch.reports.reading import Document, number, part, text

REFERENCE = "float32"
NOTABLE = 1.05  # two runs of the same model differ by less


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


def slower_than_float(document: Document) -> str:
    """Say that the deployed precision took longer than float32 beside it, and what was not delegated."""
    median, beside = _median(document), number(part(document, "float32"), "p50_ms")
    if median is None or beside is None or median <= beside * NOTABLE:
        return ""
    runtime = reading.chosen(document)
    how = f"p50, {text(runtime, 'name')}, {reading.where(document, runtime)}"
    both = f"{fmt.duration(median)} against {fmt.duration(beside)}"
    said = [
        f"{reading.precision_name(document)} is slower than {REFERENCE} here: {both} ({how}).",
        rewriting.undelegated(document),
        f"Faster: --pipeline {REFERENCE}; edgearch compare measures every precision.",
    ]
    return " ".join(sentence for sentence in said if sentence)


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
