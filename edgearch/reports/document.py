"""The one JSON document that a deployment ends in; tables and pages show the same facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgearch import pipeline as pipelines
from edgearch.pipeline import Pipeline, Timing
from edgearch.reports import recommending
from edgearch.work import Request, Work

DEPLOYMENT, COMPARISON, CHECK, RUN = (
    f"edgearch/{kind}@1" for kind in ("deployment", "comparison", "check", "run")
)
_FACTS = (
    "artifacts", "sizes", "fit", "gate", "score", "parity", "runtimes", "machine", "condition",
    "float32", "rewrites", "pruning", "mixed",
)  # fmt: skip
NO_HOST = (
    "No host was named, so this machine stood in for the device. "
    "Name one with --host user@address (make: HOST=user@address), or give it an entry in your config.toml."
)


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
    notes = list(work.facts.get("notes", []))
    if work.request.where == "stand-in":
        notes.append(NO_HOST)
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


def check(pipeline: Pipeline, work: Work) -> dict[str, Any]:
    """Return what a check found, before any training."""
    facts = {name: work.facts[name] for name in ("artifacts", "sizes", "fit") if name in work.facts}
    named = {"pipeline": pipeline.name, "precision": pipeline.precision}
    return {**heading(CHECK, work.request), **named, **facts, "failures": work.failures}
