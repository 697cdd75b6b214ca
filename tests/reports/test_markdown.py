"""Documents as Markdown."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from edgearch.reports import markdown
from tests.reports import samples

HOSTILE = " <script>alert(1)</script> | `a` **b** [c](http://d.example) ![e](f) _g_ \\ # $h$"


def rendered(text: str) -> str:
    page: str = MarkdownIt("commonmark").enable("table").render(text)
    return page


def cells(text: str, first: str) -> list[str]:
    row = next(line for line in text.splitlines() if line.startswith(f"| {first} "))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_deployment_says_what_the_terminal_says() -> None:
    text = markdown.deployment(samples.deployment())
    assert text.startswith("# cnn-resnet8 as prune-int8 on rpi\n\n**cnn-resnet8 as prune-int8 on rpi: 0.9861")
    assert "## Accuracy (stand-in)" in text
    assert cells(text, "difference") == ["difference", "−0.003", "[−0.008, 0.000]"]
    assert "Paired test on 360 test examples: p = 1.00." in text
    assert cells(text, "int8 (deployed)") == ["int8 (deployed)", "93.6 kB", "71.0 kB", "3.37×"]
    assert cells(text, "litert (chosen)")[5] == "7.23 µs"
    assert cells(text, "✗ armnn")[1] == "set aside: crashed with SIGSEGV"
    assert cells(text, "RAM") == ["RAM", "60.0 MB", "1.00 GB", "6.0 %"]
    assert "ab12" * 16 in text
    assert cells(text, "temperature") == ["temperature", "–", "61.2 °C"]


def test_failed_deployment_begins_with_its_failures() -> None:
    text = markdown.deployment(samples.failed())
    assert text.index("## Failures") < text.index("## Size")
    assert cells(text, "✗ GELU")[2] == "Train x·σ(1.702x) in its place."


def test_comparison_has_a_row_for_each_pipeline() -> None:
    text = markdown.comparison(samples.comparison())
    assert cells(text, "int8")[1:5] == ["0.9861", "−0.003", "[−0.013, 0.007]", "1.00"]
    assert cells(text, "✗ dynamic")[1] == "failed: The converter crashed with SIGSEGV."
    assert "- No host was named, so this machine stood in for the device.\n" in text


def test_every_kind_of_figure_is_explained() -> None:
    text = markdown.deployment(samples.deployment())
    for where in ("device", "stand-in", "emulated", "simulated", "estimated"):
        assert f"- **{where}**: " in text


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    for show, document in (
        (markdown.deployment, samples.deployment()),
        (markdown.comparison, samples.comparison()),
    ):
        page = rendered(show(samples.saying(document, HOSTILE)))
        assert "&lt;script&gt;alert(1)&lt;/script&gt; | `a` **b** [c](http://d.example)" in page
        for made in ("<script", "<a ", "<img", "<em>", "<code>"):
            assert made not in page


def test_hostile_text_adds_no_columns() -> None:
    text = markdown.deployment(samples.saying(samples.deployment(), HOSTILE))
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) > 8
    for lines in tables:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_names_of_operators_and_intervals_read_well_in_the_file_itself() -> None:
    assert markdown.escaped("CONV_2D [−0.008, 0.000] prune-int8") == "CONV_2D [−0.008, 0.000] prune-int8"
