"""What was measured and what is needed: the metric, sizes, latency, memory, operators, parity."""

from __future__ import annotations

from collections.abc import Iterator

from edgearch.reports import format as fmt
from edgearch.reports import reading, rewriting
from edgearch.reports.facts import Column, Facts, Row, facts
from edgearch.reports.reading import Document, interval, number, part, parts, text


def score(document: Document) -> Facts | None:
    """Return the metric before and after, their difference, and what a paired test says of it."""
    found = part(document, "score")
    baselines = part(found, "baselines")
    name = reading.metric_name(found) or "metric"
    delta, interval_of_delta = fmt.difference(number(found, "delta"), interval(found, "ci95"))
    rows = [
        Row(("float", fmt.metric(number(found, "float")), fmt.interval(interval(found, "float_ci95")))),
        Row(
            (
                "deployed",
                fmt.metric(number(found, "deployed")),
                fmt.interval(interval(found, "deployed_ci95")),
            )
        ),
        Row(("difference", delta, interval_of_delta)),
        Row(("difference, of float", _share(found), "")),
        *(
            Row((fmt.line(way), fmt.metric(number(part(baselines, way), text(found, "metric"))), ""))
            for way in baselines
        ),
    ]
    return facts(
        "score",
        name[:1].upper() + name[1:],
        [Column(""), Column("value", numeric=True), Column("95 % interval", numeric=True)],
        [row for row in rows if row.cells[1] != fmt.MISSING],
        where=reading.where(document, found),
        notes=[_tested(found), _direction(found)],
    )


def beside(document: Document) -> Facts | None:
    """Return the figures that a task gives beside its metric, in float, deployed and of simpler ways."""
    found = part(document, "score")
    figures = part(part(found, "details"), "figures")
    before, after, baselines = part(figures, "float"), part(figures, "deployed"), part(found, "baselines")
    return facts(
        "beside",
        "Beside the metric",
        [
            Column(""),
            *(Column(way, numeric=True) for way in ("float", "deployed", *map(fmt.line, baselines))),
        ],
        [
            Row(
                (
                    fmt.line(name),
                    *(_figure(of, name) for of in (before, after)),
                    *(_figure(part(baselines, way), name) for way in baselines),
                )
            )
            for name in after
        ],
        where=reading.where(document, found),
    )


def _figure(of: Document, name: str) -> str:
    value = number(of, name)
    return fmt.count(value) if isinstance(of.get(name), int) else fmt.metric(value)


def _share(found: Document) -> str:
    """Return the difference as a share of float's value, where that is what its budget is measured in."""
    delta, before = number(found, "delta"), number(found, "float")
    if text(found, "budget") != "relative" or delta is None or not before:
        return fmt.MISSING
    share = fmt.percent(abs(delta / before))
    tells_a_sign = delta and not share.startswith("<")  # "< 0.1 %" is as good as none
    return f"{'+' if delta > 0 else fmt.MINUS}{share}" if tells_a_sign else share


def _tested(found: Document) -> str:
    examples = number(found, "examples")
    on = f"{fmt.count(examples)} test examples" if examples is not None else "the test examples"
    p = fmt.p_statement(number(found, "p_value"))
    if p:
        return f"Paired test on {on}: {p}."
    return f"Scored on {on}; no paired test." if examples is not None else ""


def _direction(found: Document) -> str:
    return "Lower is better." if found.get("higher_is_better") is False else ""


def sizes(document: Document) -> Facts | None:
    """Return the size of every precision that was made, the deployed one marked."""
    deployed, total = reading.precision(document), reading.deployed_bytes(document)
    whole = number(reading.size_of(document, "float32"), "bytes")
    rows = [_size(one, whole, deployed) for one in parts(document, "sizes")]
    if total is not None and not any(row.mark for row in rows):
        rows.append(
            _size({"precision": deployed or "deployed", "bytes": total}, whole, deployed or "deployed")
        )
    return facts(
        "sizes",
        "Size",
        [
            Column("precision"),
            Column("size", numeric=True),
            Column("gzip", numeric=True),
            Column("smaller than float32", numeric=True),
        ],
        rows,
        notes=["Exact: bytes of the files themselves."],
    )


def _size(one: Document, whole: float | None, deployed: str) -> Row:
    named, own = text(one, "precision"), number(one, "bytes")
    smaller = fmt.ratio(whole / own) if whole and own and named != "float32" else fmt.MISSING
    cells = (named or fmt.MISSING, fmt.size(own), fmt.size(number(one, "gzip_bytes")), smaller)
    return Row(cells, mark="deployed" if named and named == deployed else "")


def latency(document: Document) -> Facts | None:
    """Return every runtime's latency: the chosen one marked, one set aside with its reason."""
    rows = [row for runtime in parts(document, "runtimes") for row in _runtime(document, runtime)]
    return facts(
        "latency",
        "Latency",
        [
            Column("runtime"),
            Column("version", below=1),
            Column("threads", numeric=True, extra=True),
            Column("load", numeric=True, extra=True),
            Column("first", numeric=True),
            Column("p50", numeric=True),
            Column("p90", numeric=True),
            Column("p99", numeric=True),
            Column("runs", numeric=True),
            Column("peak RAM", numeric=True, extra=True),
            Column("where"),
        ],
        rows,
        notes=[
            _choice(document),
            _processors(document),
            *_ways_of_timing(document),
            rewriting.undelegated(document),
        ],
    )


def _ways_of_timing(document: Document) -> Iterator[str]:
    """Say where a figure is not of single inferences, as it is elsewhere."""
    for runtime in parts(document, "runtimes"):
        for label, found in reading.timings(runtime):
            latency, name = part(found, "latency_ms"), fmt.line(label)
            if text(latency, "of"):
                yield f"{name}: p50 is of the {text(latency, 'of')}."
            together = number(latency, "timed_together") or 1
            if together > 1:
                yield (
                    f"{name}: {fmt.count(together)} are timed together, so p90 and p99 of single ones are "
                    "not known."
                )


def _processors(document: Document) -> str:
    """Say what ran a runtime that did not run on the CPU."""
    named = {
        text(one, "name"): text(part(one, "processor"), "name")
        for one in parts(document, "runtimes")
        if text(part(one, "processor"), "name")
    }
    return "; ".join(f"{fmt.line(name)} ran on {fmt.line(found)}" for name, found in named.items())


def _choice(document: Document) -> str:
    runtimes = parts(document, "runtimes")
    if all(reading.is_set_aside(one) for one in runtimes):
        return "Every runtime was set aside."
    others = [one for one in runtimes if not reading.is_set_aside(one)]
    return "Chosen: the fastest that agrees with the reference kernels." if len(others) > 1 else ""


def _runtime(document: Document, runtime: Document) -> Iterator[Row]:
    name = text(runtime, "name") or fmt.MISSING
    if reading.is_set_aside(runtime):
        yield Row(
            (name,), mark="failed", span=f"set aside: {text(runtime, 'set_aside') or 'no reason given'}"
        )
        return
    for label, found in reading.timings(runtime):
        yield Row(_latency(document, runtime, found, label), mark="chosen" if runtime.get("chosen") else "")
    for label, reason in reading.refused(runtime):
        yield Row((label,), span=reason)


def _latency(document: Document, runtime: Document, figures: Document, name: str) -> tuple[str, ...]:
    found = part(figures, "latency_ms")
    return (
        name,
        text(runtime, "version"),
        fmt.count(number(runtime, "threads")),
        fmt.duration(number(figures, "load_ms")),
        *(fmt.duration(number(found, key)) for key in ("first", "p50", "p90", "p99")),
        fmt.count(number(found, "runs")),
        fmt.size(number(runtime, "peak_rss_bytes")),
        reading.where(document, runtime),
    )


def memory(document: Document) -> Facts | None:
    """Return what the model needs of the device's RAM and flash, against what there is."""
    found = part(document, "fit")
    rows = [
        _need(found, "RAM", "ram_bytes", "ram_limit_bytes"),
        _need(found, "flash", "flash_bytes", "flash_limit_bytes"),
    ]
    arena = number(found, "arena_bytes")
    if arena is not None:
        rows.append(Row(("tensor arena, of the RAM", fmt.size(arena), fmt.MISSING, fmt.MISSING)))
    return facts(
        "memory",
        "Memory",
        [
            Column(""),
            Column("needs", numeric=True),
            Column("limit", numeric=True),
            Column("used", numeric=True),
        ],
        [row for row in rows if set(row.cells[1:]) != {fmt.MISSING}],
        where=reading.where(document, found),
        notes=["Every operator is one that the device supports." if found.get("unsupported") == [] else ""],
    )


def _need(found: Document, title: str, needed: str, limit: str) -> Row:
    needs, has = number(found, needed), number(found, limit)
    if needs is None or not has:
        return Row((title, fmt.size(needs), fmt.size(has), fmt.MISSING))
    over = needs > has
    # 100.0 % would not tell one byte too many from one to spare.
    used = f"{fmt.size(needs - has)} too much" if over else fmt.percent(needs / has)
    return Row((title, fmt.size(needs), fmt.size(has), used), mark="failed" if over else "")


def unsupported(document: Document) -> Facts | None:
    """Return the operators that the device cannot run, why, and the way round each."""
    found = part(document, "fit")
    return facts(
        "unsupported",
        "Unsupported operators",
        [Column("operator"), Column("reason"), Column("remedy")],
        [
            Row(tuple(text(one, key) or fmt.MISSING for key in ("op", "reason", "remedy")), mark="failed")
            for one in parts(found, "unsupported")
        ],
    )


def operators(document: Document) -> Facts | None:
    """Return how often each operator occurs, those that the device cannot run marked."""
    counts: dict[str, float] = {}
    for artifact in [document, *parts(document, "artifacts")]:
        for op in part(artifact, "ops"):
            counts[op] = counts.get(op, 0) + (number(part(artifact, "ops"), op) or 0)
    stopped = {text(one, "op") for one in parts(part(document, "fit"), "unsupported")}
    return facts(
        "operators",
        "Operators",
        [Column("operator"), Column("count", numeric=True), Column("")],
        [
            Row(
                (fmt.line(op), fmt.count(counts[op]), "unsupported" if fmt.line(op) in stopped else ""),
                mark="failed" if fmt.line(op) in stopped else "",
            )
            for op in sorted(counts, key=lambda op: (-counts[op], op))
        ],
    )


def parity(document: Document) -> Facts | None:
    """Return how far the deployed model's outputs are from those it should give."""
    found = part(document, "parity")
    error, agreement = number(found, "max_abs_error"), number(found, "agreement")
    if error is None and agreement is None:
        return None
    return facts(
        "parity",
        "Parity",
        [
            Column("against"),
            Column("largest difference of an output", numeric=True),
            Column("same answer", numeric=True),
        ],
        [Row((text(found, "against") or fmt.MISSING, _error(error), fmt.percent(agreement)))],
        where=reading.where(document, found),
    )


def gate(document: Document) -> Facts | None:
    """Return how far float32 TFLite was from Keras before any other precision was believed."""
    found = part(document, "gate")
    kernels, allowed = part(found, "kernels"), number(found, "tolerance")
    rows = [
        Row(
            (
                fmt.line(kind),
                fmt.line(output),
                _error(number(part(outputs, output), "max_abs_error")),
                _error(number(part(outputs, output), "share_of_range")),
            )
        )
        for kind in kernels
        for outputs in [part(kernels, kind)]
        for output in outputs
    ]
    return facts(
        "gate",
        "Float32 gate",
        [
            Column("kernels"),
            Column("output"),
            Column("difference", numeric=True),
            Column("of its range", numeric=True),
        ],
        rows,
        where=text(found, "where"),
        notes=[
            "Float32 TFLite against Keras, value by value, on the machine that converted the model.",
            f"Allowed: {_error(allowed)} of the output's range." if allowed is not None else "",
        ],
    )


def gate_statement(document: Document) -> str:
    """Return the worst output of the float32 gate in a sentence; an empty one where there was none."""
    found = part(document, "gate")
    kernels, allowed = part(found, "kernels"), number(found, "tolerance")
    outputs = [part(part(kernels, kind), output) for kind in kernels for output in part(kernels, kind)]
    shares = [share for one in outputs if (share := number(one, "share_of_range")) is not None]
    if not shares or allowed is None:
        return ""
    return (
        f"float32 TFLite is at most {max(shares):.1e} of an output's range off Keras ({allowed:.0e} allowed)"
    )


def _error(value: float | None) -> str:
    return fmt.MISSING if value is None else f"{value:.3g}"


def outputs(document: Document) -> Facts | None:
    """Return what a run gave: a line for each output."""
    value = document.get("outputs")
    if isinstance(value, str):
        return _saved(document, fmt.line(value))
    found = parts(document, "outputs")
    if isinstance(value, dict):
        found = [
            {"name": key, **one} if isinstance(one, dict) else {"name": key, "value": one}
            for key, one in value.items()
        ]
    keys = list(dict.fromkeys(["name", *(key for one in found for key in one)]))
    return facts(
        "outputs",
        "Outputs",
        [Column(fmt.line(key)) for key in keys],
        [Row(tuple(_value(one.get(key)) for key in keys)) for one in found],
    )


def _saved(document: Document, file: str) -> Facts | None:
    shapes, fed = part(document, "output_shapes"), text(document, "inputs")
    rows = [Row((fmt.line(name), _value(shapes[name]))) for name in shapes] or [Row(("all", fmt.MISSING))]
    notes = [f"Saved in {file}.", f"Inputs: {fed}." if fed else ""]
    return facts("outputs", "Outputs", [Column("name"), Column("shape")], rows, notes=notes)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return fmt.MISSING if value is None else fmt.line(value)
