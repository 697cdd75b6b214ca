"""How much of a sequence an answer takes: the metric after each step, in float and as deployed."""

from __future__ import annotations

from edgearch.reports import format as fmt
from edgearch.reports import reading
from edgearch.reports.facts import Column, Facts, Row, facts
from edgearch.reports.reading import Document, numbers, part

_ROWS = 8  # lengths that a table shows; a drawing shows all
NOTE = "Answers after each step of the test sequences, of the export that is driven in steps."
CAPTION = (
    f"{NOTE} The model learned to answer after whole sequences: "
    "where the line flattens, the rest of one need not be waited for."
)


def table(document: Document) -> Facts | None:
    """Return the metric after some of the steps, the last one among them."""
    found = lines(document)
    lengths = _shown(max(map(len, found.values()), default=0))
    return facts(
        "lengths",
        "Accuracy against sequence length",
        [Column("steps", numeric=True), *(Column(name, numeric=True) for name in found)],
        [
            Row((fmt.count(length), *(fmt.metric(values[length - 1]) for values in found.values())))
            for length in lengths
        ],
        where=reading.where(document, part(document, "score")),
        notes=[NOTE],
    )


def lines(document: Document) -> dict[str, list[float]]:
    """Return the metric after each step of ``float`` and ``deployed``, if they fit together."""
    found = part(part(part(document, "score"), "details"), "accuracy_by_length")
    known = {name: numbers(found, name) for name in ("float", "deployed") if numbers(found, name)}
    return known if len({len(values) for values in known.values()}) == 1 else {}


def _shown(length: int) -> list[int]:
    every = -(-length // _ROWS) if length else 1
    return [*range(every, length, every), length] if length else []
