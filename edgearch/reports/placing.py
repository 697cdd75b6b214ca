"""Where each operator runs: on the accelerator, on the processor, or not at all, and why."""

from __future__ import annotations

from edgearch.reports import format as fmt
from edgearch.reports import reading
from edgearch.reports.facts import Column, Facts, Row, facts
from edgearch.reports.reading import Document, number, part, parts, text

_NOWHERE = "none"


def placement(document: Document) -> Facts | None:
    """Return what runs where, and for what does not run where it should: the reason and the remedy."""
    accelerator = part(document, "accelerator")
    return facts(
        "placement",
        "Placement",
        [
            Column("operator"),
            Column("count", numeric=True),
            Column("on"),
            Column("reason"),
            Column("remedy", below=1),
        ],
        [_row(one) for one in parts(document, "placement")],
        where=reading.where(document, accelerator) if accelerator else "",
        notes=[_mapped(accelerator), _memory(accelerator), _speed(accelerator)],
    )


def _row(one: Document) -> Row:
    said = (text(one, key) for key in ("on", "reason", "remedy"))  # nothing to say is no missing figure
    cells = (text(one, "op") or fmt.MISSING, fmt.count(number(one, "count")), *said)
    return Row(cells, mark="failed" if text(one, "on") == _NOWHERE else "")


def _mapped(accelerator: Document) -> str:
    """Say how much of the model the accelerator takes."""
    mapped, operators = number(accelerator, "mapped"), number(accelerator, "operators")
    if mapped is None or operators is None:
        return ""
    name = text(accelerator, "name") or "the accelerator"
    said = f"{fmt.count(mapped)} of {fmt.count(operators)} operators run on {name}."
    compiled, compiler = number(accelerator, "compiled"), text(accelerator, "compiler")
    return (
        f"{said} {compiler} put {fmt.count(compiled)} there." if compiler and compiled is not None else said
    )


def _speed(accelerator: Document) -> str:
    """Say what the accelerator's compiler estimates of one inference."""
    cycles, duration = number(accelerator, "cycles"), number(accelerator, "inference_ms")
    sram, flash, dram = (number(accelerator, f"{kind}_bytes") for kind in ("sram", "flash", "dram"))
    if cycles is None or duration is None:
        return ""
    return (
        f"Its compiler estimates {fmt.count(cycles)} cycles an inference, {fmt.duration(duration)}; "
        f"{fmt.size(sram)} of SRAM, {fmt.size(flash)} of flash, {fmt.size(dram)} of DRAM."
    )


def _memory(accelerator: Document) -> str:
    """Say whether its parameters stay in the accelerator's own memory."""
    needed, limit = (number(accelerator, f"parameter_{what}") for what in ("bytes", "limit_bytes"))
    if needed is None or limit is None:
        return ""
    streamed = number(accelerator, "streamed_bytes")
    rest = (
        f"{fmt.size(streamed)} of them come from the host at each inference."
        if streamed
        else "They stay there between inferences."
    )
    return f"Their parameters take {fmt.size(needed)} of its {fmt.size(limit)} of memory. {rest}"
