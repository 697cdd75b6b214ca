"""What is better seen than read, as SVG for a page; an empty string where nothing is to be seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from edgearch.reports import format as fmt
from edgearch.reports import lengths as by_length
from edgearch.reports import reading
from edgearch.reports.reading import Document, interval, number, numbers, part, parts, text, texts
from edgearch.reports.svg import FAINT, INK, RULE, SOFT, inline

# Blue and vermilion of Okabe and Ito's palette: told apart by every eye, and in grey.
BLUE, PALE, VERMILION = "#0072b2", "#a8cbe3", "#d55e00"
WIDTH = 7.6  # inches; the page scales it
_LABELS = 20  # classes up to which a confusion matrix has room for its counts
_CLASS, _NAME = 10, 24  # characters that a class, and anything else, has room for

# Latency


def latency(document: Document) -> str:
    """Draw every runtime's latencies on one scale, then each one's distribution on its own."""
    timed = [
        (label, runtime, part(figures, "latency_ms"))
        for runtime in parts(document, "runtimes")
        if not reading.is_set_aside(runtime)
        for label, figures in reading.timings(runtime)
        if _positive(number(part(figures, "latency_ms"), "p50"))
    ]
    if not timed:
        return ""
    shown = [one for one in timed if _histogram(one[2])]
    heights = [0.45 + 0.34 * len(timed), *[1.25] * len(shown)]

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        _overview(rows[0], timed, text(document, "where"))
        for axes, (label, runtime, found) in zip(rows[1:], shown, strict=True):
            _distribution(axes, found, _colour(runtime))
            _entitle(axes, f"{label}, {reading.where(document, runtime)}", found)

    names = ", ".join(label for label, _, _ in timed)
    return inline("latency", f"Latency of {names}", (WIDTH, sum(heights) + 0.5 * len(heights)), draw)


def _positive(value: float | None) -> float | None:
    """Return ``value`` if any axis can show it, a logarithmic one too."""
    return value if value and value > 0 and math.isfinite(value) else None


def _histogram(found: Document) -> tuple[list[float], list[float]] | None:
    """Return edges and counts, if there are any and they belong together."""
    edges, counts = (numbers(part(found, "histogram"), name) for name in ("edges", "counts"))
    fit = counts and len(edges) == len(counts) + 1 and all(map(math.isfinite, [*edges, *counts]))
    return (edges, counts) if fit and edges[-1] > edges[0] else None


def _colour(runtime: Document) -> str:
    return BLUE if runtime.get("chosen") else SOFT


def _overview(axes: Axes, timed: Sequence[tuple[str, Document, Document]], where: str) -> None:
    """Draw the first run, p50 and p99 of every runtime on one scale."""
    seen: list[float] = []
    for place, (_, runtime, found) in enumerate(timed):
        p50, p99, first = (_positive(number(found, key)) for key in ("p50", "p99", "first"))
        seen += [value for value in (p50, p99, first) if value]
        colour = _colour(runtime)
        if p50 and p99:
            axes.plot(
                [p50, p99], [place, place], color=colour, linewidth=3, solid_capstyle="butt", alpha=0.45
            )
            axes.plot([p99], [place], "|", color=colour, markersize=9, markeredgewidth=2)
        if first:
            axes.plot([first], [place], "o", color=colour, markersize=5, markerfacecolor="white")
        if p50:
            axes.plot([p50], [place], "o", color=colour, markersize=7)
    scale = _scale(axes, "x", seen)
    axes.xaxis.set_major_formatter(lambda value, _place: fmt.duration(value))
    axes.set_yticks(range(len(timed)), [fmt.short(label, _NAME) for label, _, _ in timed], color=INK)
    axes.set_ylim(len(timed) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.set_title(f"{where}: ● p50, | p99, ○ first run ({scale} scale)")


def _distribution(axes: Axes, found: Document, colour: str) -> None:
    """Draw how often a run took how long; the last bar is hatched, for it holds all the slower ones too."""
    edges, counts = _histogram(found) or ([0.0, 1.0], [0.0])
    bars = axes.bar(
        edges[:-1], counts, np.diff(edges), align="edge", color=colour, edgecolor="white", linewidth=0.5
    )
    bars[-1].set(facecolor="white", edgecolor=colour, hatch="////", linewidth=1)
    axes.annotate(
        "with all above p99",
        (edges[-1], max(counts[-1], 1)),
        (-2, 4),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=SOFT,
    )
    for key in ("p50", "p90"):
        value = number(found, key)
        if value and edges[0] <= value <= edges[-1]:
            axes.axvline(value, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    axes.set_yscale("log")  # one run in a hundred must be seen beside the ninety-nine
    axes.set_ylim(0.6, max(*counts, 1) * 3)
    axes.margins(x=0.01)
    axes.xaxis.set_major_formatter(lambda value, _place: fmt.duration(value))
    axes.yaxis.set_major_formatter(lambda value, _place: fmt.count(value))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("runs, log")


def _entitle(axes: Axes, title: str, found: Document) -> None:
    runs = number(found, "runs")
    said = [f"{key} {fmt.duration(value)}" for key in ("p50", "p90", "p99") if (value := number(found, key))]
    said = [f"{fmt.count(runs)} runs", *said] if runs else said
    axes.set_title(f"{title}: {', '.join(said)}")


def _scale(axes: Axes, which: Literal["x", "y"], values: Iterable[float]) -> str:
    """Make an axis logarithmic if ``values`` are far apart, and return which scale it has."""
    known = sorted(values)
    low, high = known[0], known[-1]
    far = high / low > 4
    if far:
        axes.set(**{f"{which}scale": "log"})
        axis = axes.xaxis if which == "x" else axes.yaxis
        # Over several decades there is room for the powers of ten only.
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 300 else (1,)))
        axis.set_minor_locator(NullLocator())
        margin = (high / low) ** 0.06
        limits = (low / margin, high * margin)
    else:
        margin = 0.08 * (high - low or high)
        limits = (low - margin, high + margin)
    axes.set(**{f"{which}lim": limits})
    return "logarithmic" if far else "linear"


# Confusion


def confusion(document: Document) -> str:
    """Draw how classes were confused, in float and as deployed; what changed is framed."""
    found = part(part(part(document, "score"), "details"), "confusion")
    matrices = {name: _matrix(found.get(name)) for name in ("float", "deployed")}
    known = {name: matrix for name, matrix in matrices.items() if matrix is not None}
    shapes = {matrix.shape for matrix in known.values()}
    if len(shapes) != 1:
        return ""
    classes = shapes.pop()[0]
    labels = texts(found, "labels")
    labels = labels if len(labels) == classes else [str(one) for one in range(classes)]
    labels = [fmt.short(one, _CLASS) for one in labels]
    changed = known["deployed"] - known["float"] if len(known) == 2 else np.zeros((classes, classes))

    def draw(figure: Figure) -> None:
        row = figure.subplots(1, len(known), squeeze=False)[0]
        for axes, (name, matrix) in zip(row, known.items(), strict=True):
            _heat(axes, matrix, changed if name == "deployed" else None, labels)
            axes.set_title(
                name if name == "float" else f"deployed, {reading.where(document, part(document, 'score'))}"
            )
        row[0].set_ylabel("true class")

    width = WIDTH if len(known) == 2 else WIDTH / 1.8
    return inline("confusion", "Confusion of classes, float and deployed", (width, WIDTH / 2 + 0.3), draw)


def _matrix(value: object) -> np.ndarray | None:
    """Return ``value`` as a square matrix of counts, if it is one."""
    try:
        matrix = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and matrix.size
    return matrix if square and np.isfinite(matrix).all() else None


def _heat(axes: Axes, matrix: np.ndarray, changed: np.ndarray | None, labels: Sequence[str]) -> None:
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # Square root: one mistake in forty must be seen beside thirty-nine hits.
    axes.pcolormesh(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1.25, edgecolors="white", linewidth=0.5)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    step = math.ceil(len(labels) / _LABELS)
    places = range(0, len(labels), step)
    long = max(map(len, labels)) > 2
    axes.set_xticks(
        [place + 0.5 for place in places], [labels[place] for place in places], rotation=90 if long else 0
    )
    axes.set_yticks([place + 0.5 for place in places], [labels[place] for place in places])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    frame = min(1.8, 24 / len(labels))  # points; thinner where cells are small
    for (row, column), count in np.ndenumerate(matrix):
        change = changed[row, column] if changed is not None else 0
        if change:
            axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=VERMILION, linewidth=frame))
        if len(labels) <= _LABELS and (count or change):
            dark = shares[row, column] > 0.4
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{count:.0f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if dark else INK,
            )


# Sequence length


def lengths(document: Document) -> str:
    """Draw the metric after each step of the test sequences, in float and as deployed."""
    found = by_length.lines(document)
    if not found:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for name, values in found.items():
            style = ("-", SOFT, 4.0, 0.4) if name == "float" else ("o-", BLUE, 1.6, 1.0)
            marks, colour, width, alpha = style
            axes.plot(
                range(1, len(values) + 1), values, marks, color=colour, linewidth=width, alpha=alpha,
                markersize=3.5, label=name,
            )  # fmt: skip
        axes.set_xlabel("steps read")
        axes.set_ylabel(text(part(document, "score"), "metric"))
        axes.set_ylim(0, 1.03)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.legend(frameon=False, loc="lower right")
        axes.set_title(f"after each step, {reading.where(document, part(document, 'score'))}")

    return inline("lengths", "Accuracy against sequence length, float and deployed", (WIDTH, 2.9), draw)


# Sizes


def sizes(document: Document) -> str:
    """Draw the size of every precision that was made, as it is and compressed."""
    deployed = reading.precision(document)
    return _sizes(
        [
            (
                text(one, "precision"),
                number(one, "bytes"),
                number(one, "gzip_bytes"),
                text(one, "precision") == deployed,
            )
            for one in parts(document, "sizes")
        ]
    )


def compared_sizes(document: Document) -> str:
    """Draw the size of every deployment of a comparison, as it is and compressed."""
    return _sizes(
        [
            (
                reading.precision_name(one),
                reading.deployed_bytes(one),
                number(reading.size_of(one, reading.precision(one)), "gzip_bytes"),
                True,
            )
            for one in reading.precisions(document)
        ]
    )


def _sizes(rows: Sequence[tuple[str, float | None, float | None, bool]]) -> str:
    rows = [row for row in rows if _positive(row[1])]
    if not rows:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (_, own, gzip, strong) in enumerate(rows):
            _bar(axes, place - 0.19, own, BLUE if strong else SOFT, "")
            _bar(axes, place + 0.19, gzip, PALE if strong else FAINT, "gzip ")
        axes.set_yticks(range(len(rows)), [fmt.short(row[0], _NAME) for row in rows], color=INK)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_xlim(0, max(row[1] or 0 for row in rows) * 1.16)
        axes.xaxis.set_major_formatter(lambda value, _place: fmt.size(value))
        axes.grid(axis="x")

    return inline(
        "sizes", "Size of each precision, as it is and compressed", (WIDTH, 0.5 + 0.52 * len(rows)), draw
    )


def _bar(axes: Axes, place: float, value: float | None, colour: str, said: str) -> None:
    if value is not None and _positive(value):
        axes.barh(place, value, 0.34, color=colour)
        axes.annotate(
            f"{said}{fmt.size(value)}",
            (value, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )


# Comparison


def metric(document: Document) -> str:
    """Draw each precision's metric with its 95 % interval, and float's behind them all."""
    scored = [(one, part(one, "score")) for one in reading.precisions(document)]
    known = [
        (reading.precision_name(one), found, value)
        for one, found in scored
        if (value := number(found, "deployed")) is not None and math.isfinite(value)
    ]
    if not known:
        return ""
    name = reading.metric_name(known[0][1]) or "metric"
    where = reading.wheres([one for one, _ in scored], lambda one: part(one, "score"))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _float_reference(axes, [found for _, found, _ in known])
        for place, (_, found, value) in enumerate(known):
            bounds = interval(found, "deployed_ci95")
            if bounds:
                axes.plot(bounds, [place, place], color=BLUE, linewidth=2.2, solid_capstyle="butt")
            axes.plot([value], [place], "o", color=BLUE, markersize=7)
        axes.set_yticks(range(len(known)), [fmt.short(label, _NAME) for label, _, _ in known], color=INK)
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.grid(axis="x")
        axes.set_xlabel(f"{name} with 95 % interval, {where}")

    return inline("metric", f"{name} of each precision", (WIDTH, 0.75 + 0.36 * len(known)), draw)


def _float_reference(axes: Axes, scores: Sequence[Document]) -> None:
    """Draw float's value and interval behind all, if they are the same for all."""
    values = {number(found, "float") for found in scores}
    bounds = {interval(found, "float_ci95") for found in scores}
    value, band = values.pop(), bounds.pop()
    if values or value is None or not math.isfinite(value):
        return
    axes.axvline(value, color=SOFT, linewidth=1, linestyle=(0, (4, 2)))
    axes.annotate(
        "float",
        (value, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=SOFT,
        ha="center",
    )
    if band and not bounds and all(map(math.isfinite, band)):
        axes.axvspan(*band, color=RULE, linewidth=0)


def tradeoff(document: Document) -> str:
    """Draw latency against size, a point for each precision."""
    points: list[tuple[str, float, float, float]] = []
    rows = reading.precisions(document)
    for one in rows:
        found, own = part(reading.chosen(one), "latency_ms"), _positive(reading.deployed_bytes(one))
        median = _positive(number(found, "p50"))
        if own and median:
            points.append(
                (reading.precision_name(one), own, median, _positive(number(found, "p99")) or median)
            )
    if not points:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for _, own, median, p99 in points:
            axes.plot([own, own], [median, p99], color=BLUE, linewidth=1.6, alpha=0.35)
            axes.plot([own], [median], "o", color=BLUE, markersize=7)
        across = _scale(axes, "x", [own for _, own, _, _ in points])
        along = _scale(axes, "y", [time for _, _, *times in points for time in times])
        axes.xaxis.set_major_formatter(lambda value, _place: fmt.size(value))
        axes.yaxis.set_major_formatter(lambda value, _place: fmt.duration(value))
        axes.grid()
        axes.set_xlabel(f"size ({across})")
        axes.set_ylabel(f"p50, line to p99, {reading.wheres(rows, reading.chosen)} ({along})")
        _label(axes, [(name, own, median) for name, own, median, _ in points])

    return inline("tradeoff", "Latency against size of each precision", (WIDTH, 3.6), draw)


def _label(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Name points beside the plot, one below the other and joined by lines: points may coincide."""
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = sorted((float(to_axes.transform((x, y))[1]), name, x, y) for name, x, y in points)
    gap, least = 1 / max(12, len(points)), -1.0
    for height, name, x, y in wanted:
        least = max(height, least + gap)
        axes.annotate(
            fmt.short(name, _NAME),
            (x, y),
            (1.03, least),
            textcoords="axes fraction",
            va="center",
            arrowprops={"arrowstyle": "-", "color": SOFT, "linestyle": ":", "shrinkB": 5, "linewidth": 0.9},
        )
