"""Every precision of a comparison as one table, a row each."""

from __future__ import annotations

from collections.abc import Callable

from edgearch.reports import format as fmt
from edgearch.reports import reading
from edgearch.reports.facts import Column, Facts, Row, facts
from edgearch.reports.reading import Document, interval, number, part, text

_FIGURES: tuple[tuple[str, Callable[[Document], Document]], ...] = (
    ("metric", lambda one: part(one, "score")),
    ("latency", reading.chosen),
    ("RAM", lambda one: part(one, "fit")),
)


def comparison(document: Document) -> Facts | None:
    """Return a row for each precision; one that failed before it was measured says why instead."""
    rows = reading.precisions(document)
    metrics = sorted({reading.metric_name(part(one, "score")) for one in rows} - {""})
    mixed = {name for name, figures in _FIGURES if " and " in reading.wheres(rows, figures)}
    return facts(
        "comparison",
        "Precisions",
        [
            Column("precision"),
            Column(" / ".join(metrics) or "metric", numeric=True),
            Column("difference", numeric=True),
            Column("95 % interval", numeric=True, below=1),
            Column("p-value", numeric=True, below=2),
            Column("size", numeric=True),
            Column("gzip", numeric=True, below=1),
            Column("p50", numeric=True),
            Column("p99", numeric=True, below=1),
            Column("runtime", numeric=True, below=2),
            Column("RAM", numeric=True),
        ],
        [_row(one, mixed) for one in rows],
        notes=[_obtained(rows), *_late_failures(rows)],
    )


def _obtained(rows: list[Document]) -> str:
    """Say how each column was obtained, and on how many examples."""
    said = [f"{name}: {found}" for name, figures in _FIGURES if (found := reading.wheres(rows, figures))]
    examples = {number(part(one, "score"), "examples") for one in rows} - {None}
    said += [f"{fmt.count(examples.pop())} test examples"] if len(examples) == 1 else []
    said += ["p50 and p99 of one step"] if any(reading.steps(reading.chosen(one)) for one in rows) else []
    return " · ".join(said)


def _late_failures(rows: list[Document]) -> list[str]:
    """Return why a precision failed that was measured all the same: its row holds the figures."""
    return [
        f"{reading.precision_name(one)} failed: {'; '.join(reading.reasons(one))}"
        for one in rows
        if reading.reasons(one) and _is_measured(one)
    ]


def _is_measured(one: Document) -> bool:
    return bool(part(one, "score") or reading.chosen(one))


def _row(one: Document, mixed: set[str]) -> Row:
    name, reasons = reading.precision_name(one), reading.reasons(one)
    if reasons and not _is_measured(one):
        return Row((name,), mark="failed", span=f"failed: {'; '.join(reasons)}")
    score, runtime, fit = part(one, "score"), reading.chosen(one), part(one, "fit")
    latency = part(runtime, "latency_ms")
    delta, bounds = fmt.difference(number(score, "delta"), interval(score, "ci95"))
    deployed = reading.size_of(one, reading.precision(one))
    own = reading.deployed_bytes(one)

    def labelled(figure: str, name: str, of: Document) -> str:
        """Say beside the figure how it was obtained, where not all of its column were obtained alike."""
        return f"{figure} ({reading.where(one, of)})" if name in mixed and figure != fmt.MISSING else figure

    return Row(
        (
            name,
            labelled(fmt.metric(number(score, "deployed")), "metric", score),
            delta,
            bounds,
            fmt.p_value(number(score, "p_value")),
            fmt.size(own if own is not None else number(deployed, "bytes")),
            fmt.size(number(deployed, "gzip_bytes")),
            labelled(fmt.duration(number(latency, "p50")), "latency", runtime),
            fmt.duration(number(latency, "p99")),
            text(runtime, "name"),
            labelled(fmt.size(number(fit, "ram_bytes")), "RAM", fit),
        ),
        mark="failed" if reasons else "",
    )
