"""What a rewrite changes: the model with it beside the model without it, with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from edgearch import models
from edgearch.models import Builder, Export
from edgearch.work import Arrays, Spec

# What an export, called with its role, makes of the test inputs: outputs by name, stacked.
Compute = Callable[[str, Export], Arrays]


def differences(
    builder: Builder, spec: Spec, trained: Any, expected: Mapping[str, Arrays], compute: Compute
) -> list[dict[str, Any]]:
    """Return each rewrite of ``spec`` with the largest difference that it makes to an output.

    Args:
        builder: What built the model.
        spec: With the rewrites it was built with.
        trained: The Keras model with its weights.
        expected: Role → outputs of the model with all rewrites.
        compute: Returns what an export, called with its role, makes of the same inputs.
    """
    return [_one(name, builder, spec, trained, expected, compute) for name in spec.rewrites]


def _one(
    name: str, builder: Builder, spec: Spec, trained: Any, expected: Mapping[str, Arrays], compute: Compute
) -> dict[str, Any]:
    others = tuple(other for other in spec.rewrites if other != name)
    original = builder(replace(spec, rewrites=others))
    copy_weights(trained, original.train)
    worst, share = 0.0, 0.0
    for role, export in original.exports.items():
        for output, value in compute(role, export).items():
            reference = expected[role][output][: len(value)].astype(np.float64)
            error = float(np.max(np.abs(value - reference)))
            worst = max(worst, error)
            share = max(share, error / (float(reference.max() - reference.min()) or 1.0))
    return {**asdict(models.rewrites()[name]), "max_abs_error": worst, "share_of_range": share}


def copy_weights(source: Any, target: Any) -> None:
    """Give ``target`` the weights of ``source``: the same names and sizes, in shapes of its own.

    A layer that became several keeps its weights' names but for the slash: ``a/query/kernel`` is
    ``a_query/kernel``.
    """
    known = {_plain(weight.name): weight for weight in source.weights}
    for weight in target.weights:
        weight.assign(np.reshape(known[_plain(weight.name)].numpy(), weight.shape))


def _plain(name: str) -> str:
    return name.removesuffix(":0").replace("/", "_")
