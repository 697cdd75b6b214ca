"""The float32 gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgearch.stages import validate
from edgearch.tflite import model as tflite
from tests.conftest import ROOT, Deployed, Done


def test_converter_that_drops_an_activation_is_caught_with_output_error_and_operator(
    edgearch: Callable[..., Done], tmp_path: Path
) -> None:
    families = {"EDGEARCH_MODELS": str(ROOT / "tests" / "families")}
    done = edgearch("deploy", "dropped", "--device", "rpi", "--set", "train.epochs=1", **families)
    assert done.code == 4, done.stderr
    assert "Traceback" not in done.stderr
    for word in ("output 'model/logits' is off by", "of its range", "dropped RELU", "3-D", "stage validate"):
        assert word in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.glob("build/deployments/*"))


def test_gate_notes_how_close_float32_came(deployed: Deployed) -> None:
    kernels = deployed.done.document["gate"]["kernels"]
    assert set(kernels) == {"optimized", "reference"}
    for errors in kernels.values():
        assert 0 < errors["model/logits"]["share_of_range"] <= validate.GATE


def test_fused_activations_are_not_mistaken_for_lost_ones(deployed: Deployed) -> None:
    model = tflite.read(deployed.converted("float32"))
    assert validate.lost_activations({"RELU": 7}, model) == []
    assert validate.lost_activations({"RELU": 8}, model) == ["RELU"]
    assert validate.lost_activations({"TANH": 1}, model) == ["TANH"]


def scored(**changed: object) -> dict[str, object]:
    found = {"title": "accuracy", "higher_is_better": True, "budget": "absolute", "examples": 360}
    return {**found, "float": 0.98, "delta": -0.01, "p_value": 0.3, **changed}


def test_loss_of_a_share_of_right_answers_is_held_against_points() -> None:
    allowed = validate.Settings(max_drop=0.02, max_relative_drop=0.001)
    assert validate.over_budget(scored(), allowed) is None
    reason = validate.over_budget(scored(delta=-0.03), allowed)
    assert reason is not None
    assert "loses 0.0300 accuracy against float" in reason
    assert reason.endswith("the pipeline allows 0.02")


def test_loss_in_another_unit_is_held_against_a_share_of_floats_value() -> None:
    allowed = validate.Settings(max_drop=0, max_relative_drop=0.05)
    nats = scored(title="negative ELBO", higher_is_better=False, budget="relative", float=60.0)
    assert validate.over_budget({**nats, "delta": 2.9}, allowed) is None
    assert validate.over_budget({**nats, "delta": -30.0}, allowed) is None, "lower is better"
    reason = validate.over_budget({**nats, "delta": 6.0}, allowed)
    assert reason is not None
    for words in ("has 6.0000 more negative ELBO than float", "10.0% of it", "the pipeline allows 5.0%"):
        assert words in reason
