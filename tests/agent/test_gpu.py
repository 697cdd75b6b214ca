"""Models on a GPU, or on SwiftShader where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgearch.agent import measuring
from edgearch.agent.driving import Drive
from edgearch.runtimes import litert_gpu
from tests.conftest import Deployed

PRINTED = b"""ERROR: Following operations are not supported by GPU delegate:
DEQUANTIZE:
TRANSPOSE_CONV: Max version supported: 3. Requested version 4.
4 operations will run on the GPU, and the remaining 13 operations will run on the CPU.
"""


@pytest.fixture
def graphics() -> None:
    if not litert_gpu.has_gpu() and litert_gpu.swiftshader() is None:
        pytest.skip("neither a GPU nor SwiftShader (sudo apt install chromium)")


@pytest.fixture(scope="session")
def on_desktop(deployed: Deployed) -> Deployed:
    done = deployed.again("deploy", "cnn", "--device", "desktop", "--json")
    return Deployed(deployed.folder, done, "cnn-resnet8-digits-desktop-float16")


def test_desktop_measures_cpu_and_gpu_and_labels_an_emulated_one(
    graphics: None, on_desktop: Deployed
) -> None:
    assert on_desktop.done.code == 0, on_desktop.done.stderr
    cpu, gpu = on_desktop.done.document["runtimes"]
    assert (cpu["name"], cpu["where"]) == ("litert", "device")
    assert "set_aside" not in gpu, gpu
    assert gpu["latency_ms"]["runs"] >= 30
    if litert_gpu.has_gpu():
        assert gpu["where"] == "device"
    else:
        assert gpu["where"] == "emulated"
        assert "SwiftShader" in gpu["processor"]["name"]
        assert cpu["chosen"]


def test_gpu_computes_what_the_reference_kernels_do(graphics: None, on_desktop: Deployed) -> None:
    bundle = on_desktop.bundle
    export = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["roles"]["model"]
    with np.load(bundle / "inputs.npz") as inputs, np.load(bundle / "expected.npz") as expected:
        session = litert_gpu.open_model(str(bundle / "model.tflite"), threads=1)
        found = Drive(session, export, {"image": inputs["model/image"][:8]}).outputs()
        wanted = expected["model/logits"][:8]
    # float16 weights, float32 arithmetic: sums in another order
    np.testing.assert_allclose(found["logits"], wanted, atol=1e-3 * np.ptp(wanted))


def test_model_with_a_state_in_variables_is_refused_with_the_reason(
    graphics: None, recurrent: Deployed
) -> None:
    with pytest.raises(RuntimeError, match=r"failed to compile for the GPU: .*ariable tensors"):
        litert_gpu.open_model(str(recurrent.bundle / "sequence.tflite"), threads=1)


def test_operators_that_a_gpu_does_not_take_are_named() -> None:
    named = litert_gpu._complaint(PRINTED, RuntimeError("└ ERROR"))
    assert named == "DEQUANTIZE; TRANSPOSE_CONV: Max version supported: 3. Requested version 4."


def test_emulated_runtime_is_chosen_only_where_no_other_ran() -> None:
    slow = {"name": "litert", "latency_ms": {"p50": 9.0}}
    emulated = {"name": "litert-gpu", "latency_ms": {"p50": 1.0}, "where": "emulated"}
    assert measuring.choose([slow, emulated], "device") == "litert"
    assert measuring.choose([emulated], "device") == "litert-gpu"


def test_machine_without_any_graphics_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(litert_gpu, "has_gpu", lambda: False)
    monkeypatch.setattr(litert_gpu, "_SWIFTSHADER", (str(tmp_path),))
    with pytest.raises(RuntimeError, match="sudo apt install chromium"):
        litert_gpu.open_model("model.tflite", threads=1)
