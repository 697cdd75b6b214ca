"""Reports of a model that is driven in steps."""

from __future__ import annotations

from edgearch.reports import figures, html, lengths, reading, verdict
from edgearch.reports.reading import Document
from tests.reports import samples


def stepped() -> Document:
    """Return a deployment of ``step`` over 8 steps; its runtime refused ``sequence``."""
    document = samples.deployment()
    step = {"latency_ms": samples.latency(0.002), "steps": 8, "sequence_latency_ms": samples.latency(0.03)}
    refused = {"refused": "no variable tensors", "instead": "step"}
    runtime = samples.runtime("litert", 0.002, True) | step
    return document | {"runtimes": [runtime | {"roles": {"sequence": refused, "step": step}}]}


def test_a_step_and_a_sequence_of_them_have_a_row_each() -> None:
    (runtime,) = reading.parts(stepped(), "runtimes")
    assert [label for label, _ in reading.timings(runtime)] == ["litert, step", "litert, step × 8"]
    table = figures.latency(stepped())
    assert table
    assert [row.cells[0] for row in table.rows] == ["litert, step", "litert, step × 8", "litert, sequence"]
    assert table.rows[2].span == "refused: no variable tensors; step answered in its place"


def test_verdict_and_card_say_that_the_latency_is_a_steps() -> None:
    assert "2.00 µs a step, 30.0 µs for 8 (p50, litert, step, stand-in)" in verdict.deployment(stepped())
    assert "latency of a step, p50" in html.deployment(stepped())
    assert "a step" not in verdict.deployment(samples.deployment())


def test_table_of_lengths_shows_some_and_always_the_last() -> None:
    document = samples.deployment()
    values = [place / 60 for place in range(1, 61)]
    document["score"]["details"]["accuracy_by_length"] = {"float": values, "deployed": values}
    table = lengths.table(document)
    assert table
    assert [row.cells[0] for row in table.rows] == ["8", "16", "24", "32", "40", "48", "56", "60"]
    assert table.rows[-1].cells[1:] == ("1.0000", "1.0000")
    document["score"]["details"] = {}
    assert lengths.table(document) is None
