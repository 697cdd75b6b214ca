"""Believe no precision before float32 TFLite equals Keras, value by value; then score the one to deploy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from edgearch import tasks
from edgearch.errors import ToolError
from edgearch.profiles import Strict
from edgearch.stages import _bundle, _fitting, _host
from edgearch.tflite import model as tflite
from edgearch.work import Arrays, Predictor, Work, save_arrays

DEPENDS = ("variant", "task")
PACKAGES = ("ai-edge-litert", "numpy", "scipy")
NEEDS_TENSORFLOW = False

# Share of an output's range by which float32 TFLite may differ from Keras: sums in another order stay
# far below it, a lost operator far above.
GATE = 1e-4


class Settings(Strict):
    """``max_drop``: how much worse, in the metric's own unit, the deployed model may be than float."""

    max_drop: float = Field(default=0.02, ge=0)


def run(work: Work, settings: Settings) -> Work:
    """Pass the float32 gate, then compare the deployed precision with float on the test examples."""
    inputs, expected = _bundle.stacked(work, "inputs"), _bundle.stacked(work, "expected")
    gate = _gate(work, inputs, expected)
    precision = work.facts["precision"]
    folder = work.folder / precision
    _bundle.write(folder, _bundle.models_of(work, precision), precision, inputs, {})
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
    drop = -score["delta"] if score["higher_is_better"] else score["delta"]
    if drop > settings.max_drop:
        return validated.failed(
            f"{precision} loses {drop:.4f} {score['metric']} against float on {score['examples']} test "
            f"examples (p = {score['p_value']:.2g}); the pipeline allows {settings.max_drop}. "
            "Try another pipeline: edgearch compare shows them side by side."
        )
    return validated


def compare_scores(work: Work, deployed: Arrays) -> dict[str, Any]:
    """Score Keras's outputs and ``deployed`` ones on the test examples, paired."""
    task, examples = tasks.task(work.request.task), _fitting.load_examples(work.files["test"])
    expected = _bundle.stacked(work, "expected")
    before, after = (
        task.score(_recorded(found, work.facts["roles"], work.facts["predicts"]), examples)
        for found in (expected, deployed)
    )
    details = {
        name: {"labels": work.facts["labels"], "float": before.details[name], "deployed": after.details[name]}
        for name in before.details
    }
    baseline = {"baseline": work.facts["baseline"]} if work.facts.get("baseline") else {}
    count = len(examples) if before.per_example is None else len(before.per_example)
    return {**tasks.compare(before, after, count), **baseline, "details": details}


def _recorded(outputs: Arrays, roles: Sequence[str], predicts: str) -> Predictor:
    """Return a predictor that answers with what was recorded for these very inputs.

    A task that classifies asks the role ``model``; ``predicts`` says which of the exports that is.
    """
    return lambda role, _inputs: _bundle.of_role(outputs, role if role in roles else predicts)


def parity(work: Work, deployed: Arrays) -> dict[str, Any]:
    """Compare deployed outputs with Keras's: the largest difference, and how often the argmax agrees."""
    expected = _bundle.stacked(work, "expected")
    worst = max(float(np.max(np.abs(deployed[name] - value))) for name, value in expected.items())
    agreement = min(
        float(np.mean(np.argmax(deployed[name], -1) == np.argmax(value, -1)))
        for name, value in expected.items()
    )
    return {"against": "keras", "max_abs_error": worst, "agreement": agreement}


def _gate(work: Work, inputs: Arrays, expected: Arrays) -> dict[str, Any]:
    folder = work.folder / "float32"
    _bundle.write(folder, _bundle.models_of(work, "float32"), "float32", inputs, {})
    gate: dict[str, Any] = {"tolerance": GATE, "kernels": {}}
    for kernels in ("optimized", "reference"):
        work.progress(None, f"float32 gate, {kernels} kernels")
        found = _host.outputs(folder, kernels)
        errors = {name: _error(found[name], value) for name, value in expected.items()}
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
