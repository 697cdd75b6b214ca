"""Plots as SVG."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from edgearch.reports import graphs, plots
from tests.reports import samples
from tests.reports.samples import Document

Draw = Callable[[Document], str]
ALL: list[tuple[Draw, Document]] = [
    (plots.latency, samples.deployment()),
    (plots.confusion, samples.deployment()),
    (plots.lengths, samples.deployment()),
    (plots.sizes, samples.deployment()),
    (plots.metric, samples.comparison()),
    (plots.compared_sizes, samples.comparison()),
    (plots.tradeoff, samples.comparison()),
]


def texts(svg: str) -> list[str]:
    """Return what the drawing says; it is well-formed XML, or this is an error."""
    drawn = ElementTree.fromstring(svg).iter()  # noqa: S314
    return ["".join(one.itertext()).strip() for one in drawn if one.tag.endswith("}text")]


@pytest.mark.parametrize(("draw", "document"), ALL)
def test_plot_has_a_title_and_real_text_in_a_generic_font(draw: Draw, document: Document) -> None:
    svg = draw(document)
    title = re.search(
        r'<svg [^>]*role="img" aria-labelledby="([\w-]+)"[^>]*><title id="([\w-]+)">[^<]+</title>', svg
    )
    assert title
    assert title.group(1) == title.group(2)
    assert texts(svg)
    assert set(
        re.findall(
            r"font(?:-family)?: (?:[\w .]*px )?([^;\"]+)", re.sub(r"font-(size|weight): [^;\"]+", "", svg)
        )
    ) == {"sans-serif"}


@pytest.mark.parametrize(("draw", "document"), ALL)
def test_same_document_gives_the_same_bytes_without_a_date(draw: Draw, document: Document) -> None:
    svg = draw(document)
    assert svg == draw(document)
    assert "<metadata" not in svg
    assert "<?xml" not in svg


def test_plots_of_one_page_share_no_ids() -> None:
    found = [
        re.findall(r'\bid="([^"]+)"', draw(document)) for draw, document in ALL if draw is not plots.sizes
    ]
    together = [one for ids in found for one in ids]
    assert len(together) == len(set(together))


@pytest.mark.parametrize(("draw", "document"), ALL)
def test_every_reference_leads_somewhere(draw: Draw, document: Document) -> None:
    svg = draw(document)
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg))
    assert used <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_latency_shows_runtimes_a_hundred_times_apart_and_says_what_the_last_bar_holds() -> None:
    said = texts(plots.latency(samples.deployment()))
    assert {"litert", "tflite-runtime", "10.0 µs", "1.00 ms"} <= set(said)
    assert "armnn" not in said
    assert said.count("with all above p99") == 2
    assert "litert, stand-in: 1,000 runs, p50 7.23 µs, p90 7.95 µs, p99 10.1 µs" in said
    assert any("stand-in" in one and "logarithmic scale" in one for one in said)


def test_confusion_frames_exactly_the_cells_that_changed() -> None:
    svg = plots.confusion(samples.deployment())
    assert svg.count("stroke: #d55e00") == 2
    assert {"cat", "dog", "owl", "30", "29", "28"} <= set(texts(svg))
    same = samples.deployment()
    same["score"]["details"]["confusion"]["deployed"] = samples.CONFUSION["float"]
    assert "stroke: #d55e00" not in plots.confusion(same)


def test_confusion_of_float_alone_is_drawn_alone() -> None:
    document = samples.deployment()
    document["score"]["details"] = {"confusion": {"labels": [], "float": [[3, 0], [1, 2]]}}
    said = texts(plots.confusion(document))
    assert "float" in said
    assert not any(one.startswith("deployed") for one in said)


def test_confusion_of_many_classes_leaves_counts_out_and_names_some() -> None:
    document, classes = samples.deployment(), 100
    diagonal = [[10 * (row == column) for column in range(classes)] for row in range(classes)]
    document["score"]["details"]["confusion"] = {
        "labels": [f"class {one}" for one in range(classes)],
        "float": diagonal,
        "deployed": diagonal,
    }
    said = texts(plots.confusion(document))
    assert "10" not in said
    assert 10 <= sum(one.startswith("class") for one in said) <= 80  # of 4 axes with 100 classes each


@pytest.mark.parametrize("matrix", [[[1, 2, 3]], [[1, 2], [3]], "text", [], [["a"]], [[float("nan")]]])
def test_confusion_that_is_no_square_of_counts_is_not_drawn(matrix: object) -> None:
    document = samples.deployment()
    document["score"]["details"]["confusion"] |= {"float": matrix, "deployed": matrix}
    assert plots.confusion(document) == ""


def test_lengths_are_drawn_after_each_step_in_float_and_as_deployed() -> None:
    said = texts(plots.lengths(samples.deployment()))
    assert {"float", "deployed", "steps read", "accuracy", "1", "4"} <= set(said)
    assert "after each step, stand-in" in said
    uneven = samples.deployment()
    uneven["score"]["details"]["accuracy_by_length"]["float"] = [0.5]
    assert plots.lengths(uneven) == ""


def test_sizes_have_values_as_they_are_and_compressed() -> None:
    assert {"316 kB", "gzip 291 kB", "93.6 kB", "gzip 71.0 kB"} <= set(
        texts(plots.sizes(samples.deployment()))
    )


def test_points_that_coincide_keep_labels_apart() -> None:
    document = samples.comparison()
    document["precisions"][3] |= {key: document["precisions"][2][key] for key in ("runtimes", "artifacts")}
    tree = ElementTree.fromstring(plots.tradeoff(document))  # noqa: S314
    heights = {
        "".join(one.itertext()): float(one.attrib["y"])
        for one in tree.iter()
        if one.tag.endswith("}text") and "".join(one.itertext()) in {"int8", "prune-int8"}
    }
    assert abs(heights["int8"] - heights["prune-int8"]) > 9  # the font's size


@pytest.mark.parametrize(("draw", "document"), ALL)
def test_nothing_to_see_is_an_empty_string(draw: Draw, document: Document) -> None:
    named = {key: document[key] for key in ("schema", "model", "device", "where")}
    assert draw(named) == ""


@pytest.mark.parametrize("name", ["<script>", "a--><b", "$\\frac", "日本語", "a&b", "]]>"])
def test_names_are_drawn_as_they_are(name: str) -> None:
    document = samples.deployment()
    document["runtimes"][0]["name"] = name
    assert name in texts(plots.latency(document))


def labelled() -> Document:
    document = samples.deployment()
    one = {"nodes": 3, "edges": [[0, 1], [1, 2]], "true": [0, 1, 1], "predicted": [0, 0, -1]}
    right = {**one, "predicted": [0, 1, -1]}
    document["score"]["details"]["graph"] = {"labels": ["a & b", "c"], "float": right, "deployed": one}
    return document


def test_graph_says_how_many_of_the_nodes_shown_are_wrong() -> None:
    found = texts(graphs.graph(labelled()))
    assert {"float: 0 of 2 shown wrong", "a & b", "c"} <= set(found)
    assert any(one.startswith("deployed") and one.endswith("1 of 2 shown wrong") for one in found)
    assert graphs.graph(labelled()) == graphs.graph(labelled())


@pytest.mark.parametrize(
    "change", [{"true": []}, {"edges": [[0, 9]]}, {"predicted": [0]}, {"edges": [[0]]}, {"true": "abc"}]
)
def test_graph_that_does_not_hold_together_is_not_drawn(change: dict[str, object]) -> None:
    document = labelled()
    for name in ("float", "deployed"):
        document["score"]["details"]["graph"][name].update(change)
    assert graphs.graph(document) == ""
