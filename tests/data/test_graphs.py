"""Graphs as datasets: masks that do not overlap, what is refused, and files that may not run code."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from edgearch import data
from edgearch.data import Dataset, _graphs, _planetoid
from edgearch.errors import RequestError

RANDOM = np.random.default_rng(0)


def graph(nodes: int = 8, edges: list[tuple[int, int]] | None = None, labels: Any = None) -> _graphs.Graph:
    pairs = edges if edges is not None else [(node, (node + 1) % nodes) for node in range(nodes)]
    classes = np.arange(nodes) // 4 if labels is None else np.array(labels)
    return _graphs.Graph(RANDOM.random((nodes, 3)), _graphs.undirected(np.array(pairs)), classes)


def dataset(one: _graphs.Graph, **masks: list[bool]) -> Dataset:
    """Put every fourth node into each split unless told otherwise."""
    places = np.arange(len(one.nodes)) % 4
    whole = {split: [places == place] for place, split in enumerate(_graphs.SPLITS)}
    given = {split: [np.array(mask)] for split, mask in masks.items()}
    return _graphs.nodes_dataset("mine", [one], {**whole, **given}, ["a", "b"])


def masks_of(found: Dataset) -> list[np.ndarray]:
    masks = [split.mask for split in (found.train, found.validation, found.calibration, found.test)]
    return [mask for mask in masks if mask is not None]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return data.source("digits_knn").load(None)


def test_digits_are_graphs_that_fit_a_microcontroller_with_ten_labels_a_class(digits: Dataset) -> None:
    found = digits
    masks = masks_of(found)
    assert [int(mask.sum()) for mask in masks] == [100, 150, 150, 1397]
    assert np.sum(masks, axis=0).max() == 1  # no node in two splits
    assert found.spec.inputs["nodes"] == (225, 64)
    assert np.bincount(found.train.labels[masks[0]]).tolist() == [10] * 10
    assert (found.calibration.labels == -1).all()  # inputs without labels
    assert found.notes == ()  # every node kept a neighbour when the graph was cut


def test_digits_neighbours_are_mostly_of_the_same_class(digits: Dataset) -> None:
    train = digits.train
    same = [
        labels[edges[:, 0]] == labels[edges[:, 1]]
        for edges, labels in zip(train.inputs["edges"], train.labels, strict=True)
    ]
    # by chance it would be a tenth; filling has label −1 at both ends of edge (−1, −1) and counts as same
    assert 0.9 < np.mean(np.concatenate(same)) < 1


def test_shorter_graphs_are_filled_with_nodes_that_no_mask_holds() -> None:
    both = [graph(8), graph(4, labels=[0, 0, 1, 1])]
    masks = {split: [np.arange(8) % 4 == i, np.arange(4) == i] for i, split in enumerate(_graphs.SPLITS)}
    found = _graphs.nodes_dataset("mine", both, masks, ["a", "b"])
    assert found.train.inputs["nodes"].shape == (2, 8, 3)
    assert not found.train.inputs["nodes"][1, 4:].any()
    assert all(not mask[1, 4:].any() for mask in masks_of(found))
    assert (found.test.labels[1, 4:] == -1).all()


def test_edges_go_both_ways_once_and_never_back_to_their_node() -> None:
    assert _graphs.undirected(np.array([[0, 1], [1, 0], [2, 2], [0, 1]])).tolist() == [[0, 1], [1, 0]]


def test_isolated_nodes_are_noted() -> None:
    found = dataset(graph(8, edges=[(0, 1), (1, 2)]))
    assert "5 nodes have no neighbour" in found.notes[0]
    assert "self-loop" in found.notes[0]


def test_nan_features_are_refused_with_the_node() -> None:
    broken = graph()
    broken.nodes[5, 1] = np.nan
    with pytest.raises(RequestError, match=r"1 nodes are NaN or infinite, the first is node 5"):
        dataset(broken)


def test_class_that_no_training_node_has_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="no training node is labelled b"):
        dataset(graph(), train=[True] + [False] * 7)


def test_label_beyond_the_names_is_refused() -> None:
    with pytest.raises(RequestError, match="expected 0 to 1"):
        dataset(graph(labels=[0, 0, 0, 0, 7, 7, 7, 7]))


def test_edge_to_a_node_that_there_is_not_is_refused() -> None:
    with pytest.raises(RequestError, match="names node 9; the graph has nodes 0 to 7"):
        dataset(graph(edges=[(0, 9)]))


def test_masks_that_overlap_are_refused() -> None:
    with pytest.raises(RequestError, match="two splits"):
        dataset(graph(), test=[True] * 8)


def test_motifs_are_split_in_four_and_have_no_feature_but_degrees() -> None:
    found = data.source("motifs").load(None)
    assert [len(s) for s in (found.train, found.validation, found.calibration, found.test)] == [
        600, 100, 100, 200,
    ]  # fmt: skip
    edges, nodes = found.test.inputs["edges"][0], found.test.inputs["nodes"][0]
    degrees = np.bincount(edges[edges[:, 0] >= 0, 0], minlength=len(nodes))
    np.testing.assert_array_equal(nodes.argmax(axis=1), np.minimum(degrees, 7))


def test_cora_is_the_public_split(shared: Path) -> None:
    found = data.source("cora").load(shared / "data" / "cora")
    masks = masks_of(found)
    assert [int(mask.sum()) for mask in masks] == [140, 500, 500, 1000]
    assert np.sum(masks, axis=0).max() == 1
    assert found.spec.inputs == {"nodes": (2708, 1433), "edges": (10556, 2)}
    assert np.bincount(found.train.labels[masks[0]]).tolist() == [20] * 7
    # the sizes of the classes in the paper of the dataset: theory 351, …, rule learning 180
    assert np.bincount(found.test.labels[0]).tolist() == [351, 217, 418, 818, 426, 298, 180]


# Planetoid files of our own: 6 nodes, then test nodes 7, 8 and 10; 6 and 9 are in no file, as in CiteSeer.
PARTS = {
    "x": csr_matrix(np.eye(4, dtype=np.float32)[:2]),
    "y": np.eye(2)[[0, 1]],
    "allx": csr_matrix(np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]),
    "ally": np.eye(2)[[0, 1, 0, 1, 0, 1]],
    "tx": csr_matrix(np.eye(4, dtype=np.float32)[[3, 2, 1]]),
    "ty": np.eye(2)[[1, 0, 1]],
    "graph": collections.defaultdict(list, {0: [1], 1: [0, 2], 2: [3, 3], 8: [0, 8]}),
}


def write(folder: Path, **parts: Any) -> Path:
    for part, value in {**PARTS, **parts}.items():
        content = value if isinstance(value, bytes) else pickle.dumps(value, protocol=4)
        (folder / f"ind.citeseer.{part}").write_bytes(content)
    (folder / "ind.citeseer.test.index").write_text("10\n7\n8\n")
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_planetoid, "VALIDATION_NODES", 2)
    monkeypatch.setattr(_planetoid, "CALIBRATION_NODES", 1)


def test_test_nodes_come_in_the_order_of_their_index_and_gaps_stay_empty(small: None, tmp_path: Path) -> None:
    found = _planetoid.load("citeseer", write(tmp_path), ("a", "b"))
    nodes, labels = found.test.inputs["nodes"][0], found.test.labels[0]
    assert nodes[[10, 7, 8]].argmax(axis=1).tolist() == [3, 2, 1]
    assert labels.tolist() == [0, 1, 0, 1, 0, 1, -1, 0, 1, -1, 1]
    assert not nodes[[6, 9]].any()
    assert [np.flatnonzero(mask).tolist() for mask in masks_of(found)] == [[0, 1], [2, 3], [4], [7, 8, 10]]
    assert any("2 nodes of the graph have neither features nor label" in note for note in found.notes)


class _Opens:
    """Pickles as a call: what a hostile file would do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(5))
def test_pickle_that_calls_a_function_is_refused_and_does_not_call_it(tmp_path: Path, protocol: int) -> None:
    trap = tmp_path / "trap"
    hostile = tmp_path / "ind.cora.x"
    hostile.write_bytes(pickle.dumps({"x": _Opens(trap)}, protocol=protocol))
    with pytest.raises(RequestError, match=r"asks for .*mkdir.*may run code"):
        _planetoid.read(hostile)
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps(PARTS["allx"], protocol=4)[:-40],
        pickle.dumps({"a": 1}, protocol=4),
        pickle.dumps(np.array([{"a": 1}], dtype=object), protocol=4),
        pickle.dumps(collections.defaultdict(list, {0: ["one"]}), protocol=4),
    ],
    ids=["empty", "text", "cut", "dict", "objects", "words"],
)
def test_damaged_planetoid_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ind.cora.allx"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"ind\.cora\.allx: cannot be read as a Planetoid file"):
        _planetoid.read(path)


def test_matrix_whose_indices_leave_it_is_refused(tmp_path: Path) -> None:
    rows = csr_matrix(np.eye(3))
    rows.indices[1] = 1_000_000
    (tmp_path / "x").write_bytes(pickle.dumps(rows, protocol=4))
    with pytest.raises(RequestError, match="indices"):
        _planetoid.read(tmp_path / "x")


def test_files_of_different_networks_do_not_fit_together(small: None, tmp_path: Path) -> None:
    write(tmp_path, tx=csr_matrix(np.eye(9, dtype=np.float32)[:3]))
    with pytest.raises(RequestError, match="do not fit together"):
        _planetoid.load("citeseer", tmp_path, ("a", "b"))


def test_index_that_is_no_list_of_nodes_is_refused(small: None, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "ind.citeseer.test.index").write_text("7\nseven\n")
    with pytest.raises(RequestError, match=r"test\.index: expected a node number a line"):
        _planetoid.load("citeseer", tmp_path, ("a", "b"))


@pytest.mark.parametrize("name", ["cora", "citeseer", "pubmed"])
def test_missing_planetoid_files_are_named_with_where_to_put_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError) as raised:
        data.source(name).load(tmp_path)
    for word in (f"ind.{name}.x,", f"ind.{name}.test.index", "kimiyoung/planetoid", "--data-folder"):
        assert word in str(raised.value)
    with pytest.raises(RequestError, match="Planetoid files"):
        data.source(name).fingerprint(None)
