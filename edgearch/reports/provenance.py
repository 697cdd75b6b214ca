"""Where the figures come from: the machine and its condition, the stages, the files."""

from __future__ import annotations

from edgearch.reports import format as fmt
from edgearch.reports import reading
from edgearch.reports.facts import Column, Facts, Row, facts
from edgearch.reports.reading import Document, number, part, parts, text


def subject(document: Document) -> list[tuple[str, str]]:
    """Return what was asked for, as names and values."""
    known = [
        ("file", text(document, "file")),
        ("device", text(document, "device_title") or text(document, "device")),
        ("host", text(document, "host")),
        ("dataset", text(document, "dataset")),
        ("task", text(document, "task")),
        ("pipeline", text(document, "pipeline")),
        ("seed", text(document, "seed")),
        ("trained on", text(document, "trained_on")),
    ]
    return [(name, value) for name, value in known if value]


def machine(document: Document) -> Facts | None:
    """Return what the machine that ran the model says of itself."""
    found = part(document, "machine")
    cores = number(found, "cores")
    known = [
        ("processor", text(found, "processor")),
        ("architecture", text(found, "architecture")),
        ("cores", fmt.count(cores) if cores is not None else ""),
        ("system", text(found, "system")),
        ("Python", text(found, "python")),
    ]
    rows = [Row((name, value)) for name, value in known if value]
    return facts("machine", "Machine", [Column(""), Column("")], rows, where=text(document, "where"))


def condition(document: Document) -> Facts | None:
    """Return what may change under load, before and after; a dash is what the system does not tell."""
    before, after = (part(part(document, "condition"), when) for when in ("before", "after"))
    rows = [
        _throttled(before, after),
        Row(("temperature", _unit(before, "temperature_c", "°C"), _unit(after, "temperature_c", "°C"))),
        Row(("frequency", _frequency(before), _frequency(after))),
        Row(("governor", text(before, "governor") or fmt.MISSING, text(after, "governor") or fmt.MISSING)),
        Row(("load, 1 min", _unit(before, "load_1min", ""), _unit(after, "load_1min", ""))),
    ]
    return facts(
        "condition",
        "Condition",
        [Column(""), Column("before", numeric=True), Column("after", numeric=True)],
        [row for row in rows if set(row.cells[1:]) != {fmt.MISSING}],
        where=text(document, "where"),
    )


def _throttled(before: Document, after: Document) -> Row:
    """Return the firmware's throttling bits: anything but 0x0 makes a latency doubtful."""
    bits = [text(one, "throttled") for one in (before, after)]
    said = ["no" if bit in {"0x0", "False", "0"} else f"yes ({bit})" if bit else fmt.MISSING for bit in bits]
    return Row(("throttled", *said), mark="failed" if any(one.startswith("yes") for one in said) else "")


def _unit(of: Document, name: str, unit: str) -> str:
    value = number(of, name)
    return fmt.MISSING if value is None else f"{value:.1f} {unit}".rstrip()


def _frequency(of: Document) -> str:
    value = number(of, "frequency_khz")
    return fmt.MISSING if value is None else f"{value / 1000:,.0f} MHz"


def stages(document: Document) -> Facts | None:
    """Return how long each stage took, and which result was found and not made again."""
    found = parts(document, "stages")
    return facts(
        "stages",
        "Stages",
        [Column("stage"), Column("time", numeric=True), Column("")],
        [
            Row(
                (
                    text(one, "name") or fmt.MISSING,
                    fmt.seconds(number(one, "seconds")),
                    "cached" if one.get("cached") else "",
                )
            )
            for one in found
        ],
        notes=["Cached: found and not made again; the time is what it took then."]
        if any(one.get("cached") for one in found)
        else [],
    )


def artifacts(document: Document) -> Facts | None:
    """Return the files that go to the device."""
    return facts(
        "artifacts",
        "Artifacts",
        [
            Column("role"),
            Column("file"),
            Column("precision"),
            Column("size", numeric=True),
            Column("MACs", numeric=True),
            Column("parameters", numeric=True),
            Column("sparsity", numeric=True),
        ],
        [
            Row(
                (
                    text(one, "role") or fmt.MISSING,
                    text(one, "file"),
                    text(one, "precision"),
                    fmt.size(number(one, "bytes")),
                    fmt.count(number(one, "macs")),
                    fmt.count(number(one, "parameters")),
                    fmt.percent(number(one, "sparsity")),
                )
            )
            for one in parts(document, "artifacts")
        ],
    )


def checksums(document: Document) -> Facts | None:
    """Return the SHA-256 sum of each artifact."""
    found = parts(document, "artifacts")
    return facts(
        "checksums",
        "Checksums",
        [Column("role"), Column("file"), Column("SHA-256")],
        [
            Row((text(one, "role") or fmt.MISSING, text(one, "file"), text(one, "sha256")))
            for one in found
            if text(one, "sha256")
        ],
    )


def gathered(document: Document) -> Document:
    """Return the files of all of a comparison's deployments, and the machine that ran them."""
    rows = reading.precisions(document)
    artifacts = [
        {**one, "role": f"{reading.precision_name(row)}, {text(one, 'role') or 'model'}"}
        for row in rows
        for one in parts(row, "artifacts")
    ]
    machine = next((part(row, "machine") for row in rows if part(row, "machine")), {})
    return {"where": text(document, "where"), "artifacts": artifacts, "machine": machine}


def places(document: Document) -> list[tuple[str, str]]:
    """Return where the bundle and the reports are."""
    known = [(name, text(document, name)) for name in ("bundle", "report")]
    return [(name, place) for name, place in known if place]
