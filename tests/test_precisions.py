"""int16x8, rewrites and recommendations from end to end, on models that are hardly trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgearch.tflite import costs, model
from tests.conftest import ROOT, Deployed, Done, run_edgearch

QUICK = (
    "--set", "train.epochs=1", "--set", "validate.max_drop=1", "--set", 'quantize.compare_sizes=[]', "--json",
)  # fmt: skip


@pytest.fixture(scope="session")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A vision transformer that saw the digits once, as int16x8 on a Raspberry Pi's stand-in."""
    folder = tmp_path_factory.mktemp("vit")
    done = run_edgearch("deploy", "vit", "--device", "rpi", "--pipeline", "int16x8", *QUICK, cwd=folder)
    return Deployed(folder, done)


def file_of(deployed: Deployed) -> model.Model:
    return model.read(deployed.folder / deployed.done.document["bundle"] / "model.tflite")


def test_int16x8_model_has_int16_outside_and_int8_weights(vit: Deployed) -> None:
    assert vit.done.code == 0, vit.done.stderr
    read = file_of(vit)
    assert costs.precision(read) == "int16x8"
    assert [tensor.dtype for tensor in (*read.inputs(), *read.outputs())] == ["int16", "int16"]
    weights = {
        tensor.dtype for tensor in read.main.tensors if tensor.data is not None and len(tensor.shape) > 2
    }
    assert "int8" in weights
    assert vit.done.document["precision"] == vit.done.document["artifacts"][0]["precision"] == "int16x8"


def test_rewritten_vit_holds_neither_gelu_nor_squared_difference_nor_five_dimensions(vit: Deployed) -> None:
    read = file_of(vit)
    assert not {"GELU", "SQUARED_DIFFERENCE"} & set(read.ops())
    assert max(len(tensor.shape) for tensor in read.main.tensors) <= 4


def test_every_rewrite_is_listed_with_the_difference_it_makes(vit: Deployed) -> None:
    found = {one["name"]: one for one in vit.done.document["rewrites"]}
    assert list(found) == ["layer-norm-by-mul", "sigmoid-gelu", "attention-by-dense"]
    assert all(one["replaced"] and one["by"] and one["reason"] for one in found.values())
    for name in ("layer-norm-by-mul", "attention-by-dense"):
        assert 0 < found[name]["share_of_range"] < 1e-4  # the float32 gate's tolerance
        assert not found[name]["trained"]
    assert 1e-4 < found["sigmoid-gelu"]["max_abs_error"] < 1
    assert found["sigmoid-gelu"]["trained"]
    report = (vit.folder / vit.done.document["bundle"]).parent / "report.md"
    assert "| layer-norm-by-mul | LayerNormalization |" in report.read_text()


def test_operators_outside_the_delegate_are_counted_by_the_runtime(vit: Deployed) -> None:
    read = file_of(vit)
    chosen = next(one for one in vit.done.document["runtimes"] if one["chosen"])
    # XNNPACK has no int16 kernel at all, so nothing of the model is inside
    assert chosen["roles"]["model"]["undelegated"] == dict(sorted(read.ops().items()))


def test_integers_are_timed_beside_float32_in_the_same_runtime(vit: Deployed) -> None:
    document = vit.done.document
    chosen = next(one for one in document["runtimes"] if one["chosen"])
    assert document["float32"]["name"] == chosen["name"]
    assert document["float32"]["p50_ms"] > 0
    slower = chosen["latency_ms"]["p50"] > 1.05 * document["float32"]["p50_ms"]
    assert slower == any("int16x8 is slower than float32 here" in note for note in document["notes"])


def test_model_without_such_layers_is_not_trained_again_for_another_devices_rewrites(
    edgearch: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "devices").mkdir()
    rpi = (ROOT / "devices" / "rpi.toml").read_text()
    plain = "\n".join(line for line in rpi.splitlines() if not line.startswith("rewrites"))
    assert plain != rpi.rstrip("\n")
    (tmp_path / "devices" / "plain.toml").write_text(plain)
    for device in ("rpi", "plain"):
        done = edgearch("deploy", "mlp", "--device", device, "--pipeline", "float32", *QUICK[:4], "--json")
        assert done.code == 0, done.stderr
    cached = {stage["name"]: stage["cached"] for stage in done.document["stages"]}
    assert cached["train"] and cached["convert"]


def test_device_without_rewrites_gets_keras_own_layers_and_int16x8_names_the_operator(
    edgearch: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "devices").mkdir()
    rpi = (ROOT / "devices" / "rpi.toml").read_text()
    (tmp_path / "devices" / "plain.toml").write_text(
        "\n".join(line for line in rpi.splitlines() if not line.startswith("rewrites"))
    )
    done = edgearch("deploy", "cnn-convnext", "--device", "plain", "--pipeline", "int16x8", *QUICK)
    assert done.code == 1, done.stderr
    document = done.document
    assert document["stages"][-1]["name"] == "quantize"
    (lacking,) = document["fit"]["unsupported"]
    assert lacking["op"] == "SQUARED_DIFFERENCE"
    assert "layer-norm-by-mul" in lacking["remedy"]
    assert document["rewrites"] == []


def test_operator_that_the_converter_refuses_is_named_with_its_remedy(edgearch: Callable[..., Done]) -> None:
    families = {"EDGEARCH_MODELS": str(ROOT / "tests" / "families")}
    done = edgearch("deploy", "recurrent", "--device", "rpi", "--pipeline", "int16x8", *QUICK, **families)
    assert done.code == 1, done.stderr
    (failure,) = done.document["failures"]
    assert failure.startswith("UNIDIRECTIONAL_SEQUENCE_LSTM: the converter does not quantize it in int16x8.")
    assert "single step" in failure


def test_rewrite_that_does_not_exist_is_refused_with_those_that_do(
    edgearch: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "devices").mkdir()
    rpi = (ROOT / "devices" / "rpi.toml").read_text()
    (tmp_path / "devices" / "mine.toml").write_text(rpi.replace("sigmoid-gelu", "no-gelu"))
    done = edgearch("deploy", "vit", "--device", "mine")
    assert done.code == 2
    assert "No rewrite 'no-gelu'" in done.stderr
    assert "sigmoid-gelu" in done.stderr


def test_int8_cnn_is_wholly_inside_the_delegate(deployed: Deployed) -> None:
    litert = next(one for one in deployed.done.document["runtimes"] if one["name"] == "litert")
    assert litert["roles"]["model"]["undelegated"] == {}
