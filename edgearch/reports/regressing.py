"""The latest measurements beside the accepted ones."""

from __future__ import annotations

from edgearch.reports import format as fmt
from edgearch.reports.facts import Column, Facts, Row, facts
from edgearch.reports.reading import Document, interval, number, part, parts, text


def changes(document: Document) -> Facts | None:
    """Return a row a subject: both medians, their ratio with its interval, and the machine's condition."""
    return facts(
        "changes",
        "Latency against the accepted run",
        [
            Column("what"),
            Column("accepted", numeric=True),
            Column("latest", numeric=True),
            Column("ratio", numeric=True),
            Column("95 % interval", numeric=True),
            Column("condition", below=1),
            Column("where"),
        ],
        [_row(one) for one in parts(document, "measurements")],
        notes=["Medians of whole examples. Below 1 is faster."],
    )


def verdict(document: Document) -> str:
    """Say in a sentence how many were compared and how many are slower than allowed."""
    compared = parts(document, "measurements")
    slower = sum(one.get("regressed") is True for one in compared)
    done = "; the latest are accepted" if document.get("accepted") is True else ""
    return (
        f"{text(document, 'device')}: {fmt.count(len(compared))} compared with accepted runs, "
        f"{fmt.count(slower)} slower than allowed{done}."
    )


def _row(one: Document) -> Row:
    ratio = number(one, "ratio")
    return Row(
        (
            text(one, "subject"),
            fmt.duration(number(part(one, "accepted"), "p50_ms")),
            fmt.duration(number(part(one, "latest"), "p50_ms")),
            fmt.MISSING if ratio is None else f"{ratio:.2f}",
            fmt.interval(interval(one, "ci95")),
            _condition(part(one, "latest")),
            text(one, "where"),
        ),
        mark="failed" if one.get("regressed") is True else "",
    )


def _condition(entry: Document) -> str:
    after = part(part(entry, "condition"), "after")
    throttled, governor = after.get("throttled"), text(after, "governor")
    said = [
        f"governor {governor}" if governor else "",
        "throttled" if throttled is True else "not throttled" if throttled is False else "",
    ]
    return ", ".join(one for one in said if one) or "condition unknown"
