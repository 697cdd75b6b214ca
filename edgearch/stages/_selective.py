"""Quantize a float32 model to int8 but for chosen operators, and measure what int8 does to each of them.

The quantizer is ai-edge-quantizer: it works on a ``.tflite`` file and takes a recipe by operator.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.agent.driving import Drive
from edgearch.runtimes import litert
from edgearch.stages import _bundle
from edgearch.tflite import model as tflite
from edgearch.work import Arrays

SAMPLES = 64  # on which harm is measured; ranges are those of the whole calibration split
_SIGNATURE = "serving_default"

Recipe = list[dict[str, Any]]


@dataclass(frozen=True)
class Harm:
    """What int8 does to one operator.

    ``step`` is what two neighbouring int8 values of its result differ by, and ``share`` the operator's part
    of the error at the model's outputs, of all that operators cause when each alone is quantized.
    """

    role: str
    op: str
    tensor: str
    step: float
    share: float


class Selective:
    """A float32 model of one role with the ranges that its tensors take, ready to be quantized in part."""

    def __init__(self, role: str, path: Path, calibration: Arrays) -> None:
        """Calibrate on ``calibration``: inputs by name, (samples, *shape with the batch)."""
        from ai_edge_quantizer import quantizer, recipe
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())  # its own is a semaphore that would outlive this process
        self.role, self._path, self._calibration = role, path, calibration
        self._graph = tflite.read(path).main
        ranged = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        samples = [
            {name: value[index] for name, value in calibration.items()}
            for index in range(len(next(iter(calibration.values()))))
        ]
        self._ranges = ranged.calibrate({_SIGNATURE: samples}, num_threads=1)

    def int8_but(self, kept: Iterable[Harm]) -> bytes:
        """Return the model in int8, the ``kept`` operators in float32."""
        from ai_edge_quantizer import recipe

        left = [_only({"algorithm_key": recipe.AlgorithmName.NO_QUANTIZE}, one.tensor) for one in kept]
        return self._quantized([*recipe.static_wi8_ai8(), *left])

    @property
    def operators(self) -> int:
        """How many operators the model has."""
        return len(self._graph.operators)

    def harms(self) -> list[Harm]:
        """Return the operators that int8 harms at all, the most harmful first.

        Each is quantized alone: operators that do harm together only, one that writes a tensor and one that
        reads it, are then both found, which they are not when each alone is left out.
        """
        from ai_edge_quantizer import recipe

        (everywhere,) = recipe.static_wi8_ai8()
        expected = self._outputs(self._path.read_bytes())
        errors: dict[int, float] = {}
        for index, operator in enumerate(self._graph.operators):
            alone = self._quantized([_only(everywhere, self._scope(operator))])
            errors[index] = _error(self._outputs(alone), expected)
        total = sum(errors.values()) or 1.0
        return [
            self._harm(self._graph.operators[index], error / total)
            for index, error in sorted(errors.items(), key=lambda one: -one[1])
            if error > 0
        ]

    def _harm(self, operator: tflite.Operator, share: float) -> Harm:
        scope = self._scope(operator)
        found = self._ranges.get(self._graph.tensors[operator.outputs[0]].name, {})
        span = float(np.max(found["max"]) - np.min(found["min"])) if found else 0.0
        return Harm(self.role, operator.name, scope, span / 255, share)

    def _scope(self, operator: tflite.Operator) -> str:
        return ";".join(self._graph.tensors[index].name for index in operator.outputs)

    def _quantized(self, recipe: Recipe) -> bytes:
        from ai_edge_quantizer import quantizer

        found = quantizer.Quantizer(str(self._path), recipe).quantize(
            self._ranges, enable_progress_bar=False, enable_progress_report=False
        )
        return bytes(found.quantized_model)

    def _outputs(self, content: bytes) -> dict[str, np.ndarray]:
        inputs = {name: value[:SAMPLES, 0] for name, value in self._calibration.items()}
        with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
            file.write(content)
            file.flush()
            described = _bundle.describe(Path(file.name), "int8")
            return Drive(litert.open_model(file.name, threads=1), described, inputs).outputs()


def _only(entry: Mapping[str, Any], scope: str) -> dict[str, Any]:
    """Return a recipe's ``entry`` for the one operator whose outputs are named ``scope``."""
    return {**entry, "regex": f"^{re.escape(scope)};?$", "operation": entry.get("operation", "*")}


def _error(found: Arrays, expected: Arrays) -> float:
    """Return the mean squared difference as a share of the expected outputs' variance, over all outputs."""
    return sum(
        float(np.mean((found[name].astype(np.float64) - value) ** 2) / (np.var(value) + 1e-12))
        for name, value in expected.items()
    )


def ranked(roles: Sequence[Selective]) -> list[Harm]:
    """Return the harms of all ``roles``, the most harmful first."""
    return sorted((harm for one in roles for harm in one.harms()), key=lambda harm: -harm.share)
