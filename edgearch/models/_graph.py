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


def neighbourhoods(examples: Examples, fan_out: int) -> Mapping[str, np.ndarray]:
    """Return every node of the mask with a sample of its neighbours, and of theirs.

    Each node keeps itself and at most ``fan_out - 1`` neighbours, so the cost of one node is the same in a
    graph of any size. ``features`` are (nodes of the mask, fan_out, fan_out, features): a row a neighbour,
    the node itself first, and in it that neighbour's own neighbours. ``weights``, (nodes of the mask,
    fan_out, fan_out), are their shares of the mean, 0 where there are fewer.

    Source: W. Hamilton et al., arXiv:1706.02216, algorithm 2.
    """
    if examples.mask is None:
        raise ValueError("examples of a graph have a mask")
    random = np.random.default_rng(0)
    features, weights = [], []
    for nodes, edges, mask in zip(*examples.inputs.values(), examples.mask, strict=True):
        index, share = _samples(edges, len(nodes), fan_out, random)
        near = index[np.flatnonzero(mask)]
        features.append(nodes[index[near]])
        weights.append(share[near])
    return {"features": np.concatenate(features), "weights": np.concatenate(weights)}


def _samples(
    edges: np.ndarray, nodes: int, fan_out: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return each node's sample, (nodes, fan_out), itself first, and the share of each in the mean."""
    index = np.tile(np.arange(nodes)[:, None], (1, fan_out))
    share = np.zeros((nodes, fan_out), dtype=np.float32)
    order = np.argsort(edges[:, 0], kind="stable")
    starts = np.searchsorted(edges[order, 0], np.arange(nodes + 1))
    for node in range(nodes):
        others = edges[order[starts[node] : starts[node + 1]], 1]
        if len(others) >= fan_out:
            others = np.sort(random.choice(others, fan_out - 1, replace=False))
        index[node, 1 : len(others) + 1] = others
        share[node, : len(others) + 1] = 1 / (len(others) + 1)
    return index, share
