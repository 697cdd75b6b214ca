"""edgearch check: where each operator of a file runs on each device."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgearch import profiles
from edgearch.stages import _placement
from tests.conftest import Done
from tests.tflite.graphs import Drawing, tensor

Edgearch = Callable[..., Done]


@pytest.fixture
def mobilenet(shared: Path) -> Path:
    return shared / "models" / "edgetpu" / "mobilenet_v1_0.25_128_quant.tflite"


@pytest.fixture
def lstm(shared: Path) -> Path:
    return shared / "models" / "edgetpu" / "keras_lstm_mnist_ptq.tflite"


def tiny(path: Path, op: int, dtype: int, custom: str = "", shape: Sequence[int] = (1, 8)) -> Path:
    """Write a model of one operator that takes and gives eight numbers, or as many as ``shape`` says."""
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = op, min(op, 127)
    code.customCode = custom or None
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [0.5], [0]
    tensors = []
    for name in ("given", "made"):
        one = schema.TensorT()
        one.name, one.shape, one.type, one.quantization = name, [*shape], dtype, quantization
        tensors.append(one)
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0], [1]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [operator], [0], [1]
    tree = schema.ModelT()
    tree.version, tree.operatorCodes, tree.subgraphs, tree.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(0)
    builder.Finish(tree.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def entries(document: Any) -> list[tuple[str, int, str]]:
    return [(one["op"], one["count"], one["on"]) for one in document["placement"]]


@pytest.mark.parametrize(("device", "on"), [("rpi", "cpu"), ("desktop", "cpu"), ("mcu", "mcu")])
def test_device_without_accelerator_runs_every_operator_it_has(
    edgearch: Edgearch, lstm: Path, device: str, on: str
) -> None:
    done = edgearch("check", str(lstm), "--device", device, "--json")
    assert done.code == 0, done.stderr
    assert {one["on"] for one in done.document["placement"]} == {on}
    assert all(one["reason"] == one["remedy"] == "" for one in done.document["placement"])
    counted = {one["op"]: one["count"] for one in done.document["placement"]}
    assert counted == done.document["artifacts"][0]["ops"]
    assert "accelerator" not in done.document


def test_quantized_model_is_on_the_edge_tpu_and_what_is_estimated_says_so(
    edgearch: Edgearch, mobilenet: Path
) -> None:
    done = edgearch("check", str(mobilenet), "--device", "coral", "--json")
    assert done.code == 0, done.stderr
    assert {one["on"] for one in done.document["placement"]} == {"edgetpu"}
    accelerator = done.document["accelerator"]
    assert (accelerator["name"], accelerator["where"]) == ("edgetpu", "estimated")
    assert accelerator["mapped"] == accelerator["operators"] == 31
    assert 0 < accelerator["parameter_bytes"] < accelerator["parameter_limit_bytes"]


def test_compiled_model_runs_on_coral_and_nowhere_else(edgearch: Edgearch, mobilenet: Path) -> None:
    compiled = str(mobilenet.with_name(f"{mobilenet.stem}_edgetpu.tflite"))
    done = edgearch("check", compiled, "--device", "coral", "--json")
    assert (done.code, entries(done.document)) == (0, [("CUSTOM:edgetpu-custom-op", 1, "edgetpu")])
    done = edgearch("check", compiled, "--device", "rpi", "--json")
    assert (done.code, entries(done.document)) == (1, [("CUSTOM:edgetpu-custom-op", 1, "none")])
    assert "before" in done.document["placement"][0]["remedy"]


def test_running_a_compiled_model_without_its_accelerator_says_what_to_run(
    edgearch: Edgearch, mobilenet: Path
) -> None:
    compiled = str(mobilenet.with_name(f"{mobilenet.stem}_edgetpu.tflite"))
    done = edgearch("run", compiled, "--device", "coral")
    assert (done.code, done.stdout) == (3, "")
    assert "before it was compiled" in done.stderr


def test_unquantized_model_for_the_edge_tpu_is_refused_with_what_to_do(
    edgearch: Edgearch, tmp_path: Path
) -> None:
    path = tiny(tmp_path / "float.tflite", schema.BuiltinOperator.RELU, schema.TensorType.FLOAT32)
    done = edgearch("check", str(path), "--device", "coral", "--json")
    assert done.code == 1, done.stderr
    assert entries(done.document) == [("RELU", 1, "cpu")]
    assert "Quantize" in done.document["placement"][0]["remedy"]
    assert "It runs int8" in done.document["failures"][0]


def test_operator_that_a_microcontroller_lacks_runs_nowhere(edgearch: Edgearch, tmp_path: Path) -> None:
    path = tiny(tmp_path / "gelu.tflite", schema.BuiltinOperator.GELU, schema.TensorType.INT8)
    done = edgearch("check", str(path), "--device", "mcu", "--json")
    assert done.code == 1, done.stderr
    (gelu,) = done.document["placement"]
    assert (gelu["op"], gelu["count"], gelu["on"]) == ("GELU", 1, "none")
    assert "op set 'tflm'" in gelu["reason"]
    assert "sigmoid" in gelu["remedy"]
    assert edgearch("check", str(path), "--device", "rpi").code == 0


def test_custom_operator_runs_where_a_runtime_brings_it(edgearch: Edgearch, tmp_path: Path) -> None:
    for name, code in (("TFLite_Detection_PostProcess", 0), ("Mine", 1)):
        path = tiny(tmp_path / "x.tflite", schema.BuiltinOperator.CUSTOM, schema.TensorType.INT8, name)
        done = edgearch("check", str(path), "--device", "coral", "--json")
        assert done.code == code, done.stderr
        assert entries(done.document) == [(f"CUSTOM:{name}", 1, "none" if code else "cpu")]


def test_model_far_beyond_a_microcontroller_is_refused_without_running_it(
    edgearch: Edgearch, shared: Path
) -> None:
    path = shared / "models" / "edgetpu" / "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    done = edgearch("check", str(path), "--device", "mcu", "--json")
    assert done.code == 1
    assert done.document["fit"]["where"] == "estimated"
    assert "bytes of RAM" in done.document["failures"][0]


def test_checking_a_file_imports_no_tensorflow(mobilenet: Path) -> None:
    arguments = ["check", str(mobilenet), "--device", "coral", "--json"]
    script = (
        "import sys\n"
        "from edgearch.cli import main\n"
        f"code = main({arguments!r})\n"
        "sys.exit(code or 'tensorflow' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_table_shows_the_placement(edgearch: Edgearch, mobilenet: Path) -> None:
    done = edgearch("check", str(mobilenet), "--device", "coral")
    assert "31 of 31 operators run on edgetpu." in done.stdout


def test_operators_of_all_roles_are_counted_and_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = Drawing(tensor(1, 2500))
    drawing.op("FULLY_CONNECTED", 0, tensor(2500, 2500, data=1), gives=tensor(1, 2500))
    monkeypatch.setattr(_placement.tflite, "read", lambda _path: drawing.model())
    found = _placement.placed(profiles.device("coral"), [Path("a.tflite"), Path("b.tflite")], [])
    assert Counter(one["count"] for one in found["placement"]) == {2: 1}
    assert found["accelerator"]["parameter_bytes"] == 12_500_000
    assert found["accelerator"]["streamed_bytes"] == 4_500_000


def test_checked_file_is_labelled_by_how_its_figures_were_obtained(edgearch: Edgearch, lstm: Path) -> None:
    for words in (
        ["--device", "rpi", "--host", "pi@10.0.0.7"],
        ["--device", "desktop"],
        ["--device", "coral"],
    ):
        document = edgearch("check", str(lstm), *words, "--json").document
        assert document["where"] == document["fit"]["where"] == "estimated"
        assert document["notes"] == [], "nothing ran, so nothing stood in"


@pytest.mark.parametrize("device", ["nano33ble", "rp2040", "stm32f746", "esp32s3"])
def test_operators_of_a_board_run_on_its_microcontroller(
    edgearch: Edgearch, tmp_path: Path, device: str
) -> None:
    path = tiny(tmp_path / "relu.tflite", schema.BuiltinOperator.RELU, schema.TensorType.INT8)
    assert entries(edgearch("check", str(path), "--device", device, "--json").document) == [
        ("RELU", 1, "mcu")
    ]


def test_refusal_of_a_kernel_names_its_operator_and_what_to_do(edgearch: Edgearch, mobilenet: Path) -> None:
    document = edgearch("check", str(mobilenet), "--device", "mcu", "--json").document
    (refused,) = [one for one in document["placement"] if one["on"] == "none"]
    assert (refused["op"], refused["count"]) == ("CONV_2D", 15)
    assert "Hybrid models are not supported" in refused["reason"]
    assert "uint8" in refused["remedy"] and "int8" in refused["remedy"]


def test_precision_that_a_device_does_not_run_leaves_every_operator_without_a_place(
    edgearch: Edgearch, mobilenet: Path
) -> None:
    done = edgearch("check", str(mobilenet), "--device", "browser", "--json")
    assert done.code == 1
    assert {one["on"] for one in done.document["placement"]} == {"none"}
    assert all("float16" in one["remedy"] for one in done.document["placement"])


def test_ethos_u_plans_its_own_memory_and_runs_what_vela_made(
    edgearch: Edgearch, mobilenet: Path, tmp_path: Path
) -> None:
    found = edgearch("check", str(mobilenet), "--device", "ethos-u55", "--json")
    assert found.code == 0, found.stderr
    document = found.document
    planned = document["accelerator"]["sram_bytes"] + document["accelerator"]["dram_bytes"]
    assert document["fit"]["arena_bytes"] == planned > 0
    command = [str(Path(sys.executable).with_name("vela")), "--output-dir", str(tmp_path), str(mobilenet)]
    subprocess.run([*command, "--accelerator-config", "ethos-u55-128"], check=True, capture_output=True)
    (made,) = tmp_path.glob("*_vela.tflite")
    compiled = edgearch("check", str(made), "--device", "ethos-u55", "--json")
    assert compiled.code == 0, compiled.stderr
    assert entries(compiled.document) == [("CUSTOM:ethos-u", 1, "npu")]
    elsewhere = edgearch("check", str(made), "--device", "rpi", "--json")
    assert (elsewhere.code, elsewhere.document["placement"][0]["on"]) == (1, "none")
    assert "before Vela" in elsewhere.document["placement"][0]["remedy"]


@pytest.mark.parametrize("option", [("--pipeline", "int8"), ("--dataset", "digits"), ("--data-folder", ".")])
def test_options_of_making_a_model_are_refused_for_a_file(
    edgearch: Edgearch, lstm: Path, option: tuple[str, str]
) -> None:
    done = edgearch("check", str(lstm), "--device", "rpi", *option)
    assert (done.code, done.stdout) == (2, "")
    assert f"{option[0]} is for models of ours" in done.stderr


def test_file_in_place_of_a_model_is_named(edgearch: Edgearch, lstm: Path) -> None:
    done = edgearch("deploy", str(lstm), "--device", "rpi")
    assert done.code == 2
    assert "edgearch run" in done.stderr


def test_huge_input_needs_no_memory_to_be_checked(edgearch: Edgearch, tmp_path: Path) -> None:
    path = tmp_path / "huge.tflite"
    tiny(path, schema.BuiltinOperator.RELU, schema.TensorType.INT8, shape=[1, 100_000, 100_000])
    for device in ("rpi", "mcu"):
        done = edgearch("check", str(path), "--device", device, "--json")
        assert done.code == 1, done.stderr
        assert "RAM" in done.document["failures"][0]
