"""What the Edge TPU's compiler maps: against the compiler itself on three models, and rule by rule."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edgearch.errors import RequestError
from edgearch.tflite import edgetpu, placement
from edgearch.tflite import model as tflite
from edgearch.tflite.model import Tensor
from tests.tflite.graphs import Drawing, numbers, tensor

IMAGE = tensor(1, 8, 8, 4)
KERNEL, BIAS = tensor(4, 3, 3, 4, data=1), tensor(4, dtype="int32", data=0)


def convolved(drawing: Drawing, source: int = 0, image: Tensor = IMAGE, **options: int) -> int:
    """Add a convolution that maps."""
    return drawing.op("CONV_2D", source, KERNEL, BIAS, gives=image, **options)


def where(drawing: Drawing) -> list[str]:
    return [place.on for place in edgetpu.places(drawing.model())]


def reason(drawing: Drawing) -> str:
    """Return why the last operator is on the CPU; it says what to do too."""
    place = edgetpu.places(drawing.model())[-1]
    assert (place.on == "cpu") == bool(place.reason) == bool(place.remedy)
    return place.reason


@pytest.mark.parametrize(
    "name", ["mobilenet_v1_0.25_128_quant", "keras_lstm_mnist_ptq", "deeplabv3_mnv2_dm05_pascal_quant"]
)
def test_mapper_leaves_the_very_operators_that_the_compiler_leaves(shared: Path, name: str) -> None:
    folder = shared / "models" / "edgetpu"
    model = tflite.read(folder / f"{name}.tflite")
    left = tflite.read(folder / f"{name}_edgetpu.tflite").ops()
    assert left.pop("CUSTOM:edgetpu-custom-op") == 1
    places = edgetpu.places(model)
    assert dict(Counter(place.op for place in places if place.on == "cpu")) == left
    assert dict(Counter(place.op for place in places)) == model.ops()


def test_compiled_file_is_read_as_the_compiler_decided(shared: Path) -> None:
    folder = shared / "models" / "edgetpu"
    model = tflite.read(folder / "deeplabv3_mnv2_dm05_pascal_quant_edgetpu.tflite")
    places = edgetpu.places(model)
    assert [place.op for place in places if place.on == "edgetpu"] == ["CUSTOM:edgetpu-custom-op"]
    assert edgetpu.memory(model) == {}


def test_parameters_of_mobilenet_fit_the_chip(shared: Path) -> None:
    model = tflite.read(shared / "models" / "edgetpu" / "mobilenet_v1_0.25_128_quant.tflite")
    found = edgetpu.memory(model)
    # 0.47 million 8-bit weights, and 32-bit biases; A. Howard et al., table 7, says 0.5 million
    assert found["parameter_bytes"] == pytest.approx(0.47e6, rel=0.05)
    assert found["streamed_bytes"] == 0


def test_parameters_beyond_the_memory_are_streamed() -> None:
    drawing = Drawing(tensor(1, 3000))
    drawing.op("FULLY_CONNECTED", 0, tensor(3000, 3000, data=1), gives=tensor(1, 3000))
    found = edgetpu.memory(drawing.model())
    assert found["parameter_bytes"] == 9_000_000
    assert found["streamed_bytes"] == 9_000_000 - found["parameter_limit_bytes"]


def test_parameters_left_on_the_cpu_take_no_memory_of_the_chip() -> None:
    drawing = Drawing(IMAGE)
    convolved(drawing, drawing.op("ELU", 0, gives=IMAGE))
    assert edgetpu.memory(drawing.model())["parameter_bytes"] == 0


def test_operators_of_a_damaged_file_are_placed_or_the_file_is_refused(shared: Path) -> None:
    content = (shared / "models" / "edgetpu" / "keras_lstm_mnist_ptq.tflite").read_bytes()
    random = np.random.default_rng(0)
    placed = 0
    for _ in range(300):
        hurt = bytearray(content)
        for position in random.integers(len(content) - 4096, len(content), 2):
            hurt[position] = random.integers(0, 256)
        try:
            model = tflite.parse(bytes(hurt), "damaged.tflite")
        except RequestError:
            continue
        assert {place.on for place in edgetpu.places(model)} <= {"edgetpu", "cpu"}
        placed += 1
    assert placed > 30


def test_operator_without_its_inputs_stays_on_the_cpu() -> None:
    for op in edgetpu._table()["operators"]:
        drawing = Drawing(tensor(1, 8))
        drawing.op(op, gives=tensor(1, 8))
        edgetpu.places(drawing.model())
    drawing = Drawing(tensor(1, 8))
    drawing.op("PRELU", 0, gives=tensor(1, 8))
    assert "lacks inputs" in reason(drawing)


def test_each_rule_of_the_table_is_known_and_explained() -> None:
    table = edgetpu._table()
    used = {rule for limits in table["operators"].values() for rule in limits}
    assert used <= set(edgetpu._RULES)
    assert used <= set(table["rules"])


def test_all_that_follows_an_operator_on_the_cpu_is_on_the_cpu_and_says_which() -> None:
    drawing = Drawing(IMAGE)
    first = convolved(drawing)
    convolved(drawing, drawing.op("LEAKY_RELU", first, gives=IMAGE))
    assert where(drawing) == ["edgetpu", "cpu", "cpu"]
    assert reason(drawing).startswith("follows LEAKY_RELU")


def test_branch_beside_an_operator_on_the_cpu_is_mapped_until_they_meet() -> None:
    drawing = Drawing(IMAGE)
    stem = convolved(drawing)
    slow, fast = drawing.op("ELU", stem, gives=IMAGE), convolved(drawing, stem)
    drawing.op("ADD", slow, fast, gives=IMAGE)
    assert where(drawing) == ["edgetpu", "cpu", "edgetpu", "cpu"]


def test_float_input_and_output_leave_only_the_conversions_on_the_cpu() -> None:
    drawing = Drawing(tensor(1, 8, 8, 4, dtype="float32"))
    quantized = drawing.op("QUANTIZE", 0, gives=IMAGE)
    drawing.op("DEQUANTIZE", convolved(drawing, quantized), gives=tensor(1, 8, 8, 4, dtype="float32"))
    assert where(drawing) == ["cpu", "edgetpu", "cpu"]
    assert "converts between floats" in reason(drawing)


def test_pixels_cast_to_floats_and_quantized_again_do_not_keep_the_rest_off_the_edge_tpu() -> None:
    drawing = Drawing(tensor(1, 8, 8, 4, dtype="uint8"))
    real = drawing.op("CAST", 0, gives=tensor(1, 8, 8, 4, dtype="float32"))
    convolved(drawing, drawing.op("QUANTIZE", real, gives=IMAGE))
    assert where(drawing) == ["cpu", "cpu", "edgetpu"]


def test_cast_in_the_middle_keeps_the_rest_off_the_edge_tpu() -> None:
    drawing = Drawing(IMAGE)
    real = drawing.op("CAST", convolved(drawing), gives=tensor(1, 8, 8, 4, dtype="float32"))
    convolved(drawing, drawing.op("QUANTIZE", real, gives=IMAGE))
    assert where(drawing) == ["edgetpu", "cpu", "cpu", "cpu"]


def test_float_operator_in_the_middle_is_named_and_not_the_conversion_before_it() -> None:
    drawing = Drawing(IMAGE)
    real = tensor(1, 8, 8, 4, dtype="float32")
    waves = drawing.op("SIN", drawing.op("DEQUANTIZE", convolved(drawing), gives=real), gives=real)
    convolved(drawing, drawing.op("QUANTIZE", waves, gives=IMAGE))
    assert where(drawing) == ["edgetpu", "cpu", "cpu", "cpu", "cpu"]
    assert reason(drawing).startswith("follows SIN")


def test_second_graph_of_a_file_stays_on_the_cpu() -> None:
    drawing, body = Drawing(IMAGE), Drawing(IMAGE)
    convolved(drawing), convolved(body)
    places = edgetpu.places(drawing.model(body.graph))
    assert [place.on for place in places] == ["edgetpu", "cpu"]
    assert "second graph" in places[1].reason


@pytest.mark.parametrize("dtype", ["float32", "int16", "int32"])
def test_tensors_of_other_than_8_bits_are_refused(dtype: str) -> None:
    drawing = Drawing(tensor(1, 8, dtype=dtype))
    drawing.op("ADD", 0, 0, gives=tensor(1, 8, dtype=dtype))
    assert "not 8-bit" in reason(drawing)


def test_states_of_an_lstm_may_have_16_bits() -> None:
    drawing = Drawing(
        tensor(1, 28, 28), tensor(1, 20, variable=True), tensor(1, 20, dtype="int16", variable=True)
    )
    weights = [tensor(20, 28, data=1)] * 8
    drawing.op("UNIDIRECTIONAL_SEQUENCE_LSTM", 0, *weights, -1, 1, 2, gives=tensor(1, 28, 20))
    assert where(drawing) == ["edgetpu"]


def test_sizes_that_are_not_fixed_are_refused() -> None:
    drawing = Drawing(tensor(1, 8, dynamic=True))
    drawing.op("RELU", 0, gives=tensor(1, 8, dynamic=True))
    assert "not fixed" in reason(drawing)


@pytest.mark.parametrize(
    ("shape", "on"), [((1, 1, 4, 4, 4), "edgetpu"), ((2, 4, 4, 4), "cpu"), ((8, 4, 4), "edgetpu")]
)
def test_only_the_three_innermost_dimensions_may_be_above_1(shape: tuple[int, ...], on: str) -> None:
    drawing = Drawing(tensor(*shape))
    drawing.op("RELU", 0, gives=tensor(*shape))
    assert where(drawing) == [on]


def test_weights_that_are_computed_are_refused() -> None:
    drawing = Drawing(tensor(1, 8), tensor(8, 8))
    drawing.op("FULLY_CONNECTED", 0, 1, gives=tensor(1, 8))
    assert "not constant" in reason(drawing)


def test_shape_that_is_computed_is_refused() -> None:
    drawing = Drawing(tensor(1, 8), tensor(2, dtype="int32"))
    drawing.op("RESHAPE", 0, 1, gives=tensor(2, 4))
    assert "computed" in reason(drawing)


def test_dense_layer_over_many_positions_is_refused_and_over_one_mapped() -> None:
    one, many = Drawing(tensor(1, 8)), Drawing(tensor(1, 28, 8))
    for drawing, output in ((one, tensor(1, 4)), (many, tensor(1, 28, 4))):
        drawing.op("FULLY_CONNECTED", 0, tensor(4, 8, data=1), gives=output)
    assert where(one) == ["edgetpu"]
    assert "more than one dimension" in reason(many)


@pytest.mark.parametrize(
    ("size", "to", "aligned", "on"),
    [
        (33, 33, True, "edgetpu"),
        (33, 513, True, "cpu"),
        (1, 33, True, "cpu"),
        (8, 64, False, "edgetpu"),
        (2, 12, True, "edgetpu"),
        (2, 13, True, "cpu"),
        (2, 40, False, "cpu"),
    ],
)
def test_large_upsampling_is_refused(size: int, to: int, aligned: bool, on: str) -> None:
    drawing = Drawing(tensor(1, size, size, 8))
    drawing.op("RESIZE_BILINEAR", 0, numbers(to, to), gives=tensor(1, to, to, 8), alignCorners=aligned)
    assert where(drawing) == [on]


def test_upsampling_to_more_than_the_chip_holds_is_refused() -> None:
    drawing = Drawing(tensor(1, 256, 256, 32))
    drawing.op("RESIZE_BILINEAR", 0, numbers(512, 512), gives=tensor(1, 512, 512, 32))
    assert "8,000,000 bytes" in reason(drawing)


@pytest.mark.parametrize(
    ("shape", "words"), [((1, 1000), ""), ((1, 20_000), "16,000"), ((4, 10, 10), "more than one dimension")]
)
def test_softmax_takes_one_dimension_of_at_most_16000(shape: tuple[int, ...], words: str) -> None:
    drawing = Drawing(tensor(*shape))
    drawing.op("SOFTMAX", 0, gives=tensor(*shape))
    assert words in reason(drawing)
    assert bool(words) == bool(reason(drawing))


@pytest.mark.parametrize(
    ("op", "axes", "channels", "words"),
    [
        ("MEAN", (1, 2), 3, ""),
        ("MEAN", (-2, 1), 3, ""),
        ("MEAN", (3,), 8, ""),
        ("MEAN", (3,), 6, "multiple of 4"),
        ("MEAN", (0,), 4, "batch"),
        ("SUM", (0, 1), 4, "batch"),
        ("REDUCE_MAX", (-1,), 6, ""),
    ],
)
def test_reductions_keep_to_their_dimensions(
    op: str, axes: tuple[int, ...], channels: int, words: str
) -> None:
    drawing = Drawing(tensor(1, 8, 8, channels))
    drawing.op(op, 0, numbers(*axes), gives=tensor(1, channels))
    assert words in reason(drawing)
    assert bool(words) == bool(reason(drawing))


def test_mean_of_a_large_image_is_refused() -> None:
    drawing = Drawing(tensor(1, 256, 128, 3))
    drawing.op("MEAN", 0, numbers(1, 2), gives=tensor(1, 3))
    assert "32,767 positions" in reason(drawing)


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION"])
def test_fused_activation_is_refused_where_the_table_says_so(op: str) -> None:
    plain, fused = Drawing(IMAGE), Drawing(IMAGE)
    plain.op(op, 0, gives=IMAGE)
    fused.op(op, 0, gives=IMAGE, activation="RELU")
    assert where(plain) == ["edgetpu"]
    assert "activation" in reason(fused)


@pytest.mark.parametrize(("value", "on"), [(3, "edgetpu"), (4, "cpu")])
def test_constant_is_joined_only_as_zero_padding(value: int, on: str) -> None:
    drawing = Drawing(IMAGE)
    constant = tensor(1, 8, 8, 4, data=value, zero_point=3)
    drawing.op("CONCATENATION", 0, constant, gives=tensor(1, 8, 8, 8), axis=3)
    assert where(drawing) == [on]


def test_different_dilations_are_refused() -> None:
    drawing = Drawing(IMAGE)
    convolved(drawing, dilationHFactor=2, dilationWFactor=1)
    assert "dilated" in reason(drawing)


@pytest.mark.parametrize(
    ("paddings", "on"), [((0, 0, 1, 1, 1, 1, 0, 0), "edgetpu"), ((0, 1, 0, 0, 0, 0, 0, 0), "cpu")]
)
def test_batch_is_not_padded(paddings: tuple[int, ...], on: str) -> None:
    drawing = Drawing(IMAGE)
    drawing.op("PAD", 0, numbers(*paddings), gives=IMAGE)
    assert where(drawing) == [on]


@pytest.mark.parametrize(
    ("shape", "squeezed", "on"),
    [
        ((1, 1, 10), (0, 1), "edgetpu"),
        ((1, 5, 10), (0,), "edgetpu"),
        ((5, 1, 10), (1,), "cpu"),
        ((5, 1, 10), (), "cpu"),
    ],
)
def test_squeeze_moves_nothing(shape: tuple[int, ...], squeezed: tuple[int, ...], on: str) -> None:
    drawing = Drawing(tensor(*shape))
    drawing.op("SQUEEZE", 0, gives=tensor(5, 10), squeezeDims=list(squeezed))
    assert where(drawing) == [on]


@pytest.mark.parametrize(
    ("strides", "masks", "on"),
    [
        ((1, 1), {}, "edgetpu"),
        ((1, 2), {}, "cpu"),
        ((1, 1), {"ellipsisMask": 1}, "cpu"),
        ((1, 1), {"newAxisMask": 2}, "cpu"),
    ],
)
def test_slices_take_every_element(strides: tuple[int, ...], masks: dict[str, int], on: str) -> None:
    drawing = Drawing(tensor(1, 8))
    sizes = (numbers(0, 0), numbers(1, 8), numbers(*strides))
    drawing.op("STRIDED_SLICE", 0, *sizes, gives=tensor(1, 8), **masks)
    assert where(drawing) == [on]


@pytest.mark.parametrize(("axis", "on"), [(3, "edgetpu"), (-1, "edgetpu"), (0, "cpu")])
def test_nothing_is_split_along_the_batch(axis: int, on: str) -> None:
    drawing = Drawing(IMAGE)
    drawing.op("SPLIT", numbers(axis), 0, gives=tensor(1, 8, 8, 2))
    assert where(drawing) == [on]


def test_split_into_one_part_divides_nothing() -> None:
    drawing = Drawing(IMAGE)
    drawing.op("SPLIT", numbers(0), 0, gives=IMAGE, numSplits=1)
    assert where(drawing) == ["edgetpu"]


@pytest.mark.parametrize(("size", "on"), [(1, "edgetpu"), (2, "cpu")])
def test_only_single_pixels_are_repeated(size: int, on: str) -> None:
    drawing = Drawing(tensor(1, size, size, 8))
    drawing.op("TILE", 0, numbers(1, 4, 4, 1), gives=tensor(1, 4 * size, 4 * size, 8))
    assert where(drawing) == [on]


@pytest.mark.parametrize(("alpha", "on"), [((1, 1, 4), "edgetpu"), ((8, 8, 4), "cpu")])
def test_slopes_differ_between_channels_only(alpha: tuple[int, ...], on: str) -> None:
    drawing = Drawing(IMAGE)
    drawing.op("PRELU", 0, tensor(*alpha, data=1), gives=IMAGE)
    assert where(drawing) == [on]


def test_alike_operators_are_counted_together() -> None:
    drawing = Drawing(IMAGE)
    second = convolved(drawing, convolved(drawing))
    drawing.op("ELU", second, gives=IMAGE)
    convolutions, elu = placement.counted(edgetpu.places(drawing.model()))
    assert convolutions == {"op": "CONV_2D", "count": 2, "on": "edgetpu", "reason": "", "remedy": ""}
    assert (elu["op"], elu["count"], elu["on"]) == ("ELU", 1, "cpu")
    assert "RELU" in elu["remedy"]
