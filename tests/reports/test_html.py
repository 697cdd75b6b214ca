"""Documents as a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from edgearch.reports import html
from tests.reports import samples

VOID = {"meta", "br", "hr", "img", "input", "link"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}'
PAGES = {
    "deployment": html.deployment(samples.deployment()),
    "failed": html.deployment(samples.failed()),
    "comparison": html.comparison(samples.comparison()),
}


class Page(HTMLParser):
    """Elements and text of a page; an element that is closed out of turn is an error."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_and_needs_nothing_from_elsewhere(name: str) -> None:
    page = Page(PAGES[name])
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "img"}
    for _, attributes in page.tags:
        assert not {"src", "srcset", "onload", "onclick"} & set(attributes)
        for key in ("href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith("#")
    assert "@import" not in PAGES[name]
    assert not re.search(r"url\((?!#)", PAGES[name])


@pytest.mark.parametrize("name", PAGES)
def test_page_knows_both_colour_schemes_and_its_language(name: str) -> None:
    assert "@media (prefers-color-scheme: dark)" in PAGES[name]
    assert '<html lang="en">' in PAGES[name]


def test_ids_are_unique() -> None:
    for source in PAGES.values():
        ids = [attributes["id"] for _, attributes in Page(source).tags if "id" in attributes]
        assert len(ids) == len(set(ids))


def test_deployment_begins_with_the_verdict() -> None:
    text = Page(PAGES["deployment"]).text
    verdict = (
        "cnn-resnet8 as prune-int8 on rpi: 0.9861 accuracy (float 0.9889, difference −0.003 [−0.008, 0.000], "
        "p = 1.00, stand-in), 7.23 µs (p50, litert, stand-in), 93.6 kB."
    )
    assert verdict in text
    assert text.index(verdict) < text.index("Latency")


def test_deployment_shows_every_part() -> None:
    text = Page(PAGES["deployment"]).text
    for words in (
        "Accuracy stand-in",
        "Paired test on 360 test examples: p = 1.00.",
        "litert chosen 1.2.3 1 7.60 ms 36.1 µs 7.23 µs 7.95 µs 10.1 µs 1,000 51.9 MB stand-in",
        "armnn set aside: crashed with SIGSEGV",
        "int8 deployed 93.6 kB 71.0 kB 3.37×",
        "Memory estimated",
        "AMD EPYC",
        "61.2 °C",
        "measure 9.8 s cached",
        "ab12" * 16,
        "CONV_2D 9",
        "No host was named, so this machine stood in for the device.",
        "build/deployments/cnn-resnet8-digits-rpi-prune-int8/bundle",
    ):
        assert words in text
    assert PAGES["deployment"].count("<svg") == 4


@pytest.mark.parametrize("name", PAGES)
def test_page_explains_how_figures_were_obtained(name: str) -> None:
    text = Page(PAGES[name]).text
    for where, meaning in (
        ("device", "measured on the device itself"),
        ("stand-in", "measured on this machine in the device's place"),
        ("emulated", "ran on that kind of processor in an emulator"),
        ("simulated", "ran on this machine through TensorFlow Lite Micro"),
        ("estimated", "computed from a model of the hardware"),
    ):
        assert f"{where} {meaning}" in text


def test_failed_deployment_shows_reasons_operator_and_remedy_and_no_measured_figure() -> None:
    text = Page(PAGES["failed"]).text
    for words in (
        "Failures It needs 400 bytes of RAM too much. GELU: op set 'tflm' lacks it.",
        "GELU op set 'tflm' lacks it Train x·σ(1.702x) in its place.",
        "400 B too much",
    ):
        assert words in text
    assert "µs" not in text
    assert "p =" not in text


def test_comparison_shows_every_row_and_every_reason() -> None:
    text = Page(PAGES["comparison"]).text
    assert "int8 0.9861 −0.003 [−0.013, 0.007] 1.00 93.6 kB 71.0 kB 7.23 µs 10.1 µs litert 60.0 MB" in text
    assert "dynamic failed: The converter crashed with SIGSEGV." in text
    assert "prune-int8: prune-int8 loses 0.0195 accuracy; the pipeline allows 0.01." in text
    assert PAGES["comparison"].count("<svg") == 3


def test_verdict_of_a_comparison_is_failed_only_if_every_row_is() -> None:
    assert 'class="verdict failed"' not in PAGES["comparison"]
    document = samples.comparison()
    document["precisions"] = document["precisions"][3:]
    assert 'class="verdict failed"' in html.comparison(document)


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    for show, document in ((html.deployment, samples.deployment()), (html.comparison, samples.comparison())):
        hostile = samples.saying(document, HOSTILE)
        page = Page(show(hostile))
        assert not {tag for tag, _ in page.tags} & {"script", "img"}
        assert not any("onerror" in attributes for _, attributes in page.tags)
        assert f"Raspberry Pi 4/5, 64-bit{HOSTILE}" in page.text
        assert "49" not in page.text
