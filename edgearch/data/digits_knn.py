"""Scikit-learn's 1,797 digits as graphs of similar images: 8 graphs of at most 225, ten labels a class.

A node is an image (64 grey values, 0 to 1) and its neighbours are the 5 images nearest to it, by Euclidean
distance, either way round. The graph of all 1,797 nodes would fill 3.2 MB as an int8 matrix; a
microcontroller holds 256 nodes. So the graph is cut in half three times, where few edges cross, and the edges
between the parts are lost, as Cluster-GCN does with graphs too big to be held.
100 nodes have labels to train on; the masks of the four splits do not overlap.

Source: W.-L. Chiang et al., "Cluster-GCN", arXiv:1905.07953; B. Kernighan, S. Lin, "An Efficient Heuristic
Procedure for Partitioning Graphs", 1970; digits as in ``digits.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgearch.data import Dataset, _graphs, digits

SUMMARY = "1,797 digits as 8 graphs of nearest neighbours, 10 labels a class: no network"
TASKS = ("label_nodes",)
NEIGHBOURS, HALVINGS, LABELS_A_CLASS = 5, 3, 10
HELD_OUT = {"train": LABELS_A_CLASS, "validation": 15, "calibration": 15}  # nodes a class; the rest is test
_SEED = 0

fingerprint = digits.fingerprint


def load(folder: Path | None) -> Dataset:
    """Return 100 nodes to train, 150 to validate, 150 to calibrate and 1,397 to test."""
    del folder
    from sklearn.datasets import load_digits

    found = load_digits()
    whole = _graphs.Graph(found.data / 16, nearest(found.data, NEIGHBOURS), found.target)
    parts = _halves(whole, np.arange(len(found.data)), HALVINGS)
    graphs = [_graphs.piece(whole, part) for part in parts]
    splits = _split_of(found.target)
    masks = {split: [splits[part] == place for part in parts] for place, split in enumerate(_graphs.SPLITS)}
    return _graphs.nodes_dataset("digits_knn", graphs, masks, [str(name) for name in found.target_names])


def nearest(points: np.ndarray, count: int) -> np.ndarray:
    """Return edges from every row of ``points``, (points, values), to its ``count`` nearest others."""
    squares = (points**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    others = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return _graphs.undirected(np.stack([np.repeat(np.arange(len(points)), count), others.ravel()], axis=1))


def _halves(graph: _graphs.Graph, part: np.ndarray, times: int) -> list[np.ndarray]:
    """Cut ``part`` (indices of nodes) in half, ``times`` over."""
    if times == 0:
        return [part]
    side = _halved(_graphs.piece(graph, part))
    return [half for one in (side, ~side) for half in _halves(graph, part[one], times - 1)]


def _halved(graph: _graphs.Graph) -> np.ndarray:
    """Return which half each node is in: by the first principal component, then by swapping nodes.

    A swap takes from each half the node with the most neighbours on the other side, as Kernighan and Lin do.
    """
    centred = graph.nodes - graph.nodes.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    axis *= np.sign(axis[np.argmax(np.abs(axis))])  # of the two directions always the same one
    side = np.argsort(np.argsort(centred @ axis, kind="stable")) < len(centred) // 2
    joined = np.zeros((len(side),) * 2)
    joined[tuple(graph.edges.T)] = 1
    for _ in range(len(side)):
        there = joined @ side
        gain = np.where(side, joined.sum(axis=1) - 2 * there, 2 * there - joined.sum(axis=1))
        first, other = (int(np.argmax(np.where(one, gain, -np.inf))) for one in (side, ~side))
        if gain[first] + gain[other] - 2 * joined[first, other] <= 0:
            break
        side[[first, other]] = side[[other, first]]
    return side


def _split_of(labels: np.ndarray) -> np.ndarray:
    """Return the place in ``SPLITS`` of every image: so many of each class, at random, always the same."""
    random = np.random.default_rng(_SEED)
    split = np.full(len(labels), _graphs.SPLITS.index("test"))
    counts = list(HELD_OUT.values())
    for label in np.unique(labels):
        drawn = random.permutation(np.flatnonzero(labels == label))[: sum(counts)]
        split[drawn] = np.repeat(np.arange(len(counts)), counts)
    return split
