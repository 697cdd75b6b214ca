"""Reading .tflite files: real ones, and damaged ones."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgearch.errors import RequestError
from edgearch.tflite import costs, model
from tests.conftest import Deployed


def test_int8_resnet8_is_read_as_the_converter_wrote_it(int8_model: Path) -> None:
    read = model.read(int8_model)
    assert read.input_names == ("image",)
    assert read.output_names == ("logits",)
    assert read.ops() == {"CONV_2D": 9, "ADD": 3, "MEAN": 1, "FULLY_CONNECTED": 1}
    (image,) = read.inputs()
    assert (image.shape, image.dtype) == ((1, 8, 8, 1), "int8")
    assert image.scale is not None
    assert costs.precision(read) == "int8"


def test_multiply_accumulates_of_resnet8_are_those_counted_by_hand(int8_model: Path) -> None:
    by_hand = (
        64 * 9 * 1 * 16  # stem, 8×8
        + 64 * 9 * 16 * 16 * 2  # stack of 16
        + 16 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32)  # stack of 32, 4×4
        + 4 * (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64)  # stack of 64, 2×2
        + 64 * 10
    )
    assert costs.macs(model.read(int8_model)) == by_hand


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
def test_precision_is_told_from_the_types(deployed: Deployed, precision: str) -> None:
    read = model.read(deployed.converted(precision))
    assert costs.precision(read) == precision
    assert costs.parameters(read) == pytest.approx(77_500, rel=0.01)


def test_models_of_other_makers_are_read(shared: Path) -> None:
    folder = shared / "models" / "edgetpu"
    lstm = model.read(folder / "keras_lstm_mnist_ptq.tflite")
    assert lstm.ops()["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 1
    # 28 steps of 4 gates of 20 units over 28 features and 20 states, and the dense layer after them
    assert costs.macs(lstm) == pytest.approx(28 * 4 * 20 * (28 + 20) + 28 * 20 * 10, rel=0.05)
    mobilenet = model.read(folder / "mobilenet_v1_0.25_128_quant.tflite")
    assert costs.macs(mobilenet) == pytest.approx(13.6e6, rel=0.01)  # A. Howard et al., table 7: 14 million
    compiled = model.read(folder / "mobilenet_v1_0.25_128_quant_edgetpu.tflite")
    assert compiled.ops() == {"CUSTOM:edgetpu-custom-op": 1}


def test_arena_estimate_is_a_lower_bound_of_what_tflm_records(int8_model: Path) -> None:
    # stem and stack of 16: two 8×8×16 int8 maps and, at the addition, the third
    assert costs.arena_bytes(model.read(int8_model)) == 3 * 8 * 8 * 16


def test_file_cut_or_overwritten_anywhere_is_read_or_refused_and_nothing_else(int8_model: Path) -> None:
    content = int8_model.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for index in range(150):
        if index % 2:
            damaged = content[: random.integers(1, len(content))]
        else:
            hurt = bytearray(content)
            for position in random.integers(0, 4096, 8):
                hurt[position] = random.integers(0, 256)
            damaged = bytes(hurt)
        try:
            read = model.parse(damaged, "damaged.tflite")
            costs.macs(read), costs.parameters(read), costs.sparsity(read), costs.arena_bytes(read)
        except RequestError:
            refused += 1
    assert refused > 75


@pytest.mark.parametrize(
    ("part", "what"), [("operatorCodes", "operator 9999"), ("tensors", "tensor type 99")]
)
def test_code_that_the_schema_does_not_know_is_named_with_its_version(
    int8_model: Path, part: str, what: str
) -> None:
    tree = schema.ModelT.InitFromPackedBuf(int8_model.read_bytes(), 0)
    if part == "tensors":
        tree.subgraphs[0].tensors[0].type = 99
    else:
        tree.operatorCodes[0].builtinCode = 9999
    builder = flatbuffers.Builder()
    builder.Finish(tree.Pack(builder), file_identifier=model.IDENTIFIER)
    known = f"{what} is unknown to ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"
    with pytest.raises(RequestError, match=re.escape(known)):
        model.parse(bytes(builder.Output()), "newer.tflite")


def test_damaged_file_is_refused_without_words_of_python(int8_model: Path) -> None:
    content = int8_model.read_bytes()
    with pytest.raises(RequestError, match=r"damaged \(\d+ bytes\)\. Copy or convert it again\.$"):
        model.parse(content[: len(content) // 2], "cut.tflite")
