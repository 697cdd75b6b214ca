"""Test vectors from a bundle: raw inputs, and the raw answers of the reference kernels, role by role."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.agent import driving
from edgearch.agent.driving import to_tensor
from edgearch.agent.worker import TOLERANCE
from edgearch.errors import RequestError
from edgearch.firmware import literals
from edgearch.work import Arrays, load_arrays

# NumPy's dtype → the element of a C array, and the name in the firmware's enum Type.
_TYPES = {
    "bool": ("uint8_t", "kBool"), "int8": ("int8_t", "kInt8"), "uint8": ("uint8_t", "kUint8"),
    "int16": ("int16_t", "kInt16"), "int32": ("int32_t", "kInt32"), "int64": ("int64_t", "kInt64"),
    "float32": ("float", "kFloat32"),
}  # fmt: skip


@dataclass(frozen=True)
class Array:
    """A constant array of the firmware: (rows, values of one row)."""

    name: str
    values: np.ndarray

    @property
    def ctype(self) -> str:
        """The type of its elements."""
        return _TYPES[self.values.dtype.name][0]

    @property
    def row_bytes(self) -> int:
        """How many bytes a row takes."""
        return int(self.values[0].nbytes)

    @property
    def text(self) -> str:
        """Its elements as C++ source."""
        return literals.elements(self.values)


@dataclass(frozen=True)
class Input:
    """An input tensor by its position, and what it is filled with: a row for each step of each example."""

    position: int
    array: Array


@dataclass(frozen=True)
class State:
    """An output that is copied, as it is, into an input of the next step; the first step gets ``array``."""

    output: int
    input: int
    array: Array


@dataclass(frozen=True)
class Output:
    """An answer by its position, and what is expected of it: a row for each example.

    ``tolerance`` is the largest root of the mean square difference, in quantization steps or, of a float
    tensor, in its own unit.
    """

    name: str
    position: int
    array: Array
    tolerance: float

    @property
    def literal(self) -> str:
        """Its name as a C literal of a JSON literal."""
        return literals.json_literal(self.name)

    @property
    def type(self) -> str:
        """Its type in the firmware's enum."""
        return _TYPES[self.array.values.dtype.name][1]

    @property
    def count(self) -> int:
        """How many values an example has."""
        return int(self.array.values.shape[1])

    @property
    def tolerance_text(self) -> str:
        """The tolerance as a C literal."""
        return literals.real(self.tolerance)


@dataclass(frozen=True)
class Role:
    """One model with what it is run on. ``name`` is a C identifier, ``title`` the role's own name."""

    name: str
    title: str
    model: bytes
    examples: int
    steps: int
    inputs: tuple[Input, ...]
    states: tuple[State, ...]
    outputs: tuple[Output, ...]
    tensors: tuple[tuple[str, ...], ...]

    @property
    def arrays(self) -> list[Array]:
        """All its constant arrays but the model."""
        return [
            *(one.array for one in self.inputs),
            *(one.array for one in self.states),
            *(one.array for one in self.outputs),
        ]

    @property
    def literal(self) -> str:
        """Its name as a C literal of a JSON literal."""
        return literals.json_literal(self.title)

    @property
    def model_text(self) -> str:
        """The bytes of its file as C++ source."""
        return literals.octets(self.model)

    @property
    def vector_bytes(self) -> int:
        """What its constant arrays take in flash, without the model."""
        return sum(array.values.nbytes for array in self.arrays)


def of_bundle(
    folder: Path, exports: Mapping[str, Any], most: int, room: int, answers: Arrays | None = None
) -> tuple[Role, ...]:
    """Return every role with its first examples: at most ``most``, and as many as ``room`` bytes hold.

    Nothing where not even one example of each has room. ``answers`` are expected in place of the bundle's.

    Raises:
        RequestError: a tensor is of a type that no C array has.
    """
    inputs = load_arrays(folder / "inputs.npz")
    expected = {**load_arrays(folder / "expected.npz"), **(answers or {})}
    models = {title: (folder / export["file"]).read_bytes() for title, export in exports.items()}
    for examples in range(most, 0, -1):
        roles = tuple(
            _role(literals.identifier(title, index), title, models[title], export, inputs, expected, examples)
            for index, (title, export) in enumerate(exports.items())
        )
        if sum(role.vector_bytes for role in roles) <= room:
            return roles
    return ()


def _role(
    name: str,
    title: str,
    model: bytes,
    export: dict[str, Any],
    inputs: Arrays,
    expected: Arrays,
    most: int,
) -> Role:
    fed = driving.with_chained(driving.of_role(inputs, title), export.get("chained", {}), expected)
    fed = {tensor: value[:most] for tensor, value in fed.items()}
    first = next(iter(fed.values()))
    return Role(
        name=name,
        title=title,
        model=model,
        examples=len(first),
        steps=first.shape[1] if export["driven"] == "steps" else 1,
        inputs=_inputs(name, export, fed),
        states=_states(name, export),
        outputs=_outputs(name, export, driving.of_role(expected, title), len(first)),
        tensors=_tensors(title, export),
    )


def _inputs(name: str, export: dict[str, Any], fed: Arrays) -> tuple[Input, ...]:
    state = export["state"].values()
    return tuple(
        Input(position, _array(f"{name}_input{position}", tensor, fed[tensor["name"]]))
        for position, tensor in enumerate(export["inputs"])
        if tensor["name"] not in state
    )


def _states(name: str, export: dict[str, Any]) -> tuple[State, ...]:
    inputs = {tensor["name"]: position for position, tensor in enumerate(export["inputs"])}
    outputs = {tensor["name"]: position for position, tensor in enumerate(export["outputs"])}
    found = []
    for output, fed in export["state"].items():
        position = inputs[fed]
        tensor = export["inputs"][position]
        start = _array(f"{name}_start{position}", tensor, np.zeros(tensor["shape"], np.float32))
        found.append(State(outputs[output], position, start))
    return tuple(found)


def _outputs(name: str, export: dict[str, Any], expected: Arrays, examples: int) -> tuple[Output, ...]:
    """Return the answers; each has the tolerance of the agent's parity, a share of the output's range."""
    found = []
    for position, tensor in enumerate(export["outputs"]):
        if tensor["name"] in expected:
            value = expected[tensor["name"]]
            span = float(value.max() - value.min()) or 1.0
            step = tensor["scale"] if tensor["dtype"] != "float32" and tensor["scale"] else 1.0
            tolerance = TOLERANCE[export["precision"]] * span / step
            array = _array(f"{name}_expected{position}", tensor, value[:examples])
            found.append(Output(tensor["name"], position, array, tolerance))
    return tuple(found)


def _array(name: str, tensor: dict[str, Any], value: np.ndarray) -> Array:
    """Return ``value`` in the tensor's own type, a row for each time that it is filled."""
    if tensor["dtype"] not in _TYPES:
        raise RequestError(
            f"No firmware can be made: tensor {literals.plain(tensor['name'])} is of type {tensor['dtype']}; "
            f"expected one of {', '.join(_TYPES)}."
        )
    return Array(name, to_tensor(value, tensor).reshape(-1, math.prod(tensor["shape"])))


def _tensors(title: str, export: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Return a row of the README for each tensor: role, name, shape, type, scale, zero point."""
    back = {
        f"output {output}": f" (state, fed back to {literals.plain(target)})"
        for output, target in export["state"].items()
    }
    return tuple(
        (
            literals.plain(title),
            f"{kind} {literals.plain(tensor['name'])}{back.get(kind + ' ' + tensor['name'], '')}",
            " x ".join(map(str, tensor["shape"])),
            tensor["dtype"],
            f"{tensor['scale']:.9g}" if tensor["scale"] else "",
            str(tensor["zero_point"]) if tensor["scale"] else "",
        )
        for kind, tensors in (("input", export["inputs"]), ("output", export["outputs"]))
        for tensor in tensors
    )
