"""Scikit-learn's 1,797 digits as graphs of similar images: 8 graphs of at most 225, ten labels a class.

A node is an image (64 grey values, 0 to 1) and its neighbours are the 5 images nearest to it, by Euclidean
distance, either way round. The graph of all 1,797 nodes would fill 3.2 MB as an int8 matrix; a
microcontroller holds 256 nodes. So the graph is cut in half three times, along the first principal component
of the images, and the edges between the parts are lost, as Cluster-GCN does with graphs too big to be held.
100 nodes have labels to train on; the masks of the four splits do not overlap.

Source: W.-L. Chiang et al., "Cluster-GCN", arXiv:1905.07953; digits as in ``digits.py``.
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
    parts = _halves(found.data, np.arange(len(found.data)), HALVINGS)
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


def _halves(points: np.ndarray, part: np.ndarray, times: int) -> list[np.ndarray]:
    """Cut ``part`` (indices of rows) in half along its first principal component, ``times`` over."""
    if times == 0:
        return [part]
    centred = points[part] - points[part].mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    axis *= np.sign(axis[np.argmax(np.abs(axis))])  # of the two directions always the same one
    order = part[np.argsort(centred @ axis, kind="stable")]
    middle = len(part) // 2
    return [
        half
        for ends in (order[:middle], order[middle:])
        for half in _halves(points, np.sort(ends), times - 1)
    ]


def _split_of(labels: np.ndarray) -> np.ndarray:
    """Return the place in ``SPLITS`` of every image: so many of each class, at random, always the same."""
    random = np.random.default_rng(_SEED)
    split = np.full(len(labels), _graphs.SPLITS.index("test"))
    counts = list(HELD_OUT.values())
    for label in np.unique(labels):
        drawn = random.permutation(np.flatnonzero(labels == label))[: sum(counts)]
        split[drawn] = np.repeat(np.arange(len(counts)), counts)
    return split
