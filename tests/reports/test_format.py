"""Figures as people read them."""

from __future__ import annotations

import pytest

from edgearch.reports import format as fmt

INFINITE, NO_NUMBER = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (93_568, "93.6 kB"),
        (315_528, "316 kB"),
        (999_499, "999 kB"),
        (999_600, "1.00 MB"),
        (60_004_096, "60.0 MB"),
        (4_000_000_000, "4.00 GB"),
    ],
)
def test_size_is_in_decimal_units_with_three_digits(value: float | None, text: str) -> None:
    assert fmt.size(value) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"),
        (0.00723, "7.23 µs"),
        (0.0645, "64.5 µs"),
        (0.432, "432 µs"),
        (0.9999, "1.00 ms"),
        (12.34, "12.3 ms"),
        (999.4, "999 ms"),
        (1250, "1.25 s"),
        (1_250_000, "1250 s"),
    ],
)
def test_latency_has_three_digits_in_the_unit_that_fits(milliseconds: float | None, text: str) -> None:
    assert fmt.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.0304, "30 ms"),
        (14.2, "14.2 s"),
        (59.97, "1 min 0 s"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_time_of_a_stage_is_in_the_units_of_a_clock(seconds: float, text: str) -> None:
    assert fmt.seconds(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.98611, "0.9861"),
        (1, "1.0000"),
        (0, "0.0000"),
        (7.2911, "7.291"),
        (123.456, "123.5"),
        (12_345.6, "12,346"),
        (0.0012345, "0.00123"),
        (0.0000012, "1.20e-06"),
        (-3.14159, "−3.142"),
        (NO_NUMBER, "NaN"),
        (-INFINITE, "−∞"),
    ],
)
def test_metric_keeps_the_digits_that_tell_models_apart(value: float | None, text: str) -> None:
    assert fmt.metric(value) == text


@pytest.mark.parametrize(
    ("delta", "interval", "texts"),
    [
        (-0.0028, (-0.0083, 0.0), ("−0.003", "[−0.008, 0.000]")),
        (0.0125, (0.001, 0.024), ("+0.013", "[0.001, 0.024]")),
        (0.0, (0.0, 0.0), ("0.000", "[0.000, 0.000]")),
        (-0.0002, (-0.0083, 0.004), ("0.000", "[−0.008, 0.004]")),
        (0.00002, (-0.00004, 0.00008), ("+0.000020", "[−0.000040, 0.000080]")),
        (-12.5, (-30.0, 2.0), ("−12.50", "[−30.00, 2.00]")),
        (0.01, None, ("+0.010", "–")),
        (None, None, ("–", "–")),
    ],
)
def test_difference_and_interval_have_equally_many_decimals(
    delta: float | None, interval: tuple[float, float] | None, texts: tuple[str, str]
) -> None:
    assert fmt.difference(delta, interval) == texts


@pytest.mark.parametrize(
    ("value", "text", "statement"),
    [
        (None, "–", ""),
        (1.0, "1.00", "p = 1.00"),
        (0.25, "0.25", "p = 0.25"),
        (0.0312, "0.031", "p = 0.031"),
        (0.0996, "0.10", "p = 0.10"),
        (1e-9, "< 0.001", "p < 0.001"),
    ],
)
def test_p_value_has_no_false_precision(value: float | None, text: str, statement: str) -> None:
    assert fmt.p_value(value) == text
    assert fmt.p_statement(value) == statement


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0, "0 %"),
        (1, "100 %"),
        (0.9999, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (0.06, "6.0 %"),
        (1.219, "121.9 %"),
    ],
)
def test_percent_says_all_or_none_only_where_it_is(share: float | None, text: str) -> None:
    assert fmt.percent(share) == text


def test_line_cannot_move_a_cursor_or_turn_the_direction_of_text() -> None:
    assert fmt.line("a\x1b[31mb\nc\u202ed\ud800") == "a�[31mb c�d�"
