"""Graphs of five kinds, made by rule: which kind is it? For the classification of whole graphs.

24 nodes each, joined as a ring, a grid, a tree, cliques in a ring, or about hubs; then 4 edges are added at
random and the nodes are shuffled. A node's only feature is how many neighbours it has (0 to 7 and more, one
hot), so that a class can be told by structure alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from edgearch.data import Dataset, _graphs, _splits

SUMMARY = "1,000 small graphs of five kinds, made by rule: no network"
TASKS = ("classify",)
LABELS = ("ring", "grid", "tree", "cliques", "hubs")
NODES, EACH, ADDED, DEGREES = 24, 200, 4, 8
_SEED = 0


def fingerprint(folder: Path | None) -> str:
    """Return a digest of this file, which is all that the graphs come from."""
    del folder
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def load(folder: Path | None) -> Dataset:
    """Return 600 graphs to train, 100 to validate, 100 to calibrate and 200 to test."""
    del folder
    random = np.random.default_rng(_SEED)
    kinds = (_ring, _grid, _tree, _cliques, _hubs)
    labels = np.repeat(np.arange(len(kinds)), EACH)
    graphs = [_graph(kinds[label](random), random) for label in labels]
    examples = _graphs.whole(graphs, labels)
    train, test, validation, calibration = _splits.cut(examples, (200, 100, 100))
    return Dataset(train, validation, calibration, test, LABELS)


def _graph(pairs: np.ndarray, random: np.random.Generator) -> _graphs.Graph:
    """Add edges at random, shuffle the nodes, and give each its degree."""
    pairs = np.concatenate([pairs, random.integers(0, NODES, (ADDED, 2))])
    edges = _graphs.undirected(random.permutation(NODES)[pairs])
    degrees = np.minimum(np.bincount(edges[:, 0], minlength=NODES), DEGREES - 1)
    return _graphs.Graph(np.eye(DEGREES, dtype=np.float32)[degrees], edges, np.zeros(NODES))


def _ring(_random: np.random.Generator) -> np.ndarray:
    nodes = np.arange(NODES)
    return np.stack([nodes, (nodes + 1) % NODES], axis=1)


def _grid(_random: np.random.Generator) -> np.ndarray:
    places = np.arange(NODES).reshape(4, 6)
    across = np.stack([places[:, :-1].ravel(), places[:, 1:].ravel()], axis=1)
    along = np.stack([places[:-1].ravel(), places[1:].ravel()], axis=1)
    return np.concatenate([across, along])


def _tree(random: np.random.Generator) -> np.ndarray:
    """Join each node to one of the three before it."""
    nodes = np.arange(1, NODES)
    return np.stack([nodes, np.maximum(nodes - random.integers(1, 4, len(nodes)), 0)], axis=1)


def _cliques(_random: np.random.Generator) -> np.ndarray:
    """Join six groups of four, all with all, and one node of each to the next group."""
    inside = [(first, other) for first in range(NODES) for other in range(first) if first // 4 == other // 4]
    return np.array([*inside, *((node, (node + 4) % NODES) for node in range(0, NODES, 4))])


def _hubs(random: np.random.Generator) -> np.ndarray:
    """Join each node to one of three hubs, and the hubs to each other."""
    nodes = np.arange(3, NODES)
    return np.concatenate([[[0, 1], [1, 2], [2, 0]], np.stack([nodes, random.integers(0, 3, len(nodes))], 1)])
