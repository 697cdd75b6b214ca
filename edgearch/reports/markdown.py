"""A document as ``report.md``: the same facts as plain text that a repository or an issue shows well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edgearch.reports import (
    comparing,
    emulating,
    figures,
    lengths,
    placing,
    provenance,
    reading,
    recommending,
    rewriting,
    verdict,
)
from edgearch.reports import format as fmt
from edgearch.reports.facts import Facts, Row
from edgearch.reports.reading import Document, texts

# What Markdown or the HTML in it would read as more than text. An underscore inside a word (CONV_2D) and a
# bracket that opens no link ([−0.008, 0.000]) are left as they are, so that the file itself reads well.
_SPECIAL = re.compile(r"[\\`*<>|~&$]|(?<![^\W_])_|_(?![^\W_])|!(?=\[)|\](?=[(\[:])")
# At the start of a line: a heading, a list or a quotation.
_OPENING = re.compile(r"^(?=[#+\-=])|^(\d+)(?=[.)])")


def deployment(document: Document) -> str:
    """Return the report of one deployment."""
    blocks = [
        *_beginning(verdict.title(document), verdict.deployment(document), document),
        *_tables(
            figures.score(document),
            lengths.table(document),
            figures.beside(document),
            figures.sizes(document),
            figures.latency(document),
            figures.memory(document),
            figures.unsupported(document),
            placing.placement(document),
            emulating.emulation(document),
            figures.parity(document),
            figures.gate(document),
            rewriting.rewrites(document),
            rewriting.kept(document),
            provenance.machine(document),
            provenance.condition(document),
            provenance.stages(document),
            provenance.artifacts(document),
            figures.operators(document),
            provenance.checksums(document),
        ),
        *_ending(document),
    ]
    return "\n\n".join(blocks) + "\n"


def comparison(document: Document) -> str:
    """Return the report of every precision side by side."""
    gathered = provenance.gathered(document)
    blocks = [
        *_beginning(verdict.title(document), verdict.comparison(document), document),
        *([_block(sentence)] if (sentence := recommending.statement(document)) else []),
        *_tables(
            comparing.comparison(document),
            rewriting.rewrites(document),
            provenance.machine(gathered),
            provenance.artifacts(gathered),
            provenance.checksums(gathered),
        ),
        *_ending(document),
    ]
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is."""
    return _SPECIAL.sub(lambda found: "\\" + found.group(), text)


def _block(text: str) -> str:
    """Return ``text`` escaped for a place where it begins a line."""
    return _OPENING.sub(lambda found: f"{found.group(1)}\\" if found.group(1) else "\\", escaped(text))


def _beginning(title: str, sentence: str, document: Document) -> Iterator[str]:
    yield f"# {escaped(title)}"
    yield f"**{escaped(sentence)}**"
    known = provenance.subject(document)
    if known:
        yield _list(f"{name}: {value}" for name, value in known)
    failures = texts(document, "failures")
    if failures:
        yield "## Failures"
        yield _list(failures)


def _tables(*tables: Facts | None) -> Iterator[str]:
    for facts in tables:
        if facts is not None:
            yield f"## {escaped(facts.title)}" + (f" ({escaped(facts.where)})" if facts.where else "")
            yield table(facts)
            yield from (_block(note) for note in facts.notes)


def table(facts: Facts) -> str:
    """Return rows and columns; what spans columns stands in the first of them."""
    lines = [
        _line(column.title for column in facts.columns),
        _line(("---:" if column.numeric else "---" for column in facts.columns), escape=False),
        *(_line(_cells(row, len(facts.columns))) for row in facts.rows),
    ]
    return "\n".join(lines)


def _cells(row: Row, columns: int) -> list[str]:
    """Return a row's cells with its mark; what spans columns stands in the first of them."""
    first = f"✗ {row.cells[0]}" if row.mark == "failed" else row.cells[0]
    said = f" ({row.mark})" if row.mark in {"chosen", "deployed"} else ""
    cells = [first + said, *row.cells[1:], *([row.span] if row.span else [])]
    return cells + [""] * (columns - len(cells))


def _line(cells: Iterable[str], escape: bool = True) -> str:
    return f"| {' | '.join(escaped(cell) if escape else cell for cell in cells)} |"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_block(line)}" for line in lines)


def _ending(document: Document) -> Iterator[str]:
    notes = reading.notes(document)
    if notes:
        yield "## Notes"
        yield _list(notes)
    places = provenance.places(document)
    if places:
        yield "## Files"
        yield _list(f"{name}: {place}" for name, place in places)
    yield "## How figures were obtained"
    yield "\n".join(f"- **{where}**: {meaning}" for where, meaning in reading.WHERE.items())
    yield f"A dash ({fmt.MISSING}) is a figure that there is not."
