"""The one JSON document that a deployment ends in; tables and pages show the same facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgearch import history
from edgearch import pipeline as pipelines
from edgearch.history import Change, Entry
from edgearch.pipeline import Pipeline, Timing
from edgearch.reports import recommending
from edgearch.work import Request, Work

DEPLOYMENT, COMPARISON, CHECK, RUN, REGRESSION = (
    f"edgearch/{kind}@1" for kind in ("deployment", "comparison", "check", "run", "regression")
)
_CHECKED = ("artifacts", "sizes", "fit", "placement", "accelerator")
_FACTS = (
    *_CHECKED, "where", "trained_on", "gate", "score", "parity", "runtimes", "machine", "condition",
    "float32", "rewrites", "pruning", "mixed", "emulation",
)  # fmt: skip
NO_HOST = (
    "No host was named, so this machine stood in for the device. "
    "Name one with --host user@address (make: HOST=user@address), or give it an entry in your config.toml."
)
NOT_ACCELERATED = (
    "Nothing ran on the accelerator of {device}: the latency is that of the whole model on this machine's "
    "CPU, a stand-in, and where its operators would run is estimated."
)


def stand_in(work: Work) -> list[str]:
    """Return what there is to know of figures that this machine gave in the device's place."""
    device = work.request.device
    if work.request.where != "stand-in":
        return []
    runtimes = work.facts.get("runtimes", [])
    if any(runtime["chosen"] and runtime["where"] == "device" for runtime in runtimes):
        return []
    if device.accelerator and runtimes:
        return [NOT_ACCELERATED.format(device=device.name)]
    return [NO_HOST] if device.transport != "local" else []


def heading(schema: str, request: Request) -> dict[str, Any]:
    """Return what every document begins with."""
    device = request.device
    return {
        "schema": schema,
        "model": request.model,
        "variant": request.variant,
        "device": device.name,
        "device_title": device.title,
        "dataset": request.dataset,
        "task": request.task,
        "seed": request.seed,
        "where": request.where,
        "host": request.host.address if request.host else None,
    }


def deployment(
    pipeline: Pipeline,
    work: Work,
    timings: Sequence[Timing],
    bundle: Path | None,
    firmware: Path | None = None,
) -> dict[str, Any]:
    """Assemble the document of a deployment, whole or ended by a failed check."""
    notes = [*work.facts.get("notes", []), *stand_in(work)]
    document = {
        **heading(DEPLOYMENT, work.request),
        "pipeline": pipeline.name,
        "precision": pipeline.precision,
        **{name: work.facts[name] for name in _FACTS if name in work.facts},
        "stages": pipelines.as_json(timings),
        "failures": work.failures,
        "notes": notes,
        "bundle": str(bundle) if bundle else None,
        "firmware": str(firmware) if firmware else None,
    }
    slower = recommending.slower_than_float(document)
    return {**document, "notes": [slower, *notes]} if slower else document


def refused(pipeline: Pipeline, request: Request, reason: str) -> dict[str, Any]:
    """Return the document of a deployment that failed before or outside its checks."""
    return {
        **heading(DEPLOYMENT, request),
        "pipeline": pipeline.name,
        "precision": pipeline.precision,
        "stages": [],
        "failures": [reason],
        "notes": [],
        "bundle": None,
    }


def comparison(request: Request, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the deployments of several pipelines side by side."""
    return {
        **heading(COMPARISON, request),
        "precisions": list(documents),
        "recommended": recommending.recommended(documents),
    }


def regression(
    device: str, latest: Sequence[Entry], changes: Sequence[Change], allowed: float
) -> dict[str, Any]:
    """Put the latest measurements beside the accepted ones; what is slower than allowed is a failure."""
    compared = [_changed(change, allowed) for change in changes]
    without = sorted({history.subject(one) for one in latest} - {change.subject for change in changes})
    return {
        "schema": REGRESSION,
        "device": device,
        "allowed": allowed,
        "measurements": compared,
        "failures": [_regressed(one, allowed) for one in compared if one["regressed"]],
        "notes": [f"{one}: nothing accepted yet. --accept accepts the latest run." for one in without],
    }


def _changed(change: Change, allowed: float) -> dict[str, Any]:
    return {
        "subject": change.subject,
        "where": change.latest["where"],
        "accepted": {name: change.accepted[name] for name in ("time", "p50_ms", "condition")},
        "latest": {name: change.latest[name] for name in ("time", "p50_ms", "condition")},
        "ratio": change.ratio,
        "ci95": list(change.ci95),
        "regressed": change.ci95[0] > allowed,
    }


def _regressed(one: dict[str, Any], allowed: float) -> str:
    low, high = one["ci95"]
    return (
        f"{one['subject']} takes {one['ratio']:.2f} [{low:.2f}, {high:.2f}] times as long as the accepted "
        f"run; {allowed:.2f} is allowed. Look at governor and throttling of both runs, measure again "
        "(edgearch deploy … --again measure), or --accept it."
    )


def check(pipeline: Pipeline, work: Work) -> dict[str, Any]:
    """Return what a check found, before any training."""
    facts = {name: work.facts[name] for name in _CHECKED if name in work.facts}
    named = {"pipeline": pipeline.name, "precision": pipeline.precision}
    found = {**heading(CHECK, work.request), **named, **facts, "failures": work.failures}
    return {**found, "where": facts["fit"]["where"]} if "fit" in facts else found
