"""Recurrent networks from end to end: a fused sequence, and a step driven over whole sequences."""

from __future__ import annotations

import json
import shutil

import numpy as np

from edgearch.stages import validate
from tests.conftest import ROOT, Deployed

# A set without the fused LSTM, and nothing else that either role takes.
OPERATORS = ["ADD", "FULLY_CONNECTED", "LOGISTIC", "MUL", "SPLIT", "STRIDED_SLICE", "TANH"]


def test_lstm_is_deployed_fused_and_as_a_step(recurrent: Deployed) -> None:
    assert recurrent.done.code == 0, recurrent.done.stderr
    document = recurrent.done.document
    ops = {one["role"]: one["ops"] for one in document["artifacts"]}
    assert ops["sequence"]["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 1
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" not in ops["step"]
    assert not {"WHILE", "QUANTIZE", "DEQUANTIZE"} & {*ops["sequence"], *ops["step"]}
    roles = json.loads((recurrent.bundle / "manifest.json").read_text())["roles"]
    assert (roles["sequence"]["driven"], roles["sequence"]["instead"]) == ("once", "step")
    assert roles["step"]["driven"] == "steps"
    assert roles["step"]["state"] == {"next_hidden": "hidden", "next_cell": "cell"}
    assert {tensor["dtype"] for tensor in roles["step"]["inputs"]} == {"int8"}


def test_bundle_holds_whole_sequences_and_no_states(recurrent: Deployed) -> None:
    with np.load(recurrent.bundle / "inputs.npz") as arrays:
        assert {name: value.shape for name, value in arrays.items()} == {
            "sequence/sequence": (360, 8, 8),
            "step/features": (360, 8, 8),
        }


def test_float32_gate_compares_the_driven_step_with_keras_over_whole_sequences(recurrent: Deployed) -> None:
    for errors in recurrent.done.document["gate"]["kernels"].values():
        assert set(errors) == {"sequence/logits", "step/logits", "step/logits/steps"}
        assert all(error["share_of_range"] <= validate.GATE for error in errors.values())


def test_int8_step_answers_as_keras_does(recurrent: Deployed) -> None:
    # with scales calibrated apart, each step loses 14 % of the cell and a sixth of the answers change
    parity = recurrent.done.document["parity"]
    assert parity["agreement"] >= 0.95


def test_accuracy_is_told_after_every_step_and_the_last_is_the_score(recurrent: Deployed) -> None:
    score = recurrent.done.document["score"]
    by_length = score["details"]["accuracy_by_length"]
    assert len(by_length["float"]) == len(by_length["deployed"]) == 8
    # the float step and the float sequence are the same network
    assert by_length["float"][-1] == score["float"]
    folder = recurrent.bundle.parent
    assert "Accuracy against sequence length" in (folder / "report.html").read_text()
    assert "Accuracy against sequence length" in (folder / "report.md").read_text()


def test_step_and_whole_sequence_are_timed(recurrent: Deployed) -> None:
    for runtime in recurrent.done.document["runtimes"]:
        if "set_aside" in runtime:
            continue
        step = runtime["roles"]["step"]
        assert step["steps"] == 8
        assert step["sequence_latency_ms"]["p50"] >= step["latency_ms"]["p50"] > 0
        assert runtime["latency_ms"] == runtime["roles"]["sequence"]["latency_ms"]


def test_device_without_the_fused_operator_gets_the_step(recurrent: Deployed) -> None:
    folder = recurrent.folder / "devices"
    folder.mkdir()
    try:
        rpi = (ROOT / "devices" / "rpi.toml").read_text()
        operators = f"operators = {OPERATORS!r}\n"
        (folder / "plain.toml").write_text(
            operators + rpi.replace('["litert", "tflite-runtime"]', '["litert"]')
        )
        done = recurrent.again("deploy", "lstm", "--device", "plain", "--json", *recurrent.settings)
    finally:
        shutil.rmtree(folder)
    assert done.code == 0, done.stderr
    document = done.document
    assert [one["role"] for one in document["artifacts"]] == ["step"]
    (note,) = [note for note in document["notes"] if "left out" in note]
    assert note == (
        "sequence is left out: plain has no UNIDIRECTIONAL_SEQUENCE_LSTM. step answers in its place."
    )
    assert document["runtimes"][0]["steps"] == 8
    float_score = recurrent.done.document["score"]["float"]
    assert abs(document["score"]["deployed"] - float_score) <= 0.05  # two epochs are few: many near-ties


def test_microcontroller_runs_both(recurrent: Deployed) -> None:
    done = recurrent.again("deploy", "lstm", "--device", "mcu", "--json", *recurrent.settings)
    assert done.code == 0, done.stderr
    (runtime,) = done.document["runtimes"]
    assert set(runtime["roles"]) == {"sequence", "step"}
    assert runtime["parity"]["step"]["ok"] and runtime["parity"]["sequence"]["ok"]


def test_simple_network_is_pruned_by_half_and_its_tanh_is_tied(recurrent: Deployed) -> None:
    done = recurrent.again(
        "deploy", "rnn-simple", "--device", "mcu", "--pipeline", "prune-int8", "--json",
        "--set", "prune.epochs=2", *recurrent.settings,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    (artifact,) = done.document["artifacts"]
    assert artifact["role"] == "step"
    # int8 rounds some more weights to zero
    assert 0.49 <= artifact["sparsity"] <= 0.6
    assert set(artifact["ops"]) == {"FULLY_CONNECTED", "ADD", "TANH"}
    manifest = json.loads((recurrent.folder / done.document["bundle"] / "manifest.json").read_text())
    tensors = {one["name"]: one for key in ("inputs", "outputs") for one in manifest["roles"]["step"][key]}
    fed, made = tensors["hidden"], tensors["next_hidden"]
    assert (fed["scale"], fed["zero_point"]) == (made["scale"], made["zero_point"])
    assert made["scale"] == 1 / 128, "a TANH's range is fixed"
