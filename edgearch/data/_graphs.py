"""Graphs as examples: checked, then stacked, each split with a mask of its own.

An example is a whole graph: ``nodes``, (nodes, features) float32, and ``edges``, (edges, 2) int32, every edge
in both directions and none from a node to itself. Shorter graphs are filled up: nodes of zeros that no mask
holds, edges of −1. What a model makes of the edges (a normalized matrix, an additive mask, a sample) is the
model's affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgearch.data import Dataset, Examples
from edgearch.errors import RequestError

NO_LABEL = NO_EDGE = -1
SPLITS = ("train", "validation", "calibration", "test")


@dataclass(frozen=True)
class Graph:
    """Features, (nodes, features), edges, (edges, 2), and a label a node, (nodes,)."""

    nodes: np.ndarray
    edges: np.ndarray
    labels: np.ndarray


def undirected(pairs: np.ndarray) -> np.ndarray:
    """Return edges in both directions, sorted, each once, without loops; (edges, 2) int32."""
    pairs = np.asarray(pairs, dtype=np.int32).reshape(-1, 2)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return np.unique(both[both[:, 0] != both[:, 1]], axis=0)


def piece(graph: Graph, part: np.ndarray) -> Graph:
    """Return the nodes ``part`` (indices) of a graph with the edges among them."""
    place = np.full(len(graph.nodes), NO_EDGE)
    place[part] = np.arange(len(part))
    edges = place[graph.edges]
    return Graph(graph.nodes[part], edges[(edges >= 0).all(axis=1)], graph.labels[part])


def stacked(graphs: Sequence[Graph]) -> Examples:
    """Return graphs as examples of one shape, labels (graphs, nodes)."""
    nodes = max(len(graph.nodes) for graph in graphs)
    edges = max(1, *(len(graph.edges) for graph in graphs))
    inputs = {
        "nodes": np.stack([_filled(graph.nodes.astype(np.float32), nodes, 0) for graph in graphs]),
        "edges": np.stack([_filled(graph.edges.astype(np.int32), edges, NO_EDGE) for graph in graphs]),
    }
    labels = [_filled(graph.labels.astype(np.int64), nodes, NO_LABEL) for graph in graphs]
    return Examples(inputs, np.stack(labels))


def whole(graphs: Sequence[Graph], labels: np.ndarray) -> Examples:
    """Return graphs as examples with one label each, (graphs,)."""
    return Examples(stacked(graphs).inputs, np.asarray(labels, dtype=np.int64))


def _filled(values: np.ndarray, length: int, value: int) -> np.ndarray:
    missing = [(0, length - len(values)), *[(0, 0)] * (values.ndim - 1)]
    return np.pad(values, missing, constant_values=value)


def nodes_dataset(
    name: str,
    graphs: Sequence[Graph],
    masks: Mapping[str, Sequence[np.ndarray]],
    label_names: Sequence[str],
    notes: Sequence[str] = (),
) -> Dataset:
    """Return a dataset whose splits are disjoint node masks over the same graphs.

    Args:
        name: What errors call it.
        graphs: One or more.
        masks: Split → a mask a graph, (nodes,) bool each.
        label_names: A name a class.
        notes: What the user should know.

    Raises:
        RequestError: features that are not finite, edges to nodes that there are not, a label that is no
            class or that no training node has, masks that overlap.
    """
    for graph in graphs:
        _refuse_broken(name, graph)
    examples = stacked(graphs)
    width = examples.labels.shape[1]
    whole = {split: np.stack([_filled(mask, width, 0) for mask in masks[split]]) for split in SPLITS}
    _refuse_labels(name, examples.labels, whole, label_names)
    splits = {
        split: Examples(examples.inputs, _known(examples.labels, split), mask)
        for split, mask in whole.items()
    }
    return Dataset(**splits, label_names=tuple(label_names), notes=(*notes, *_isolated(graphs)))


def _known(labels: np.ndarray, split: str) -> np.ndarray:
    """Return the labels; calibration sees inputs only, so it gets none."""
    return np.full_like(labels, NO_LABEL) if split == "calibration" else labels


def _refuse_broken(name: str, graph: Graph) -> None:
    wrong = ~np.isfinite(graph.nodes).all(axis=1)
    if wrong.any():
        raise RequestError(
            f"Dataset {name!r}: the features of {int(wrong.sum())} nodes are NaN or infinite, the first is "
            f"node {int(np.argmax(wrong))}. Replace or remove them: one such value reaches every neighbour."
        )
    if len(graph.edges) and not (graph.edges.min() >= 0 and graph.edges.max() < len(graph.nodes)):
        raise RequestError(
            f"Dataset {name!r}: an edge names node {int(graph.edges.max())}; the graph has nodes 0 to "
            f"{len(graph.nodes) - 1}. Is a file from another version of the dataset?"
        )


def _refuse_labels(
    name: str, labels: np.ndarray, masks: Mapping[str, np.ndarray], label_names: Sequence[str]
) -> None:
    if np.sum(list(masks.values()), axis=0).max() > 1:
        raise RequestError(f"Dataset {name!r}: a node is in two splits; splits must not overlap.")
    trained = set(labels[masks["train"]].tolist())
    for split in ("train", "validation", "test"):
        found = set(labels[masks[split]].tolist())
        if not found:
            raise RequestError(f"Dataset {name!r}: no node of split {split!r} has a label.")
        if not all(0 <= label < len(label_names) for label in found):
            raise RequestError(
                f"Dataset {name!r}: labels {min(found)} to {max(found)} in split {split!r}; "
                f"expected 0 to {len(label_names) - 1}."
            )
        unseen = [str(label_names[label]) for label in sorted(found - trained)]
        if unseen:
            raise RequestError(
                f"Dataset {name!r}: no training node is labelled {', '.join(unseen)}, but nodes of split "
                f"{split!r} are: they cannot be learned. Label some, or leave the class out."
            )


def _isolated(graphs: Sequence[Graph]) -> list[str]:
    """Note nodes without neighbours."""
    count = sum(len(graph.nodes) - len(np.unique(graph.edges)) for graph in graphs)
    if not count:
        return []
    return [
        f"{count} node{' has' if count == 1 else 's have'} no neighbour: a self-loop lets each keep its own "
        "features, and it is labelled by them alone."
    ]
