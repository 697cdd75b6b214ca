"""The firmware on an emulated microcontroller: instructions, and whether its answers are the same."""

from __future__ import annotations

from edgearch.reports import format as fmt
from edgearch.reports import reading
from edgearch.reports.facts import Column, Facts, Row, facts
from edgearch.reports.reading import Document, number, part

_NOTE = (
    "An emulator has no timing model: instructions are exact and repeatable, and are no time. The "
    "report's RAM, flash and tensor arena are this program's, as linked and as run."
)


def emulation(document: Document) -> Facts | None:
    """Return what each role took on the emulated processor, and how its answers compare."""
    found = part(document, "emulation")
    roles = part(found, "roles")
    return facts(
        "emulation",
        "Emulated processor",
        [
            Column("role"),
            Column("instructions an inference", numeric=True),
            Column("inferences", numeric=True),
            Column("equal values", numeric=True),
            Column("largest difference", numeric=True),
        ],
        [_row(role, part(roles, role)) for role in roles],
        where=reading.where(document, found),
        notes=[
            "Equal: to what the same kernels answer on this machine. A difference is in quantization steps, "
            "of floats in their own unit.",
            _NOTE,
        ],
    )


def _row(role: str, figures: Document) -> Row:
    examples, steps = number(figures, "examples") or 0, number(figures, "steps") or 0
    equal = f"{fmt.count(number(figures, 'equal'))} of {fmt.count(number(figures, 'values'))}"
    largest = number(figures, "largest_difference")
    difference = fmt.count(largest) if largest is None or largest.is_integer() else fmt.metric(largest)
    instructions = fmt.count(number(figures, "instructions"))
    return Row((fmt.line(role), instructions, fmt.count(examples * steps), equal, difference))
