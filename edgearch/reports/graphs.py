"""A labelled graph as a drawing, float beside deployed, as SVG for a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from edgearch.reports import format as fmt
from edgearch.reports import reading
from edgearch.reports.plots import WIDTH
from edgearch.reports.reading import Document, part, texts
from edgearch.reports.svg import FAINT, INK, inline

_NAME = 24  # characters that a class's name has room for


def graph(document: Document) -> str:
    """Draw a labelled graph, float beside deployed: a node's colour is its true class, a frame a mistake."""
    found = part(part(part(document, "score"), "details"), "graph")
    known = {name: one for name in ("float", "deployed") if _is_graph(one := part(found, name))}
    if not known:
        return ""
    first = next(iter(known.values()))
    places = _places(len(first["true"]), first["edges"])
    names = texts(found, "labels")

    def draw(figure: Figure) -> None:
        row = figure.subplots(1, len(known), squeeze=False)[0]
        for axes, (name, one) in zip(row, known.items(), strict=True):
            wrong, scored = _nodes(axes, places, one)
            where = f", {reading.where(document, part(document, 'score'))}" if name == "deployed" else ""
            axes.set_title(f"{name}{where}: {wrong} of {scored} shown wrong")
        _legend(figure, names)

    width = WIDTH if len(known) == 2 else WIDTH / 1.8
    return inline("graph", "The graph, its nodes by true class, float and deployed", (width, 4.4), draw)


def _is_graph(found: Document) -> bool:
    """Say whether there is a list of true and predicted classes of one length, and edges among them."""
    true, predicted, edges = (found.get(name) for name in ("true", "predicted", "edges"))
    if not (isinstance(true, list) and isinstance(predicted, list) and isinstance(edges, list)):
        return False
    classes = all(isinstance(one, int) for one in (*true, *predicted))
    ends = all(isinstance(one, list) and len(one) == 2 for one in edges)
    return bool(
        true and len(true) == len(predicted) and classes and ends
        and all(isinstance(end, int) and 0 <= end < len(true) for one in edges for end in one)
    )  # fmt: skip


def _places(nodes: int, edges: Sequence[Sequence[int]]) -> np.ndarray:
    """Return where to draw each node, (nodes, 2): neighbours near each other, always the same."""
    import networkx

    drawn = networkx.Graph()
    drawn.add_nodes_from(range(nodes))
    drawn.add_edges_from(edges)
    found = networkx.spring_layout(drawn, seed=0, iterations=60)
    places = np.array([found[node] for node in range(nodes)])
    # Nodes without neighbours are driven far out: half of a place is its rank, which fills the frame.
    ranks = places.argsort(axis=0).argsort(axis=0) / max(nodes - 1, 1)
    extent = np.ptp(places, axis=0)
    spread: np.ndarray = (places - places.min(axis=0)) / np.where(extent > 0, extent, 1) + ranks
    return spread


def _nodes(axes: Axes, places: np.ndarray, found: Document) -> tuple[int, int]:
    """Draw edges and nodes; return how many nodes are wrong, and how many were scored."""
    true, predicted = np.array(found["true"]), np.array(found["predicted"])
    gap = np.full(2, np.nan)  # one line with gaps, for an element a line would make a page of megabytes
    lines = [end for first, other in found["edges"] for end in (places[first], places[other], gap)]
    axes.plot(*np.array(lines or [gap]).T, color=FAINT, linewidth=0.5, zorder=1)
    scored, wrong = predicted >= 0, (predicted >= 0) & (predicted != true)
    for label in np.unique(true):
        for chosen, size, line in ((~scored, 2, None), (scored & ~wrong, 4, None), (wrong, 7, INK)):
            drawn = places[chosen & (true == label)]
            axes.plot(*drawn.T, "o", color=_hue(label), markersize=size, markeredgecolor=line or _hue(label))
    axes.set_axis_off()
    return int(wrong.sum()), int(scored.sum())


def _legend(figure: Figure, names: Sequence[str]) -> None:
    """Name the classes below the drawing, in as many columns as there is room for."""
    handles = [
        Line2D([], [], linestyle="", marker="o", color=_hue(label), label=fmt.short(name, _NAME))
        for label, name in enumerate(names)
    ]
    columns = 4 if max(map(len, names), default=0) > 3 else 10
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def _hue(label: int) -> str:
    return str(to_hex(colormaps["tab10"](label % 10)))
