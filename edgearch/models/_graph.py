"""What graph models make of edges: a normalized matrix, an additive mask, sampled neighbourhoods."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgearch.data import Examples

NOT_A_NEIGHBOUR = -10.0  # exp(-10) is 5e-5; a larger one would cost int8 the steps that scores need


def links(examples: Examples) -> np.ndarray:
    """Return who is joined to whom, each node to itself too: (graphs, nodes, nodes) float32, 0 or 1."""
    graphs, nodes = examples.inputs["nodes"].shape[:2]
    found = np.tile(np.eye(nodes, dtype=np.float32), (graphs, 1, 1))
    for matrix, edges in zip(found, examples.inputs["edges"], strict=True):
        real = edges[edges[:, 0] >= 0]
        matrix[real[:, 0], real[:, 1]] = 1
    return found


def normalized(examples: Examples) -> Mapping[str, np.ndarray]:
    """Return ``nodes`` and ``adjacency``: D^-1/2 (A + I) D^-1/2 (arXiv:1609.02907, equation 2)."""
    joined = links(examples)
    scale = 1 / np.sqrt(joined.sum(axis=-1))  # at least 1 a row: every node has its self-loop
    return {"nodes": examples.inputs["nodes"], "adjacency": joined * scale[:, :, None] * scale[:, None, :]}


def masked(examples: Examples) -> Mapping[str, np.ndarray]:
    """Return ``nodes`` and ``mask``: 0 for a neighbour or the node itself, −10 for all others."""
    return {"nodes": examples.inputs["nodes"], "mask": (1 - links(examples)) * np.float32(NOT_A_NEIGHBOUR)}
