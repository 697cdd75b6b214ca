"""Any part of a document may be absent, null, or not what was expected: a report is written all the same."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from edgearch.reports import html, markdown, plots, table
from tests.reports import samples
from tests.reports.samples import Document

NAMED = {"schema": "edgearch/deployment@1", "model": "cnn", "device": "rpi", "where": "stand-in"}
SHOWS = [
    (table.deployment, markdown.deployment, samples.deployment()),
    (table.comparison, markdown.comparison, samples.comparison()),
    (table.run, markdown.deployment, samples.run() | {"runtimes": []}),
    (table.check, markdown.deployment, samples.failed()),
    (table.check, markdown.deployment, samples.placed()),
]
# Each plot, what it draws, and the keys that it reads.
DRAWN: list[tuple[Callable[[Document], str], Document, str]] = [
    (plots.latency, samples.deployment(), "runtimes latency_ms p50 p99 first runs histogram edges counts"),
    (plots.confusion, samples.deployment(), "details confusion labels float deployed where"),
    (plots.sizes, samples.deployment(), "sizes artifacts precision bytes gzip_bytes"),
    (plots.metric, samples.comparison(), "precisions metric float float_ci95 deployed deployed_ci95"),
    (plots.compared_sizes, samples.comparison(), "precisions artifacts sizes gzip_bytes pipeline"),
    (plots.tradeoff, samples.comparison(), "artifacts runtimes bytes p50 p99 chosen pipeline"),
]


def terminal(shown: object) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(shown)
    return out.getvalue()


@pytest.mark.parametrize(("show", "write", "document"), SHOWS)
def test_terminal_and_markdown_bear_any_part_null_or_odd(
    show: Callable[[Document], object], write: Callable[[Document], str], document: Document
) -> None:
    # Both lay out the same tables of text, and Markdown is the quicker of the two.
    for broken in samples.broken(document, samples.ODD):
        assert write(broken).startswith("# ")
    for broken in samples.broken(document, samples.ODD[:1]):
        assert " on rpi" in terminal(show(broken))


@pytest.mark.parametrize(("draw", "document", "keys"), DRAWN)
def test_plots_bear_any_part_null_or_odd(
    draw: Callable[[Document], str], document: Document, keys: str
) -> None:
    for key in keys.split():
        for other in samples.ODD:
            svg = draw(samples.having(document, key, other))
            assert svg == "" or svg.endswith("</svg>")


@pytest.mark.parametrize("other", [None, "text"])
def test_page_bears_a_part_that_is_null_or_odd(other: object) -> None:
    for key in ("score", "runtimes", "fit", "artifacts", "stages", "machine", "condition", "gate"):
        assert html.deployment(samples.having(samples.deployment(), key, other)).endswith("</html>")


def test_document_with_nothing_measured_shows_no_figure() -> None:
    for text in (terminal(table.deployment(NAMED)), markdown.deployment(NAMED), html.deployment(NAMED)):
        assert "cnn on rpi: nothing was measured." in text
    shown = terminal(table.deployment(NAMED))
    assert not re.search(r"\d", shown)


@pytest.mark.parametrize("key", sorted(samples.keys(samples.deployment()) - set(NAMED)))
def test_absent_and_null_read_alike_and_leave_no_trace(key: str) -> None:
    document = samples.deployment()
    absent, null = samples.lacking(document, key), samples.having(document, key, None)
    assert terminal(table.deployment(absent)) == terminal(table.deployment(null))
    text = markdown.deployment(null)
    assert "None" not in text
    assert "nan" not in text


def test_comparison_without_rows_says_so() -> None:
    for document in (NAMED, {**NAMED, "precisions": []}):
        assert "cnn on rpi, 0 precisions." in terminal(table.comparison(document))
        assert "cnn on rpi, 0 precisions." in html.comparison(document)
