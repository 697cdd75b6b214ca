"""Images that a model copied or made, float beside deployed, as SVG for a page."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgearch.reports import reading
from edgearch.reports.plots import WIDTH
from edgearch.reports.reading import Document, numbers, part, parts, text
from edgearch.reports.svg import INK, inline

COLUMNS = 10
_WHITE, _GAP = 255, 232  # brightness of a page, and of the lines between images


@dataclass(frozen=True)
class _Group:
    """Rows of images that belong together: title → (images, height, width, channels)."""

    caption: str
    rows: dict[str, np.ndarray]


def images(document: Document) -> str:
    """Draw what the model made in float, and below it what the deployed one made of the same."""
    groups = list(_groups(document))
    if not groups:
        return ""
    lines = [_lines(group) for group in groups]
    tallest = max(value.shape[1] / value.shape[2] for group in groups for value in group.rows.values())
    # Inches: enough for the page's width to be what bounds an image, so that all are drawn alike.
    heights = [0.64 * tallest * len(one) + 0.45 for one in lines]

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, group, found in zip(rows, groups, lines, strict=True):
            _grid(axes, found)
            axes.set_title(group.caption)

    return inline("images", "Images made in float and by the deployed model", (WIDTH, sum(heights)), draw)


def _groups(document: Document) -> Iterator[_Group]:
    score = part(document, "score")
    found = part(part(score, "details"), "images")
    for before, after in zip(parts(found, "float"), parts(found, "deployed"), strict=False):
        named = {
            "original": _pixels(before.get("originals")),
            "float": _pixels(before.get("images")),
            f"deployed, {reading.where(document, score)}": _pixels(after.get("images")),
        }
        rows = {title: value for title, value in named.items() if value is not None}
        if len({value.shape for value in rows.values()}) == 1:
            yield _Group(text(before, "caption"), rows)


def _pixels(value: object) -> np.ndarray | None:
    """Return ``value`` as images with 0 to 255 in red, green and blue, if it is some.

    One channel is ink on white: what a dataset calls bright is dark on paper.
    """
    if not isinstance(value, Mapping):
        return None
    try:
        shape = tuple(int(size) for size in numbers(value, "shape"))
        found = np.frombuffer(base64.b64decode(text(value, "base64"), validate=True), np.uint8).reshape(shape)
    except (OverflowError, ValueError):
        return None
    if found.ndim != 4 or found.shape[-1] not in {1, 3} or not found.size:
        return None
    return np.repeat(_WHITE - found, 3, axis=-1) if found.shape[-1] == 1 else found


def _lines(group: _Group) -> list[tuple[str, np.ndarray]]:
    """Return a title and up to ``COLUMNS`` images for each line, in the order that they are compared."""
    most = max(len(value) for value in group.rows.values())
    return [
        (title, value[start : start + COLUMNS])
        for start in range(0, most, COLUMNS)
        for title, value in group.rows.items()
    ]


def _grid(axes: Axes, lines: list[tuple[str, np.ndarray]]) -> None:
    """Draw all lines as one picture, a pixel of grey between two images."""
    height, width = (size + 1 for size in lines[0][1].shape[1:3])
    canvas = np.full((len(lines) * height + 1, COLUMNS * width + 1, 3), _WHITE, np.uint8)
    for row, (_, line) in enumerate(lines):
        for column, image in enumerate(line):
            top, left = row * height, column * width
            canvas[top : top + height + 1, left : left + width + 1] = _GAP
            canvas[top + 1 : top + height, left + 1 : left + width] = image
    axes.imshow(canvas, interpolation="none")
    axes.set_anchor("W")
    axes.set_xticks([])
    axes.set_yticks(
        [(row + 0.5) * height for row in range(len(lines))], [title for title, _ in lines], color=INK
    )
    axes.spines[:].set_visible(False)
