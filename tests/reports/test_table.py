"""Documents on a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from edgearch.reports import table
from tests.reports import samples
from tests.reports.samples import Document

Show = Callable[[Document], RenderableType]
ALL: list[tuple[Show, Document]] = [
    (table.deployment, samples.deployment()),
    (table.deployment, samples.failed()),
    (table.comparison, samples.comparison()),
    (table.check, samples.deployment()),
    (table.check, samples.failed()),
    (table.check, samples.placed()),
    (table.run, samples.run()),
]


def printed(show: Show, document: Document, width: int = 120, terminal: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=terminal, highlight=False).print(show(document))
    return out.getvalue()


def line_with(text: str, words: str) -> str:
    return next(line for line in text.splitlines() if words in line)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(("show", "document"), ALL)
def test_nothing_is_cut_or_wider_than_the_terminal(show: Show, document: Document, width: int) -> None:
    text = printed(show, document, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


@pytest.mark.parametrize(("show", "document"), ALL)
def test_output_that_is_no_terminal_holds_no_escape_codes(show: Show, document: Document) -> None:
    assert "\x1b" not in printed(show, document)
    assert "\x1b" in printed(show, document, terminal=True)


def test_deployment_shows_metric_difference_interval_test_and_test_set_size() -> None:
    text = printed(table.deployment, samples.deployment())
    assert "0.9889" in line_with(text, "  float ")
    assert "0.9861" in line_with(text, "  deployed ")
    assert "−0.003  [−0.008, 0.000]" in line_with(text, "  difference ")
    assert "Paired test on 360 test examples: p = 1.00." in text


def test_metric_without_a_paired_test_says_so_and_shows_no_p_value() -> None:
    text = printed(table.deployment, samples.having(samples.deployment(), "p_value", None))
    assert "no paired test" in text
    assert "p =" not in text


def test_chosen_runtime_is_marked_and_one_set_aside_has_its_reason() -> None:
    text = printed(table.deployment, samples.deployment())
    assert "7.23 µs" in line_with(text, "▸ litert")
    assert "723 µs" in line_with(text, "  tflite-runtime")
    assert "set aside: crashed with SIGSEGV" in line_with(text, "✗ armnn")


def test_all_runtimes_set_aside_is_said_without_a_figure() -> None:
    document = samples.deployment()
    document["runtimes"] = [document["runtimes"][2]]
    text = printed(table.deployment, document)
    assert "Every runtime was set aside." in text
    assert "µs" not in text


def test_each_role_of_a_model_has_a_latency() -> None:
    document = samples.deployment()
    document["runtimes"][0]["roles"] = {
        "encoder": {"latency_ms": samples.latency(0.5)},
        "decoder": {"latency_ms": samples.latency(0.25)},
    }
    text = printed(table.deployment, document)
    assert "500 µs" in line_with(text, "litert, encoder")
    assert "250 µs" in line_with(text, "litert, decoder")


def test_figures_say_how_they_were_obtained() -> None:
    text = printed(table.deployment, samples.deployment())
    for line in ("Accuracy  stand-in", "Memory  estimated", "Parity  stand-in"):
        assert line in text.splitlines()
    assert line_with(text, "▸ litert").rstrip().endswith("stand-in")
    assert "7.23 µs (p50, litert, stand-in)" in text


def test_part_without_where_takes_the_documents() -> None:
    document = samples.lacking(samples.deployment(), "where") | {"where": "emulated"}
    assert "Accuracy  emulated" in printed(table.deployment, document)


def test_deployed_size_is_held_against_float32() -> None:
    line = line_with(printed(table.deployment, samples.deployment()), "▸ int8")
    assert "93.6 kB" in line
    assert "3.37×" in line


def test_one_byte_too_many_is_not_shown_as_just_full() -> None:
    line = line_with(printed(table.deployment, samples.failed()), "✗ RAM")
    assert "1.00 GB" in line
    assert "400 B too much" in line


def test_failed_deployment_shows_reason_op_and_remedy() -> None:
    text = printed(table.deployment, samples.failed())
    assert "✗ cnn-resnet8 as prune-int8 on rpi failed: It needs 400 bytes of RAM too much (and 1 more" in text
    assert "Train x·σ(1.702x) in its place." in line_with(text, "✗ GELU")
    assert "failed: GELU: op set 'tflm' lacks it." in text


def test_stages_have_seconds_and_cached_ones_say_so() -> None:
    text = printed(table.deployment, samples.deployment()).replace("\xa0", " ")
    assert "train 14.2 s, measure 9.8 s (cached)" in text


def test_long_path_of_the_bundle_is_shown_whole() -> None:
    path = "build/" + "x" * 200
    text = printed(table.deployment, samples.deployment() | {"bundle": path}, width=80)
    assert path in text.replace("\n", "")


@pytest.mark.parametrize("width", [80, 120])
def test_comparison_has_a_row_for_each_pipeline_and_reasons_for_failed_ones(width: int) -> None:
    text = printed(table.comparison, samples.comparison(), width)
    for name, value in (("float32", "0.9889"), ("int8", "0.9861"), ("✗ prune-int8", "0.9694")):
        assert value in line_with(text, f"  {name} ")
    assert "failed: The converter crashed with SIGSEGV." in line_with(text, "✗ dynamic")
    assert "prune-int8 failed: prune-int8 loses 0.0195 accuracy" in text
    assert "metric: stand-in · latency: stand-in · RAM: estimated · 360 test examples" in text


def test_comparison_says_where_in_each_cell_if_rows_differ() -> None:
    document = samples.comparison()
    document["precisions"][2]["runtimes"][0]["where"] = "device"
    text = printed(table.comparison, document, width=160)
    assert "18.2 µs (stand-in)" in line_with(text, "  float32 ")
    assert "7.23 µs (device)" in line_with(text, "  int8 ")


def test_verdict_of_a_comparison_names_ties_and_leaves_failed_rows_out() -> None:
    text = " ".join(printed(table.comparison, samples.comparison()).split())
    assert "best accuracy float32 and float16 (0.9889, stand-in)" in text
    assert "fastest int8 (7.23 µs, p50, litert, stand-in); smallest int8 (93.6 kB)" in text
    assert "A paired test tells none of them from float" in text
    assert "Failed: prune-int8, dynamic." in text


def test_verdict_takes_the_lowest_metric_where_lower_is_better() -> None:
    document = samples.having(samples.comparison(), "higher_is_better", False)
    assert "best accuracy int8 (0.9861" in " ".join(printed(table.comparison, document).split())


def test_check_counts_operators_and_says_what_it_needs() -> None:
    text = printed(table.check, samples.deployment())
    assert "fits: 60.0 MB of 1.00 GB RAM (estimated), 93.6 kB." in text
    assert line_with(text, "CONV_2D").split()[-1] == "9"
    assert "unsupported" in line_with(printed(table.check, samples.failed()), "✗ GELU")


def test_run_shows_file_latency_and_outputs() -> None:
    text = printed(table.run, samples.run())
    assert "✓ models/person.tflite as int8 on rpi: 7.23 µs (p50, litert, stand-in), 93.6 kB." in text
    assert "[20, 10]" in line_with(text, "logits")
    assert "Saved in build/runs/person-rpi/outputs.npz." in text


def test_brackets_and_escape_codes_of_a_device_are_only_text() -> None:
    document = samples.deployment()
    document["runtimes"][2]["set_aside"] = "[red]\x1b[2Jgone[/nonsense]"
    line = line_with(printed(table.deployment, document), "armnn")
    assert line.rstrip().endswith("set aside: [red]�[2Jgone[/nonsense]")


def relative() -> Document:
    """Return a deployment whose metric is in nats, lower is better, with a simpler way beside it."""
    document = samples.deployment()
    document["score"] |= {
        "metric": "negative_elbo", "title": "negative ELBO", "higher_is_better": False, "budget": "relative",
        "float": 56.47, "deployed": 56.54, "delta": 0.068, "ci95": [0.003, 0.139], "p_value": 0.06,
        "baselines": {"PCA with 8 components": {"negative_elbo": 93.57, "squared error of a pixel": 0.0248}},
        "details": {
            "figures": {
                "float": {"squared error of a pixel": 0.0125},
                "deployed": {"squared error of a pixel": 0.0126},
            }
        },
    }  # fmt: skip
    return document


def test_metric_that_is_no_accuracy_has_its_own_name_share_and_direction() -> None:
    text = printed(table.deployment, relative())
    assert "56.54 negative ELBO (float 56.47, difference +0.068" in text.replace("\n", " ")
    assert "Negative ELBO" in text
    assert "+0.1 %" in line_with(text, "difference, of float")
    assert "93.57" in line_with(text, "PCA with 8 components")
    assert "Lower is better." in text


def test_figures_beside_the_metric_stand_with_those_of_simpler_ways() -> None:
    line = line_with(printed(table.deployment, relative()), "squared error of a pixel")
    assert line.split()[-3:] == ["0.0125", "0.0126", "0.0248"]


def test_share_of_float_is_for_metrics_whose_budget_is_one() -> None:
    assert "difference, of float" not in printed(table.deployment, samples.deployment())
