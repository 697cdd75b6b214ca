"""What Coral's Edge TPU compiler maps to the accelerator, and why it leaves the rest to the CPU.

The compiler is closed; its rules are those that Coral publishes (``edgetpu.toml`` has them, with sources):
tensors of 8-bit integers with fixed sizes and at most three dimensions above 1, constant parameters, a
table of operators with limits, and one part of the graph for the accelerator. So everything that depends
on an operator that stays on the CPU stays there too. What this predicts is an estimate, never a
measurement; for large tensors the compiler also gives up for reasons that are not published.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from edgearch.tflite.model import Graph, Model, Operator, Tensor
from edgearch.tflite.placement import Place

ACCELERATOR, REST = "edgetpu", "cpu"
EIGHT_BIT = ("int8", "uint8")
COMPILED = "CUSTOM:edgetpu-custom-op"  # what the compiler puts in place of the operators that it mapped


@dataclass(frozen=True)
class Node:
    """An operator with its tensors in place of their indices (``None``: left out)."""

    operator: Operator
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @property
    def activations(self) -> list[Tensor]:
        """What flows through it: neither constants nor the states that it keeps."""
        flowing = [one for one in self.inputs if one and one.data is None and not one.variable]
        return [*flowing, *self.outputs]

    def option(self, name: str, default: Any = 0) -> Any:
        """Return one of its builtin options."""
        return getattr(self.operator.options, name, default)

    def constant(self, place: int) -> list[int] | None:
        """Return the int32 or int64 values of a constant input, if that is what it is."""
        tensor = self.inputs[place] if place < len(self.inputs) else None
        if tensor is None or tensor.data is None or tensor.dtype not in ("int32", "int64"):
            return None
        return [int(value) for value in tensor.data.view(tensor.dtype)]


Rule = Callable[[Node, Any], bool]


def places(model: Model) -> list[Place]:
    """Say for each operator of all graphs whether the compiler maps it, in the order of the file."""
    main = _compiled(model.main) if _is_compiled(model) else _main(model.main)
    others = [operator for graph in model.graphs[1:] for operator in graph.operators]
    return [*main, *(_left(operator.name, "main_graph_only") for operator in others)]


def memory(model: Model) -> dict[str, int]:
    """Estimate what the mapped operators' parameters take of the memory on the chip, in bytes.

    Those that do not fit are streamed from the host at each inference, which is slower. Of a file that
    is already compiled nothing is known: its parameters are inside a custom operator.
    """
    if _is_compiled(model):
        return {}
    needed = sum(tensor.bytes for tensor in _parameters(model.main, places(model)))
    limit = int(_table()["parameter_memory_bytes"])
    return {
        "parameter_bytes": needed,
        "parameter_limit_bytes": limit,
        "streamed_bytes": max(needed - limit, 0),
    }


def _parameters(graph: Graph, found: list[Place]) -> Iterator[Tensor]:
    """Yield the constants of mapped operators, each once: weights and biases, no shapes or axes."""
    mapped = [operator for operator, place in zip(graph.operators, found, strict=False) if place.on != REST]
    for index in sorted({index for operator in mapped for index in operator.inputs if index >= 0}):
        tensor = graph.tensors[index]
        if tensor.data is not None and (tensor.dtype in EIGHT_BIT or tensor.channels):
            yield tensor


def _is_compiled(model: Model) -> bool:
    return any(operator.name == COMPILED for operator in model.main.operators)


def _compiled(graph: Graph) -> list[Place]:
    """Read what the real compiler decided from a file that it wrote."""
    return [
        Place(operator.name, ACCELERATOR)
        if operator.name == COMPILED
        else _left(operator.name, "already_compiled")
        for operator in graph.operators
    ]


def _main(graph: Graph) -> list[Place]:
    found: list[Place] = []
    entering = {*graph.inputs}  # tensors that only conversions made of the inputs
    behind: dict[int, str] = {}  # tensor → the operator that keeps what takes it on the CPU
    for operator in graph.operators:
        node = _node(graph, operator)
        blocker = next((behind[index] for index in operator.inputs if index in behind), None)
        place = _own_place(node)
        if place.on == ACCELERATOR and blocker:
            place = _left(operator.name, "after", op=blocker)
        if place.on == REST and _enters(node, entering):
            entering |= {*operator.outputs}
        elif place.on == REST:
            # Leaving 8 bits is the work of whoever wants floats: the next operator is the one to name.
            named = blocker if blocker and blocker not in _table()["boundary"] else operator.name
            behind |= dict.fromkeys(operator.outputs, named)
        found.append(place)
    return found


def _node(graph: Graph, operator: Operator) -> Node:
    inputs = tuple(graph.tensors[index] if index >= 0 else None for index in operator.inputs)
    return Node(operator, inputs, tuple(graph.tensors[index] for index in operator.outputs))


def _own_place(node: Node) -> Place:
    """Say where an operator runs for its own sake, whatever stands before it."""
    name = node.operator.name
    table = _table()
    if name in table["boundary"] and any(one.dtype.startswith("float") for one in node.activations):
        return _left(name, "boundary")
    if name not in table["operators"]:
        remedies = table["remedies"]
        return _left(name, "unknown", remedy=remedies.get(name, remedies["otherwise"]))
    limits = {**dict.fromkeys(_OF_ALL, True), **table["operators"][name]}
    try:
        broken = next(
            (rule for rule in _RULES if rule in limits and not _RULES[rule](node, limits[rule])), None
        )
    except (IndexError, TypeError, ValueError, ZeroDivisionError):  # not the inputs that such an operator has
        return _left(name, "malformed")
    return _left(name, broken, limit=limits[broken]) if broken else Place(name, ACCELERATOR)


def _enters(node: Node, entering: Set[int]) -> bool:
    """Whether it converts inputs of the graph: all that may stand on the CPU before mapped operators."""
    return node.operator.name in _table()["boundary"] and {*node.operator.inputs} <= entering


def _left(op: str, rule: str, /, remedy: str = "", **named: Any) -> Place:
    said = _table()["rules"][rule]
    shown = {name: f"{one:,}" if isinstance(one, int) else one for name, one in named.items()}
    return Place(op, REST, said["reason"].format(**shown), remedy or said["remedy"].format(**shown))


@functools.cache
def _table() -> dict[str, Any]:
    text = resources.files("edgearch.tflite").joinpath("edgetpu.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _eight_bit_only(tensors: Iterable[Tensor]) -> bool:
    return all(tensor.dtype in EIGHT_BIT for tensor in tensors)


def _eight_bit(node: Node, _limit: Any) -> bool:
    """Hold activations to 8 bits; constants may be int32 too: biases, shapes and axes."""
    constants = [one.dtype for one in node.inputs if one and one.data is not None]
    return _eight_bit_only(node.activations) and {*constants} <= {*EIGHT_BIT, "int32"}


def _fixed_shapes(node: Node, _limit: Any) -> bool:
    return not any(tensor.dynamic for tensor in node.activations)


def _three_dimensions(node: Node, _limit: Any) -> bool:
    return all(size == 1 for tensor in node.activations for size in tensor.shape[:-3])


def _constant_parameters(node: Node, _limit: Any) -> bool:
    """Hold all inputs but the activation, third of a transposed convolution; states are no parameters."""
    activation = 2 if node.operator.name == "TRANSPOSE_CONV" else 0
    rest = [one for place, one in enumerate(node.inputs) if place != activation and one]
    return all(one.data is not None or one.variable for one in rest)


def _constant_arguments(node: Node, _limit: Any) -> bool:
    return all(one is None or one.data is not None or not one.elements for one in node.inputs[1:])


def _no_fused_activation(node: Node, _limit: Any) -> bool:
    return node.operator.activation == "NONE"


def _only_zero_padding_is_constant(node: Node, _limit: Any) -> bool:
    constants = [one for one in node.inputs if one and one.data is not None]
    return not constants or (len(node.inputs) == 2 and len(constants) == 1 and _is_zero(constants[0]))


def _is_zero(tensor: Tensor) -> bool:
    if tensor.data is None or tensor.dtype not in EIGHT_BIT:
        return False
    return bool(np.all(tensor.data.view(tensor.dtype) == tensor.zero_point))


def _same_dilation(node: Node, _limit: Any) -> bool:
    return bool(node.option("dilationHFactor", 1) == node.option("dilationWFactor", 1))


def _default_weights_format(node: Node, _limit: Any) -> bool:
    return not node.option("weightsFormat")


def _is_one_dimensional(tensor: Tensor | None) -> bool:
    return tensor is not None and sum(size > 1 for size in tensor.shape) <= 1


def _one_dimensional_output(node: Node, _limit: Any) -> bool:
    return _is_one_dimensional(node.outputs[0])


def _one_dimensional_input(node: Node, _limit: Any) -> bool:
    return _is_one_dimensional(node.inputs[0])


def _one_dimensional_alpha(node: Node, _limit: Any) -> bool:
    alpha = node.inputs[1]
    return alpha is not None and all(size == 1 for size in alpha.shape[:-1])


def _axes(node: Node) -> list[int]:
    """Return the dimensions that a reduction takes together, counted from the first."""
    rank = len(_shape(node))
    return [axis % rank for axis in node.constant(1) or []] if rank else []


def _shape(node: Node) -> tuple[int, ...]:
    return node.inputs[0].shape if node.inputs[0] else ()


def _not_over_batch(node: Node, _limit: Any) -> bool:
    return len(_shape(node)) < 2 or 0 not in _axes(node)


def _depth_in_fours(node: Node, _limit: Any) -> bool:
    shape = _shape(node)
    return len(shape) - 1 not in _axes(node) or shape[-1] % 4 == 0


def _max_averaged(node: Node, limit: int) -> bool:
    return math.prod(_shape(node)[axis] for axis in set(_axes(node))) <= limit


def _not_along_batch(node: Node, _limit: Any) -> bool:
    """The axis is an option, or for SPLIT the first input: its shape is that of what comes out or goes in."""
    if node.operator.name == "SPLIT" and node.option("numSplits") == 1:  # nothing is divided
        return True
    rank = len(node.outputs[0].shape)
    axis = node.constant(0) if node.operator.name == "SPLIT" else [node.option("axis")]
    return axis is not None and rank > 0 and axis[0] % rank != 0


def _no_batch_padding(node: Node, _limit: Any) -> bool:
    return len(_shape(node)) < 2 or not any((node.constant(1) or [])[:2])


def _max_upsampling(node: Node, limit: int) -> bool:
    """Compare height and width, the two dimensions before the last, of (batch, height, width, channels)."""
    ends = 1 if node.option("alignCorners") else 0  # the distance between first and last pixel is what grows
    pairs = zip(_shape(node)[1:3], node.outputs[0].shape[1:3], strict=False)
    return all(after - ends <= max(before - ends, 1) * limit for before, after in pairs)


def _max_output_bytes(node: Node, limit: int) -> bool:
    return node.outputs[0].bytes <= limit


def _max_elements(node: Node, limit: int) -> bool:
    return math.prod(_shape(node)) <= limit


def _squeezes_leading(node: Node, _limit: Any) -> bool:
    """Removing dimensions of 1 in front of all larger ones moves nothing in memory."""
    shape = _shape(node)
    leading = next((place for place, size in enumerate(shape) if size > 1), len(shape))
    given = node.option("squeezeDims", None)
    dims = [int(axis) % len(shape) for axis in given] if given is not None and len(given) else None
    removed = dims or [place for place, size in enumerate(shape) if size == 1]
    return all(place < leading for place in removed)


def _only_ones_repeated(node: Node, _limit: Any) -> bool:
    repeats = zip(_shape(node), node.constant(1) or [], strict=False)
    return all(size == 1 or times == 1 for size, times in repeats)


def _unit_strides(node: Node, _limit: Any) -> bool:
    return all(step == 1 for step in node.constant(3) or [])


def _no_axis_masks(node: Node, _limit: Any) -> bool:
    return not (node.option("ellipsisMask") or node.option("newAxisMask"))


_OF_ALL = ("fixed_shapes", "eight_bit", "three_dimensions")
# By name, as in the table; the first one that is broken is the reason.
_RULES: dict[str, Rule] = {
    "fixed_shapes": _fixed_shapes,
    "constant_arguments": _constant_arguments,
    "eight_bit": _eight_bit,
    "constant_parameters": _constant_parameters,
    "three_dimensions": _three_dimensions,
    "no_fused_activation": _no_fused_activation,
    "only_zero_padding_is_constant": _only_zero_padding_is_constant,
    "same_dilation": _same_dilation,
    "default_weights_format": _default_weights_format,
    "one_dimensional_output": _one_dimensional_output,
    "one_dimensional_input": _one_dimensional_input,
    "one_dimensional_alpha": _one_dimensional_alpha,
    "not_over_batch": _not_over_batch,
    "depth_in_fours": _depth_in_fours,
    "max_averaged": _max_averaged,
    "not_along_batch": _not_along_batch,
    "no_batch_padding": _no_batch_padding,
    "max_upsampling": _max_upsampling,
    "max_output_bytes": _max_output_bytes,
    "max_elements": _max_elements,
    "squeezes_leading": _squeezes_leading,
    "only_ones_repeated": _only_ones_repeated,
    "unit_strides": _unit_strides,
    "no_axis_masks": _no_axis_masks,
}
