"""Which layers were built in another form, and what that changes."""

from __future__ import annotations

from edgearch.reports import format as fmt
from edgearch.reports import reading
from edgearch.reports.facts import Column, Facts, Row, facts
from edgearch.reports.reading import Document, number, part, parts, text


def rewrites(document: Document) -> Facts | None:
    """Return each rewrite with the largest difference it makes; a comparison's rows share theirs."""
    return facts(
        "rewrites",
        "Rewrites",
        [
            Column("rewrite"),
            Column("replaced"),
            Column("by"),
            Column("largest difference", numeric=True),
            Column("of its range", numeric=True, below=1),
            Column("weights", extra=True),
            Column("why", extra=True),
        ],
        [_row(one) for one in _of(document)],
        notes=["The model's outputs with and without the rewrite, the weights the same, in float32 Keras."],
    )


def _of(document: Document) -> list[Document]:
    rows = [document, *reading.precisions(document)]
    return next((found for one in rows if (found := parts(one, "rewrites"))), [])


def _row(one: Document) -> Row:
    trained = one.get("trained")
    said = {True: "trained in this form", False: "computes the same"}
    return Row(
        (
            text(one, "name") or fmt.MISSING,
            text(one, "replaced"),
            text(one, "by"),
            _small(number(one, "max_abs_error")),
            _small(number(one, "share_of_range")),
            said.get(trained, "") if isinstance(trained, bool) else "",
            text(one, "reason"),
        )
    )


def _small(value: float | None) -> str:
    return fmt.MISSING if value is None else f"{value:.2g}"


def undelegated(document: Document) -> str:
    """Say which operators the chosen runtime's delegate left to the interpreter's own kernels."""
    counts = left_outside(document)
    if not counts:
        return ""
    named = ", ".join(f"{fmt.line(op)} ×{fmt.count(count)}" for op, count in counts.items())
    return f"Left outside XNNPACK by {text(reading.chosen(document), 'name')}: {named}."


def left_outside(document: Document) -> dict[str, float]:
    """Count the operators outside the delegate, of all roles, in the chosen runtime; most frequent first."""
    found: dict[str, float] = {}
    roles = part(reading.chosen(document), "roles")
    for role in roles:
        outside = part(part(roles, role), "undelegated")
        for op in outside:
            found[op] = found.get(op, 0) + (number(outside, op) or 0)
    return dict(
        sorted(((op, count) for op, count in found.items() if count), key=lambda one: (-one[1], one[0]))
    )
