"""Every measurement is kept, one JSON document a line, so that a later one can be held against it.

Two runs are comparable when the same model, made in the same way, ran on the same machine in the same
runtime. Their ratio is of medians; its interval comes from the medians of ten successive parts of each run,
resampled: runs drift, and a bootstrap of single inferences would not see it.
"""

from __future__ import annotations

import datetime
import fcntl
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.errors import RequestError

FILE = "history.jsonl"
SCHEMA = "edgearch/measurement@1"
_RESAMPLES, _SEED = 4999, 0
_SAME = ("variant", "dataset", "device", "pipeline", "seed", "host", "where", "machine", "runtime")

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """The latest run of a subject beside the last accepted one: ``ratio`` is new to old, of p50."""

    subject: str
    accepted: Entry
    latest: Entry
    ratio: float
    ci95: tuple[float, float]


def append(build: Path, document: Mapping[str, Any]) -> None:
    """Add the chosen runtime's latency of a deployment that has just been measured."""
    chosen = next((one for one in document.get("runtimes", []) if one.get("chosen")), None)
    measured = next((one for one in document["stages"] if one["name"] == "measure"), None)
    if chosen is None or measured is None or measured["cached"]:
        return
    latency = chosen.get("sequence_latency_ms", chosen["latency_ms"])
    entry = {
        "schema": SCHEMA,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **{name: document.get(name) for name in ("variant", "dataset", "device", "pipeline", "seed", "host")},
        "where": chosen["where"],
        "machine": _machine(document["machine"]),
        "runtime": f"{chosen['name']} {chosen['version']}",
        "p50_ms": latency["p50"],
        "medians_ms": latency["medians"],
        "condition": document["condition"],
        "accepted": False,
    }
    _change(build / FILE, lambda entries: [*entries, entry])


def accept(build: Path, latest: Iterable[Entry]) -> None:
    """Mark these entries: later runs are held against them."""
    chosen = [(_key(entry), entry["time"]) for entry in latest]

    def marked(entry: Entry) -> Entry:
        return {**entry, "accepted": entry["accepted"] or (_key(entry), entry["time"]) in chosen}

    _change(build / FILE, lambda entries: [marked(entry) for entry in entries])


def latest(build: Path, device: str, variant: str | None, host: str | None) -> list[Entry]:
    """Return the last entry of each subject on ``device``, of one variant or all, at one host or all.

    Raises:
        RequestError: nothing was measured yet.
    """
    found = {_key(entry): entry for entry in _read(build / FILE) if _asked(entry, device, variant, host)}
    if not found:
        what = variant or "a model"
        raise RequestError(
            f"No measurement of {what} on {device} in {build / FILE}. Make one: edgearch deploy "
            f"{variant or 'cnn'} --device {device}."
        )
    return list(found.values())


def changes(build: Path, of: Iterable[Entry]) -> list[Change]:
    """Return each entry beside the last accepted one of its subject; those without one are left out."""
    accepted = {_key(entry): entry for entry in _read(build / FILE) if entry["accepted"]}
    return [_compared(accepted[_key(entry)], entry) for entry in of if _key(entry) in accepted]


def subject(entry: Entry) -> str:
    """Return what was measured, in words."""
    made = f"{entry['variant']} ({entry['dataset']}, {entry['pipeline']})"
    where = f" at {entry['host']}" if entry["host"] else ""
    return f"{made} on {entry['device']}{where}, {entry['runtime']}"


def _compared(accepted: Entry, found: Entry) -> Change:
    old, new = np.asarray(accepted["medians_ms"]), np.asarray(found["medians_ms"])
    random = np.random.default_rng(_SEED)
    ratios = [
        np.median(random.choice(new, len(new))) / np.median(random.choice(old, len(old)))
        for _ in range(_RESAMPLES)
    ]
    low, high = np.percentile(ratios, [2.5, 97.5])
    ratio = found["p50_ms"] / accepted["p50_ms"]
    return Change(subject(found), accepted, found, float(ratio), (float(low), float(high)))


def _machine(described: Mapping[str, Any]) -> str:
    """Return what tells machines apart, as far as a program sees it."""
    parts = (described.get(name) for name in ("processor", "architecture", "cores"))
    return ", ".join(str(part) for part in parts)


def _key(entry: Entry) -> str:
    return json.dumps([entry[name] for name in _SAME])


def _asked(entry: Entry, device: str, variant: str | None, host: str | None) -> bool:
    of_it = variant in (None, entry["variant"]) and host in (None, entry["host"])
    return bool(of_it and entry["device"] == device)


def _read(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        for entry in entries:
            _key(entry), entry["p50_ms"], entry["medians_ms"], entry["accepted"]
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"{path}: expected one measurement of edgearch a line, found {type(error).__name__}: {error}. "
            "Repair the line, or move the file away."
        ) from error
    return entries


def _change(path: Path, change: Callable[[list[Entry]], list[Entry]]) -> None:
    """Rewrite the file under a lock, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        part = path.with_suffix(".part")
        part.write_text("".join(json.dumps(one) + "\n" for one in change(_read(path))), encoding="utf-8")
        part.replace(path)
