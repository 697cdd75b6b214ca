"""Which layers were built in another form, and what that changes."""

from __future__ import annotations

from collections.abc import Iterator

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


def kept(document: Document) -> Facts | None:
    """Return the operators that were kept out of int8, and what int8 does to each."""
    mixed = part(document, "mixed")
    return facts(
        "kept",
        "Kept out of int8",
        [
            Column("role"),
            Column("operator"),
            Column("one step of int8 there", numeric=True),
            Column("of the error", numeric=True),
            Column("result", extra=True),
        ],
        [row for role in mixed for row in _kept(fmt.line(role), part(mixed, role))],
        notes=[
            "Of the error: an operator's part of what each, alone in int8, does to the outputs of float32."
        ],
    )


def _kept(role: str, found: Document) -> Iterator[Row]:
    """Yield a row an operator; one for the whole role where all of its activations are in int16."""
    harms = parts(found, "kept")
    for harm in harms:
        yield Row(
            (
                role,
                text(harm, "op"),
                _small(number(harm, "step")),
                fmt.percent(number(harm, "share")),
                text(harm, "tensor"),
            )
        )
    if text(found, "precision") and not harms:
        yield Row((role, f"all of them, {text(found, 'precision')}", fmt.MISSING, fmt.MISSING, ""))


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
