"""Believe no precision before float32 TFLite equals Keras, value by value; then score the one to deploy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import Field

from edgearch import tasks
from edgearch.agent import driving
from edgearch.errors import ToolError
from edgearch.records import Strict
from edgearch.stages import _bundle, _fitting, _host
from edgearch.tflite import model as tflite
from edgearch.work import Arrays, Predictor, Work, load_arrays, save_arrays

AFTER = ("train", "convert")
DEPENDS = ("variant", "task")
PACKAGES = ("ai-edge-litert", "numpy", "scipy")
NEEDS_TENSORFLOW = False

# Share of an output's range by which float32 TFLite may differ from Keras: sums in another order stay
# far below it, a lost operator far above.
GATE = 1e-4
LOGITS = "logits"


class Settings(Strict):
    """How much worse the deployed model may be than float.

    ``max_drop`` is in the metric's own unit, for a share of right answers; ``max_relative_drop`` is a share
    of float's value, for metrics in other units. A score says which of the two is its own.
    """

    max_drop: float = Field(default=0.02, ge=0)
    max_relative_drop: float = Field(default=0.05, ge=0)


def run(work: Work, settings: Settings) -> Work:
    """Pass the float32 gate, then compare the deployed precision with float on the test examples."""
    inputs, expected = _bundle.stacked(work, "inputs"), _bundle.stacked(work, "expected")
    gate = _gate(work, inputs, expected)
    precision = work.facts["precision"]
    folder = work.folder / precision
    _bundle.write(folder, _bundle.models_of(work, precision), precision, inputs, {}, _bundle.driving(work))
    work.progress(None, f"scoring {precision}")
    reference = _host.outputs(folder, "reference")
    optimized = _host.outputs(folder, "optimized")
    score = compare_scores(work, optimized)
    validated = work.plus(
        files={
            "parity": save_arrays(work.folder / "parity.npz", reference),
            "stacked_inputs": save_arrays(work.folder / "inputs.npz", inputs),
        },
        gate=gate,
        score={**score, "where": "stand-in"},
    )
    reason = over_budget(score, settings)
    if reason:
        return validated.failed(
            f"{precision} {reason}. Try another pipeline: edgearch compare shows them side by side."
        )
    return validated


def over_budget(score: Mapping[str, Any], settings: Settings) -> str | None:
    """Say by how much the deployed model is worse than float, if by more than ``settings`` allow."""
    drop = -score["delta"] if score["higher_is_better"] else score["delta"]
    relative = score["budget"] == "relative"
    allowed = settings.max_relative_drop * abs(score["float"]) if relative else settings.max_drop
    if not drop > allowed:
        return None
    name = score["title"]
    lost = "loses {:.4f} {} against" if score["higher_is_better"] else "has {:.4f} more {} than"
    shares = f", {drop / abs(score['float']):.1%} of it" if relative and score["float"] else ""
    limit = f"{settings.max_relative_drop:.1%}" if relative else f"{settings.max_drop}"
    return (
        f"{lost.format(drop, name)} float on {score['examples']} test examples{shares} "
        f"(p = {score['p_value']:.2g}); the pipeline allows {limit}"
    )


def compare_scores(work: Work, deployed: Arrays) -> dict[str, Any]:
    """Score Keras as trained, before any pruning, and ``deployed`` outputs on the test examples, paired."""
    examples, prepared = _fitting.load_examples(work.files["test"]), load_arrays(work.files["prepared"])
    trained = _bundle.stacked(work, "float")
    before, after = (
        tasks.score(work.request.task, recorded(work, found), examples, prepared)
        for found in (trained, deployed)
    )
    details = {
        name: {"labels": work.facts["labels"], "float": before.details[name], "deployed": after.details[name]}
        for name in before.details
        if name in after.details
    }
    count = len(examples) if before.per_example is None else len(before.per_example)
    return {**tasks.compare(before, after, count), "details": details}


def recorded(work: Work, outputs: Arrays) -> Predictor:
    """Return a predictor that answers with what was recorded for these very inputs.

    A task that classifies asks the role ``model``; ``predicts`` says which of the exports that is. What
    only the role that may stand in for it tells (the answers of single steps) is added.
    """
    roles, predicts, instead = (work.facts[name] for name in ("roles", "predicts", "instead"))

    def predictor(role: str, _inputs: Arrays) -> Arrays:
        asked = role if role in roles else predicts
        beside = driving.of_role(outputs, instead[asked]) if instead[asked] else {}
        return {**beside, **driving.of_role(outputs, asked)}

    return predictor


def parity(work: Work, deployed: Arrays) -> dict[str, Any]:
    """Compare deployed outputs with Keras's: the largest difference, and how often the argmax agrees.

    Only logits have an argmax that is an answer, and only those of the last step; without them there is no
    agreement. Single steps count for the difference.
    """
    expected = {name: value for name, value in _bundle.stacked(work, "expected").items() if name in deployed}
    worst = max(float(np.max(np.abs(deployed[name] - value))) for name, value in expected.items())
    agreements = [
        float(np.mean(np.argmax(deployed[name], -1) == np.argmax(value, -1)))
        for name, value in expected.items()
        if name.rpartition("/")[2] == LOGITS
    ]
    return {"against": "keras", "max_abs_error": worst, "agreement": min(agreements, default=None)}


def _gate(work: Work, inputs: Arrays, expected: Arrays) -> dict[str, Any]:
    folder = work.folder / "float32"
    _bundle.write(folder, _bundle.models_of(work, "float32"), "float32", inputs, {}, _bundle.driving(work))
    gate: dict[str, Any] = {"tolerance": GATE, "kernels": {}}
    for kernels in ("optimized", "reference"):
        work.progress(None, f"float32 gate, {kernels} kernels")
        found = _host.outputs(folder, kernels)
        # A role is missing only where the interpreter refused it and another answers in its place.
        errors = {name: _error(found[name], value) for name, value in expected.items() if name in found}
        gate["kernels"][kernels] = errors
        wrong = {name: error for name, error in errors.items() if not error["share_of_range"] <= GATE}
        if wrong:
            raise ToolError(_complaint(work, kernels, wrong))
    return gate


def _error(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Return the largest difference, and its share of the expected values' range."""
    error = float(np.max(np.abs(found.astype(np.float64) - expected)))
    span = float(expected.max() - expected.min()) or 1.0
    return {"max_abs_error": error, "share_of_range": error / span}


def _complaint(work: Work, kernels: str, wrong: Mapping[str, dict[str, float]]) -> str:
    outputs = "; ".join(
        f"output {name!r} is off by {error['max_abs_error']:.3g} "
        f"({error['share_of_range']:.2%} of its range, allowed {GATE:.2%})"
        for name, error in wrong.items()
    )
    return (
        f"{work.request.variant}, stage validate: float32 TFLite ({kernels} kernels) does not compute "
        f"what Keras does: {outputs}. {_suspect(work, {name.partition('/')[0] for name in wrong})} "
        "Rewrite that layer; a RELU after a product of two 2-D operands survives when the operands "
        "are 3-D (add a leading axis)."
    )


def _suspect(work: Work, roles: Iterable[str]) -> str:
    """Name the activations that the converter dropped, as far as counting can tell."""
    for role in sorted(roles):
        lost = lost_activations(work.facts["activations"][role], tflite.read(work.files[f"{role}.float32"]))
        if lost:
            return f"The converter dropped {' and '.join(lost)} from {role!r}."
    return "No operator is missing, so one computes something else."


def lost_activations(wanted: Mapping[str, int], model: tflite.Model) -> list[str]:
    """Return the activations that the TensorFlow graph has more often than the TFLite file."""
    found = model.ops()
    for graph in model.graphs:
        for operator in graph.operators:
            found[operator.activation] = found.get(operator.activation, 0) + 1
    return [name for name, count in sorted(wanted.items()) if found.get(name, 0) < count]
