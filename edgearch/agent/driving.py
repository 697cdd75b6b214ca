"""How an example runs through a model: in one inference, or step by step with a state fed back.

A step's outputs of the manifest's ``state`` are inputs of the next step: raw tensors, copied as they are.
The first step begins with a state of zeros. The answer is the last step's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgearch.runtimes import Driven


class Drive:
    """One export in one session with examples to run, as the manifest says how."""

    def __init__(self, session: Driven, export: dict[str, Any], inputs: dict[str, np.ndarray]) -> None:
        by_name = {tensor["name"]: position for position, tensor in enumerate(export["inputs"])}
        outputs = {tensor["name"]: position for position, tensor in enumerate(export["outputs"])}
        state = export["state"]
        self.in_steps = export["driven"] == "steps"
        self._session = session
        self._fed = [
            (position, ready(inputs[name], export["inputs"][position], self.in_steps))
            for name, position in by_name.items()
            if name not in state.values()
        ]
        self._start = [(by_name[name], zeros(export["inputs"][by_name[name]])) for name in state.values()]
        self._back = [(outputs[name], by_name[fed]) for name, fed in state.items()]
        self._answers = [(outputs[tensor["name"]], tensor) for tensor in _answers(export)]
        self.examples, self.steps = self._fed[0][1].shape[:2]

    def begin(self, example: int) -> None:
        """Forget the example before, and set the inputs of this one's first step."""
        self._session.reset()  # an LSTM must not remember the example before
        for position, zeros in self._start:
            self._session.set_input(position, zeros)
        self._set(example, 0)

    def go_on(self, example: int, step: int) -> None:
        """Feed the state back, and set the inputs of a later step."""
        # All are read before any is written: a runtime may keep an input where another output was.
        state = [(position, self._session.output(output)) for output, position in self._back]
        for position, value in state:
            self._session.set_input(position, value)
        self._set(example, step)

    def _set(self, example: int, step: int) -> None:
        for position, values in self._fed:
            self._session.set_input(position, values[example, step])

    def outputs(self) -> dict[str, np.ndarray]:
        """Run every example and return its answers as real numbers, (examples, *shape).

        Driven in steps, what each of them answered is there too: ``<output>/steps``,
        (examples, steps, *shape).
        """
        found: dict[str, list[np.ndarray]] = {tensor["name"]: [] for _, tensor in self._answers}
        for example in range(self.examples):
            for step in range(self.steps):
                if step:
                    self.go_on(example, step)
                else:
                    self.begin(example)
                self._session.invoke()
                for position, tensor in self._answers:
                    value = from_tensor(self._session.output(position), tensor)
                    found[tensor["name"]].append(value if value.shape[:1] == (1,) else value[None])
        every = {name: np.concatenate(values) for name, values in found.items()}
        if not self.in_steps:
            return every
        steps = {name: _by_example(value, self.examples) for name, value in every.items()}
        last = {name: value[:, -1] for name, value in steps.items()}
        return {**last, **{f"{name}/steps": value for name, value in steps.items()}}


def _answers(export: dict[str, Any]) -> list[dict[str, Any]]:
    return [tensor for tensor in export["outputs"] if tensor["name"] not in export["state"]]


def _by_example(values: np.ndarray, examples: int) -> np.ndarray:
    return values.reshape((examples, -1, *values.shape[1:]))


def ready(values: np.ndarray, tensor: dict[str, Any], in_steps: bool) -> np.ndarray:
    """Return the examples of one input in its dtype, (examples, steps, *the tensor's whole shape)."""
    steps = values.shape[1] if in_steps else 1
    return to_tensor(values, tensor).reshape((len(values), steps, *tensor["shape"]))


def zeros(tensor: dict[str, Any]) -> np.ndarray:
    """Return a state as it is before the first step: zero, in the tensor's dtype and shape."""
    return to_tensor(np.zeros(tensor["shape"], np.float32), tensor)


def to_tensor(value: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return ``value`` in a tensor's dtype, quantized with its scale and zero point where it has one."""
    dtype = np.dtype(tensor["dtype"])
    if tensor["scale"] and np.issubdtype(dtype, np.integer) and np.issubdtype(value.dtype, np.floating):
        limits = np.iinfo(dtype)
        value = np.clip(np.round(value / tensor["scale"]) + tensor["zero_point"], limits.min, limits.max)
    return np.ascontiguousarray(value, dtype=dtype)


def from_tensor(value: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return a tensor's values as real numbers (float32); integers without a scale stay as they are."""
    if tensor["scale"] and np.issubdtype(value.dtype, np.integer):
        real = (value.astype(np.float32) - tensor["zero_point"]) * tensor["scale"]
        return np.asarray(real, dtype=np.float32)
    return value


def with_chained(
    own: Mapping[str, np.ndarray], chained: Mapping[str, Sequence[str]], earlier: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return a role's inputs, those that are ``chained`` taken from what earlier roles answered.

    Args:
        own: The role's own inputs, (examples, *shape) each; rows of a chained input come after the others.
        chained: Input → (role, output).
        earlier: Outputs named ``<role>/<output>``, (examples, *shape) each.
    """
    inputs = dict(own)
    for name, (role, output) in chained.items():
        answered = earlier[f"{role}/{output}"]
        inputs[name] = np.concatenate([answered, own[name]]) if name in own else answered
    return inputs


def of_role(arrays: Mapping[str, np.ndarray], role: str) -> dict[str, np.ndarray]:
    """Return the arrays of one role, named ``<role>/<tensor>`` among all, under their own names."""
    prefix = f"{role}/"
    return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}
