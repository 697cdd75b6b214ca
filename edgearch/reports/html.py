"""A document as one page of HTML that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from edgearch.reports import (
    comparing,
    emulating,
    figures,
    graphs,
    lengths,
    pictures,
    placing,
    plots,
    provenance,
    reading,
    recommending,
    rewriting,
    verdict,
)
from edgearch.reports import format as fmt
from edgearch.reports.facts import Facts
from edgearch.reports.reading import Document, interval, number, part, text, texts

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,  # names and reasons come from files and devices
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Card:
    """One figure that is seen first: what it is, its value, what to hold it against, how it was obtained."""

    title: str
    value: str
    beside: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True)
class Plot:
    """A drawing and how to read it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading with its tables and drawings."""

    title: str
    tables: tuple[Facts, ...]
    plots: tuple[Plot, ...] = ()
    half: bool = False


def deployment(document: Document) -> str:
    """Return the page of one deployment."""
    return _page(
        document,
        kind="Deployment",
        sentence=verdict.deployment(document),
        failures=reading.reasons(document),
        failed=bool(reading.reasons(document)),
        cards=[_metric_card(document), _latency_card(document), _size_card(document), _memory_card(document)],
        sections=[
            _section("", figures.unsupported(document)),
            _section("", figures.score(document), figures.beside(document), plots=_confusion(document)),
            _section("Images", plots=_images(document)),
            _section("Accuracy against sequence length", plots=_lengths(document)),
            _section("Graph", plots=_graph(document)),
            _section("", figures.latency(document), plots=_latency(document)),
            _section("", figures.sizes(document), plots=_sizes(plots.sizes(document))),
            _section("", rewriting.rewrites(document)),
            _section("", rewriting.kept(document)),
            _section("", placing.placement(document)),
            _section("", emulating.emulation(document)),
            _section("", figures.memory(document), half=True),
            _section("", figures.operators(document), half=True),
            _section("", figures.parity(document), half=True),
            _section("", figures.gate(document), half=True),
            _section("Machine and condition", provenance.machine(document), provenance.condition(document)),
            _section("", provenance.artifacts(document), provenance.checksums(document)),
            _section("", provenance.stages(document)),
        ],
    )


def comparison(document: Document) -> str:
    """Return the page of every precision side by side."""
    rows = reading.precisions(document)
    table, gathered = comparing.comparison(document), provenance.gathered(document)
    failures = [f"{reading.precision_name(one)}: {reason}" for one in rows for reason in reading.reasons(one)]
    return _page(
        document,
        kind="Comparison",
        sentence=" ".join(
            one for one in (verdict.comparison(document), recommending.statement(document)) if one
        ),
        failures=[*texts(document, "failures"), *failures],
        failed=all(reading.reasons(one) for one in rows),
        cards=[],
        sections=[
            _section(
                "", table.stacked(1) if table else None, plots=[*_metric(document), *_tradeoff(document)]
            ),
            _section("Size", plots=_sizes(plots.compared_sizes(document))),
            _section("", rewriting.rewrites(document)),
            _section("", provenance.machine(gathered)),
            _section("", provenance.artifacts(gathered), provenance.checksums(gathered)),
        ],
    )


def _page(
    document: Document,
    *,
    kind: str,
    sentence: str,
    failures: list[str],
    failed: bool,
    cards: list[Card | None],
    sections: list[Section | None],
) -> str:
    return _TEMPLATES.get_template("report.html.j2").render(
        kind=kind,
        title=verdict.title(document),
        sentence=sentence,
        failures=failures,
        failed=failed,
        subject=provenance.subject(document),
        cards=[card for card in cards if card],
        sections=[section for section in sections if section],
        notes=reading.notes(document),
        places=provenance.places(document),
        meanings=reading.WHERE,
        schema=text(document, "schema"),
        missing=fmt.MISSING,
    )


def _section(
    title: str, *tables: Facts | None, plots: list[Plot] | None = None, half: bool = False
) -> Section | None:
    """Return a section titled like its first table unless named, or nothing if it is empty."""
    known = tuple(table for table in tables if table is not None)
    if not known and not plots:
        return None
    return Section(title or (known[0].title if known else ""), known, tuple(plots or ()), half)


def _plot(svg: str, caption: str) -> list[Plot]:
    # Made by matplotlib, which escapes what it writes; everything else is escaped by the template.
    return [Plot(Markup(svg), caption)] if svg else []  # noqa: S704


def _confusion(document: Document) -> list[Plot]:
    return _plot(
        plots.confusion(document),
        "Rows are true classes, columns predicted ones. Framed: the deployed count differs from float's.",
    )


def _lengths(document: Document) -> list[Plot]:
    return _plot(plots.lengths(document), lengths.CAPTION)


def _images(document: Document) -> list[Plot]:
    return _plot(
        pictures.images(document),
        "Each column is one input: what the float model makes of it, and what the deployed one does.",
    )


def _graph(document: Document) -> list[Plot]:
    return _plot(
        graphs.graph(document),
        "The first graph of the test set, or a piece of it. A node's colour is its true class. Large and "
        "framed: labelled wrongly. Small: not of the test split.",
    )


def _latency(document: Document) -> list[Plot]:
    return _plot(
        plots.latency(document),
        "Above: all runtimes on one scale. Below: each one's runs on a scale of its own; dashed lines are "
        "p50 and p90, and the last, hatched bar also holds every run slower than p99.",
    )


def _sizes(svg: str) -> list[Plot]:
    return _plot(svg, "Dark: the file as it is. Light: the same file compressed by gzip.")


def _metric(document: Document) -> list[Plot]:
    return _plot(
        plots.metric(document),
        "A dot is the deployed model, its line the 95 % interval. Grey: float and its interval. "
        "Overlapping intervals do not settle a difference: the paired p-value in the table does.",
    )


def _tradeoff(document: Document) -> list[Plot]:
    return _plot(
        plots.tradeoff(document),
        "Lower left is better. A dot is p50 of the chosen runtime, its line reaches to p99.",
    )


def _metric_card(document: Document) -> Card | None:
    found = part(document, "score")
    value = number(found, "deployed")
    if value is None:
        return None
    delta, bounds = fmt.difference(number(found, "delta"), interval(found, "ci95"))
    beside = (f"{delta} {bounds}".replace(fmt.MISSING, "").strip(), fmt.p_statement(number(found, "p_value")))
    return Card(
        reading.metric_name(found) or "metric", fmt.metric(value), beside, reading.where(document, found)
    )


def _latency_card(document: Document) -> Card | None:
    runtime = reading.chosen(document)
    label, timed = reading.timings(runtime)[0]
    found = part(timed, "latency_ms")
    p50, p99 = number(found, "p50"), number(found, "p99")
    if p50 is None:
        return None
    whole = number(part(runtime, "sequence_latency_ms"), "p50")
    steps = f"{reading.steps(runtime)} steps {fmt.duration(whole)}" if whole is not None else ""
    beside = (label, f"p99 {fmt.duration(p99)}" if p99 is not None else "", steps)
    return Card(
        "latency of a step, p50" if steps else "latency, p50",
        fmt.duration(p50),
        beside,
        reading.where(document, runtime),
    )


def _size_card(document: Document) -> Card | None:
    own, whole = reading.deployed_bytes(document), number(reading.size_of(document, "float32"), "bytes")
    if own is None:
        return None
    beside = (f"float32 {fmt.size(whole)}", f"{fmt.ratio(whole / own)} smaller") if whole and own else ()
    return Card("size", fmt.size(own), beside)


def _memory_card(document: Document) -> Card | None:
    found = part(document, "fit")
    ram, limit = number(found, "ram_bytes"), number(found, "ram_limit_bytes")
    if ram is None:
        return None
    beside = (f"limit {fmt.size(limit)}", f"{fmt.percent(ram / limit)} of it") if limit else ()
    return Card("RAM", fmt.size(ram), beside, reading.where(document, found))
