"""A state's input and output with one quantization."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import interpreter
from ai_edge_litert import schema_py_generated as schema

from edgearch.errors import ToolError
from edgearch.tflite import model as tflite
from edgearch.tflite import tying
from tests.conftest import Deployed

STATE = {"next_hidden": "hidden", "next_cell": "cell"}


@pytest.fixture(scope="module")
def step(recurrent: Deployed) -> bytes:
    """An LSTM's int8 step, as deployed: tied."""
    return (recurrent.bundle / "step.tflite").read_bytes()


def quantization(content: bytes) -> dict[str, tuple[float | None, int]]:
    model = tflite.parse(content, "step")
    pairs = [*zip(model.input_names, model.inputs(), strict=True)]
    pairs += zip(model.output_names, model.outputs(), strict=True)
    return {name: (tensor.scale, tensor.zero_point) for name, tensor in pairs}


def widened(content: bytes, name: str, factor: float) -> bytes:
    """Return the model with one output's scale times ``factor``: as if it had been calibrated apart."""
    tree = schema.ModelT.InitFromPackedBuf(content, 0)
    outputs = tree.signatureDefs[0].outputs
    index = next(one.tensorIndex for one in outputs if one.name == name.encode())
    tensor = tree.subgraphs[0].tensors[index]
    tensor.quantization.scale = np.asarray(tensor.quantization.scale) * np.float32(factor)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(content: bytes, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run one step on real numbers and return real numbers."""
    runner = interpreter.Interpreter(model_content=content).get_signature_runner()
    given, made = runner.get_input_details(), runner.get_output_details()

    def raw(value: np.ndarray, scale: float, zero: int) -> np.ndarray:
        return np.clip(np.round(value / scale) + zero, -128, 127).astype(np.int8)

    found = runner(**{name: raw(value, *given[name]["quantization"]) for name, value in inputs.items()})
    return {
        name: (value.astype(np.float32) - made[name]["quantization"][1]) * made[name]["quantization"][0]
        for name, value in found.items()
    }


def inputs() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"features": (0, 1, 8), "hidden": (-0.3, 0.3, 64), "cell": (-0.5, 0.5, 64)}
    return {name: random.uniform(low, high, (1, size)) for name, (low, high, size) in shapes.items()}


def test_deployed_step_is_tied_and_tying_it_again_changes_nothing(step: bytes) -> None:
    found = quantization(step)
    assert all(found[output] == found[fed] for output, fed in STATE.items())
    assert tying.tie(step, STATE) == step


@pytest.mark.parametrize("name", STATE)
def test_tied_step_computes_what_it_did_within_its_steps_of_quantization(step: bytes, name: str) -> None:
    apart = widened(step, name, 1.25)
    assert quantization(apart)[name] != quantization(apart)[STATE[name]]
    tied = tying.tie(apart, STATE)
    found = quantization(tied)
    assert found[name] == found[STATE[name]]
    scale = found[name][0]
    assert scale == pytest.approx(1.25 * (quantization(step)[name][0] or 0), rel=0.05)
    before, after = run(step, inputs()), run(tied, inputs())
    # what is read with a scale a quarter wider, and written so, is off by a step of either
    np.testing.assert_allclose(after[name], before[name], atol=2 * scale)
    # a hidden value off by half a step at most, 64 of them at random, through weights of about 0.1
    span = float(np.ptp(before["logits"]))
    np.testing.assert_allclose(after["logits"], before["logits"], atol=0.1 * span)


def test_float_states_stay_as_they_are(recurrent: Deployed) -> None:
    found = recurrent.folder.glob("build/stages/convert-*/step.float32.tflite")
    content = next(path for path in found if "cell" in tflite.read(path).input_names).read_bytes()
    assert tying.tie(content, STATE) == content


def test_state_that_an_operator_keeps_at_its_own_scale_is_an_error(
    step: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tying, "_SAME", {"ADD"})  # as if an LSTM's cell were concatenated, not added
    with pytest.raises(ToolError, match=r"next_cell.*passes through ADD"):
        tying.tie(widened(step, "next_cell", 1.25), STATE)


def test_output_of_a_tanh_keeps_its_fixed_range(step: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed: set[Any] = {"MUL"}  # as if the hidden state came from a TANH
    monkeypatch.setattr(tying, "_FIXED", fixed)
    apart = widened(step, "next_hidden", 0.8)
    found = quantization(tying.tie(apart, STATE))
    assert found["hidden"] == found["next_hidden"] == quantization(apart)["next_hidden"]
