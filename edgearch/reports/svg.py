"""A matplotlib figure as SVG that a page can hold several of.

Text stays text, so it can be searched, read aloud and set in the page's own font. The same figure gives
the same bytes.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from edgearch.reports import format as fmt

INK, SOFT, FAINT, RULE = "#1b1f24", "#57606a", "#d0d7de", "#e6e9ed"

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edgearch",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "ytick.major.size": 0,
    "figure.constrained_layout.h_pad": 0.09,
}


def inline(name: str, title: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Draw a figure of ``size`` (inches) and return it as SVG that a page can hold several of."""
    out = io.StringIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A reader's fonts have what matplotlib's own, used to measure, may not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing, transparent=True)
    return _element(out.getvalue(), name, title)


def _element(svg: str, name: str, title: str) -> str:
    """Return ``svg`` as an element of a page: named for screen readers, no prologue, no needless ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = _renamed(svg, name)
    # matplotlib lists the fonts that it knows of; the generic one is what every reader has.
    svg = re.sub(r"(font(?:-family)?: (?:[^;'\"]*px )?)'[^;\"]*", r"\1sans-serif", svg)
    box = re.search(r'viewBox="[^"]+"', svg)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{box.group() if box else ""} role="img" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{html.escape(fmt.line(title))}</title>'
    )
    return opening + svg[svg.index(">") + 1 :].strip()


def _renamed(svg: str, name: str) -> str:
    """Return ``svg`` with only the ids that something refers to, in order of appearance: ``sizes-1``.

    matplotlib's own are the same in every figure, or depend on where an object lies in memory.
    """
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found.group() if found.group(1) in used else "", svg)
    numbered: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return found.group(1) + numbered.setdefault(found.group(2), f"{name}-{len(numbered) + 1}")

    return re.sub(r"( id=\"|url\(#|href=\"#)([^)\"]+)", renamed, svg)
