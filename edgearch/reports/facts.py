"""A document's facts as titled tables of text: what every report says, before any layout.

A table that has nothing to say is ``None``, and a column without a single figure is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgearch.reports import format as fmt

Mark = Literal["", "chosen", "deployed", "failed"]


@dataclass(frozen=True)
class Column:
    """A column's heading, and what may become of it where space is short."""

    title: str
    numeric: bool = False
    below: Literal[0, 1, 2] = 0  # goes below the column before it: 1 readily, 2 if that is not enough
    extra: bool = False  # is left out


@dataclass(frozen=True)
class Row:
    """A row's cells; ``span`` is said in place of the cells that are not given."""

    cells: tuple[str, ...]
    mark: Mark = ""
    span: str = ""


@dataclass(frozen=True)
class Facts:
    """One table of a report: its figures, how they were obtained (``where``) and what to know of them."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    where: str = ""
    notes: tuple[str, ...] = ()

    @property
    def headed(self) -> bool:
        """Whether any column has a heading."""
        return any(column.title for column in self.columns)

    def without(self, drop: Iterable[int]) -> Facts:
        """Return these facts without the columns at the positions ``drop``."""
        kept = sorted({*range(len(self.columns))} - {*drop})
        rows = [
            replace(row, cells=tuple(row.cells[place] for place in kept if place < len(row.cells)))
            for row in self.rows
        ]
        return replace(self, columns=tuple(self.columns[place] for place in kept), rows=tuple(rows))

    def stacked(self, level: int) -> Facts:
        """Return these facts with every column that goes below its neighbour at ``level`` below it.

        Titles and cells of such columns have a line each.
        """
        stacks: list[list[int]] = []
        for place, column in enumerate(self.columns):
            if stacks and 0 < column.below <= level:
                stacks[-1].append(place)
            else:
                stacks.append([place])
        titles = [column.title for column in self.columns]
        columns = [replace(self.columns[stack[0]], title=_piled(titles, stack)) for stack in stacks]
        rows = [
            row if row.span else replace(row, cells=tuple(_piled(row.cells, stack) for stack in stacks))
            for row in self.rows
        ]
        return replace(self, columns=tuple(columns), rows=tuple(rows))


def _piled(texts: Sequence[str], stack: Iterable[int]) -> str:
    return "\n".join(texts[place] for place in stack).rstrip("\n")  # no lines for what is not said


def facts(
    name: str,
    title: str,
    columns: Sequence[Column],
    rows: Iterable[Row],
    *,
    where: str = "",
    notes: Iterable[str] = (),
) -> Facts | None:
    """Return a table without its empty columns (the first always stays), or nothing if it has no rows."""
    rows = tuple(rows)
    if not rows:
        return None
    table = Facts(name, title, tuple(columns), rows, where, tuple(note for note in notes if note))
    return table.without(place for place in range(1, len(columns)) if not _is_used(rows, place))


def _is_used(rows: Sequence[Row], place: int) -> bool:
    return any(row.cells[place] not in {"", fmt.MISSING} for row in rows if place < len(row.cells))
