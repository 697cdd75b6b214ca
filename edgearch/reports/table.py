"""A document on a terminal: what a command prints when it is done.

Everything is drawn as ``Text``, never as markup: brackets in a name or an interval are just brackets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgearch.reports import (
    comparing,
    emulating,
    figures,
    lengths,
    placing,
    provenance,
    reading,
    recommending,
    regressing,
    rewriting,
    verdict,
)
from edgearch.reports import format as fmt
from edgearch.reports.facts import Facts
from edgearch.reports.reading import Document, parts, text, texts

_MARKS = {"chosen": ("▸ ", "bold"), "deployed": ("▸ ", "bold"), "failed": ("✗ ", "red"), "": ("  ", "")}
_INDENT = 2


def deployment(document: Document) -> RenderableType:
    """Return what ``edgearch deploy`` ends with: every figure, how it was obtained, and what failed."""
    return _report(
        _headline(verdict.deployment(document), bool(reading.reasons(document))),
        figures.score(document),
        lengths.table(document),
        figures.beside(document),
        figures.sizes(document),
        figures.latency(document),
        figures.memory(document),
        figures.unsupported(document),
        _accelerated(document),
        emulating.emulation(document),
        _parity(document),
        rewriting.rewrites(document),
        rewriting.kept(document),
        _stages(document),
        *_ending(document),
    )


def comparison(document: Document) -> RenderableType:
    """Return what ``edgearch compare`` ends with: a row for each precision."""
    rows = reading.precisions(document)
    failed = [one for one in rows if reading.reasons(one)]
    return _report(
        _headline(verdict.comparison(document), len(failed) == len(rows)),
        comparing.comparison(document),
        rewriting.rewrites(document),
        _said(recommending.statement(document)),
        *_ending(document),
    )


def check(document: Document) -> RenderableType:
    """Return what ``edgearch check`` prints: the files, their operators, and whether they fit."""
    return _report(
        _headline(verdict.check(document), bool(reading.reasons(document))),
        provenance.artifacts(document),
        placing.placement(document) or figures.operators(document),
        figures.memory(document),
        figures.unsupported(document),
        *_ending(document),
    )


def run(document: Document) -> RenderableType:
    """Return what ``edgearch run`` ends with: the file, its operators, latency, memory and outputs."""
    return _report(
        _headline(verdict.deployment(document), bool(reading.reasons(document))),
        provenance.artifacts(document),
        placing.placement(document) or figures.operators(document),
        figures.latency(document),
        figures.memory(document),
        figures.unsupported(document),
        _parity(document),
        figures.outputs(document),
        *_ending(document),
    )


def regression(document: Document) -> RenderableType:
    """Return what ``edgearch regress`` prints: each measurement beside the accepted one."""
    return _report(
        _headline(regressing.verdict(document), bool(reading.reasons(document))),
        regressing.changes(document),
        *_ending(document),
    )


def _accelerated(document: Document) -> Facts | None:
    """Return the placement where there is more than one place."""
    return placing.placement(document) if reading.part(document, "accelerator") else None


def _report(*parts_of_it: Facts | RenderableType | None) -> Group:
    """Stack what there is, a blank line before each."""
    drawn: list[RenderableType] = []
    for one in parts_of_it:
        if one is not None:
            drawn += ["", _Section(one) if isinstance(one, Facts) else one]
    return Group(*drawn, "")


def _headline(sentence: str, failed: bool) -> Text:
    return Text.assemble(
        ("✗ " if failed else "✓ ", "bold red" if failed else "bold green"), (sentence, "bold")
    )


def _said(sentence: str) -> Text | None:
    return Text(sentence, "bold") if sentence else None


def _titled(title: str, where: str = "") -> Text:
    return Text.assemble((title, "bold cyan"), (f"  {where}" if where else "", "yellow"))


def _parity(document: Document) -> RenderableType | None:
    found, gate = figures.parity(document), figures.gate_statement(document)
    if found is None:
        return Group(_titled("Parity"), _indented(Text(gate))) if gate else None
    said = [f"{column.title} {cell}" for column, cell in zip(found.columns, found.rows[0].cells, strict=True)]
    lines = [", ".join(said), gate] if gate else [", ".join(said)]
    return Group(_titled(found.title, found.where), *(_indented(Text(line)) for line in lines))


def _stages(document: Document) -> RenderableType | None:
    found = [
        f"{text(one, 'name') or fmt.MISSING} {fmt.seconds(reading.number(one, 'seconds'))}"
        + (" (cached)" if one.get("cached") else "")
        for one in parts(document, "stages")
    ]
    if not found:
        return None
    # A stage and its time stay together: only the commas are places to break a line.
    return Group(_titled("Stages"), _indented(Text(", ".join(one.replace(" ", "\xa0") for one in found))))


def _indented(drawn: RenderableType) -> Padding:
    return Padding(drawn, (0, 0, 0, _INDENT), expand=False)  # no blanks at the end of a line


def _ending(document: Document) -> Iterator[RenderableType]:
    """Yield notes, failures, and where to find the rest."""
    last = [Text.assemble(("note: ", "yellow"), note) for note in reading.notes(document)]
    last += [Text.assemble(("failed: ", "bold red"), failure) for failure in texts(document, "failures")]
    last += [Text.assemble((f"{name}: ", "bold"), place) for name, place in provenance.places(document)]
    if last:
        yield Group(*last)


@dataclass(frozen=True)
class _Section:
    """One table, as wide as the terminal lets it be."""

    facts: Facts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _titled(self.facts.title, self.facts.where)
        narrow = _without_extras(self.facts)
        drawn = [_drawn(shape) for shape in (self.facts, narrow)]
        drawn += [_drawn(narrow.stacked(level), apart=True) for level in (1, 2)]
        unbounded = options.update(max_width=10_000)  # a measurement is cut to the width it is given
        room = options.max_width - _INDENT
        fitting = [one for one in drawn if Measurement.get(console, unbounded, one).maximum <= room]
        if drawn[0].row_count:
            yield _indented((fitting or drawn[-1:])[0])
        for line in _lines(self.facts):
            yield _indented(line)


def _lines(facts: Facts) -> Iterator[RenderableType]:
    """Yield what is said across the columns, then the notes."""
    for row in facts.rows:
        if row.span:
            mark, style = _MARKS[row.mark]
            line = Table.grid(padding=(0, 2, 0, 0))
            line.add_column(style=style)
            line.add_column()
            line.add_row(Text(mark + row.cells[0]), Text(row.span, overflow="fold"))
            yield line
    for note in facts.notes:
        yield Text(f"  {note}" if _is_marked(facts) else note, style="dim")


def _is_marked(facts: Facts) -> bool:
    return any(row.mark for row in facts.rows)


def _drawn(facts: Facts, apart: bool = False) -> Table:
    """Return ``facts`` as a table, with a blank line between rows that are to stand ``apart``."""
    table = Table(
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        show_header=facts.headed,
        header_style="dim",
    )
    marked = _is_marked(facts)
    for place, column in enumerate(facts.columns):
        title = ("  " if marked and not place else "") + column.title
        table.add_column(Text(title), justify="right" if column.numeric else "left", overflow="fold")
    for row in facts.rows:
        if not row.span:
            mark, style = _MARKS[row.mark]
            if apart and table.row_count:
                table.add_row()
            cells = [_marked(mark, row.cells[0]) if marked else row.cells[0], *row.cells[1:]]
            table.add_row(*(Text(cell) for cell in cells), style=style)
    return table


def _marked(mark: str, cell: str) -> str:
    return mark + cell.replace("\n", "\n  ")


def _without_extras(facts: Facts) -> Facts:
    return facts.without(place for place, column in enumerate(facts.columns) if column.extra)
