"""Rewrites, what no delegate took, and the precision that is recommended."""

from __future__ import annotations

import pytest

from edgearch.reports import html, markdown, recommending, rewriting, table
from tests.reports import samples
from tests.reports.samples import Document
from tests.reports.test_table import line_with, printed


def row(pipeline: str, p50: float, **changes: object) -> Document:
    document = samples.deployment() | {"pipeline": pipeline, "precision": pipeline}
    document["runtimes"] = [samples.runtime("litert", p50, True)]
    return document | changes


def test_every_report_lists_a_rewrite_with_its_difference() -> None:
    document = samples.deployment()
    line = line_with(printed(table.deployment, document, width=200), "sigmoid-gelu")
    for word in ("GELU", "x * sigmoid(1.702 * x)", "0.0084", "0.0035", "trained in this form", "no GELU"):
        assert word in line
        assert word in html.deployment(document)
    assert "| sigmoid-gelu | GELU |" in markdown.deployment(document)


def test_every_report_lists_what_was_kept_out_of_int8() -> None:
    document = samples.deployment()
    line = line_with(printed(table.deployment, document, width=200), "attend")
    for word in ("SOFTMAX", "3.9e+06", "87.5 %"):
        assert word in line
        assert word in html.deployment(document)
    assert "all of them, int16x8" in printed(table.deployment, document, width=200)
    assert "Kept out of int8" not in printed(table.deployment, samples.lacking(document, "mixed"), width=200)


def test_comparison_lists_the_rewrites_that_its_rows_share() -> None:
    for shown in (html.comparison, markdown.comparison):
        assert shown(samples.comparison()).count("sigmoid-gelu") == 1
    assert rewriting.rewrites(samples.lacking(samples.comparison(), "rewrites")) is None


def test_operators_outside_the_delegate_are_named_most_frequent_first() -> None:
    text = printed(table.deployment, samples.deployment(), width=160)
    assert "Left outside XNNPACK by litert: SOFTMAX ×7, ADD ×3." in text
    assert rewriting.undelegated(samples.having(samples.deployment(), "undelegated", {})) == ""


def test_fastest_precision_within_the_budget_is_recommended() -> None:
    failed = row("prune-int8", 0.1, failures=["prune-int8 loses 0.05 accuracy"])
    found = recommending.recommended([row("float32", 0.4), row("int8", 0.2), failed])
    assert found is not None
    assert (found["pipeline"], found["p50_ms"]) == ("int8", 0.2)
    assert found["reason"] == (
        "int8 measured fastest of 2 that passed every check: 200 µs (p50, litert, stand-in). "
        "That is 2.00× as fast as float32."
    )


def test_float32_is_recommended_where_it_is_the_fastest() -> None:
    found = recommending.recommended([row("float32", 0.1), row("int8", 0.2)])
    assert found is not None
    assert found["reason"].startswith("float32 measured fastest of 2")
    assert "as fast as" not in found["reason"]


def test_nothing_is_recommended_where_nothing_passed() -> None:
    assert recommending.recommended([samples.failed()]) is None
    assert recommending.recommended([]) is None


def test_simulated_speed_is_recommended_with_a_caution() -> None:
    simulated = samples.having(row("int8", 0.2), "where", "simulated")
    found = recommending.recommended([simulated])
    assert found is not None
    assert "on the microcontroller itself the order may be another" in found["reason"]


def test_precision_slower_than_float32_says_so_and_what_was_not_delegated() -> None:
    said = recommending.slower_than_float(row("int8", 0.341, float32={"p50_ms": 0.074}))
    assert said.startswith(
        "int8 is slower than float32 here: 341 µs against 74.0 µs (p50, litert, stand-in)."
    )
    assert "Left outside XNNPACK by litert: SOFTMAX ×7" in said
    assert "--pipeline float32" in said


@pytest.mark.parametrize("float32", [{"p50_ms": 0.342}, {"p50_ms": 0.33}, {}, None])
def test_precision_as_fast_as_float32_or_not_compared_says_nothing(float32: object) -> None:
    assert recommending.slower_than_float(row("int8", 0.341, float32=float32)) == ""


def test_recommendation_stands_in_every_report_of_a_comparison() -> None:
    document = samples.comparison()
    for text in (
        printed(table.comparison, document),
        html.comparison(document),
        markdown.comparison(document),
    ):
        assert "Recommended: int8 measured fastest." in text
