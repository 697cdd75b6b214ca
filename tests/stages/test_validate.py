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
