"""Where each operator of a model runs: one answer an operator, and counted alike ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where one operator runs; with a reason and a remedy where that is not where it should."""

    op: str
    on: str
    reason: str = ""
    remedy: str = ""


def counted(places: Iterable[Place]) -> list[dict[str, Any]]:
    """Return the ``placement`` part of a document: an entry per operator, place and reason, by count."""
    return [
        {"op": place.op, "count": count, "on": place.on, "reason": place.reason, "remedy": place.remedy}
        for place, count in Counter(places).most_common()
    ]
