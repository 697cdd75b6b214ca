"""Driving a model in steps: the state is fed back raw, and every sequence begins anew."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgearch import runtimes
from edgearch.agent import worker
from edgearch.agent.driving import Drive

TENSOR = {"shape": [1], "dtype": "int8", "scale": 0.5, "zero_point": 3}
EXPORT = {
    "driven": "steps",
    "state": {"next_total": "total"},
    "instead": None,
    "inputs": [{"name": "total", **TENSOR}, {"name": "value", **TENSOR}],
    "outputs": [{"name": "answer", **TENSOR}, {"name": "next_total", **TENSOR}],
}


class Adder:
    """A session that adds raw values: total' = total + value − 3, and answers with the total."""

    def __init__(self) -> None:
        self.inputs: dict[int, np.ndarray] = {}
        self.fed: list[int] = []
        self.resets = 0

    def set_input(self, position: int, value: np.ndarray) -> None:
        assert value.dtype == np.int8
        assert value.shape == (1,)
        self.inputs[position] = value.copy()

    def invoke(self) -> None:
        self.fed.append(int(self.inputs[0][0]))
        self.total = (self.inputs[0] + self.inputs[1] - 3).astype(np.int8)

    def output(self, position: int) -> np.ndarray:
        return self.total

    def reset(self) -> None:
        self.resets += 1

    def arena_bytes(self) -> None:
        return

    def undelegated(self) -> None:
        return

    def processor(self) -> None:
        return


VALUES = {"value": np.array([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]], np.float32)}  # two sequences, three steps


def test_state_begins_at_the_quantized_zero_and_is_fed_back_raw() -> None:
    session = Adder()
    found = Drive(session, EXPORT, VALUES).outputs()
    assert session.fed == [3, 5, 9, 3, 4, 4]
    assert session.resets == 2
    np.testing.assert_array_equal(found["answer"], [6.0, -0.5])
    np.testing.assert_array_equal(found["answer/steps"], [[1.0, 3.0, 6.0], [0.5, 0.5, -0.5]])
    assert set(found) == {"answer", "answer/steps"}, "a state is no answer"


def test_steps_and_whole_sequences_are_timed_apart() -> None:
    session = Adder()
    single, whole = worker.timed(session, Drive(session, EXPORT, VALUES), seconds=0)
    assert len(whole) == worker.MIN_RUNS
    assert len(single) == 3 * worker.MIN_RUNS
    assert min(whole) > 0


def once(name: str, instead: str | None) -> dict[str, Any]:
    tensors = {"inputs": [{"name": "value", **TENSOR}], "outputs": [{"name": "answer", **TENSOR}]}
    described = {"file": f"{name}.tflite", "driven": "once", "state": {}, "precision": "int8"}
    return {**described, "instead": instead, **tensors}


def work(folder: Path, monkeypatch: pytest.MonkeyPatch, instead: str | None) -> dict[str, Any]:
    """Run a bundle of ``sequence`` and ``step`` in a runtime that refuses the former."""

    def open_model(path: str, threads: int, kernels: str) -> Adder:
        if path.endswith("sequence.tflite"):
            raise RuntimeError("variable tensors are not supported\nmore")
        return Adder()

    step = {**EXPORT, "file": "step.tflite", "precision": "int8"}
    (folder / "manifest.json").write_text(
        json.dumps({"roles": {"sequence": once("sequence", instead), "step": step}})
    )
    np.savez(
        folder / "inputs.npz", **{"sequence/value": VALUES["value"][:, :1], "step/value": VALUES["value"]}
    )
    np.savez(
        folder / "expected.npz", **{"sequence/answer": np.zeros(2), "step/answer": np.array([6.0, -0.5])}
    )
    runtime = SimpleNamespace(DISTRIBUTION="numpy", open_model=open_model)
    monkeypatch.setattr(runtimes, "load", lambda _name: runtime)
    request = {"runtime": "picky", "threads": 1, "kernels": "optimized", "seconds": 0}
    return worker.work({**request, "bundle": str(folder), "outputs": str(folder / "outputs.npz")})


def test_step_answers_where_a_runtime_refuses_the_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = work(tmp_path, monkeypatch, instead="step")
    assert found["roles"]["sequence"] == {
        "refused": "variable tensors are not supported", "instead": "step",
    }  # fmt: skip
    assert found["steps"] == 3
    assert found["latency_ms"] == found["roles"]["step"]["latency_ms"]
    assert found["sequence_latency_ms"]["runs"] == worker.MIN_RUNS
    assert list(found["parity"]) == ["step"]
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert set(outputs) == {"step/answer", "step/answer/steps"}


def test_runtime_that_refuses_a_role_without_a_substitute_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="variable tensors"):
        work(tmp_path, monkeypatch, instead=None)
