"""Labels of nodes: only the mask counts, in training, in the score and in what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgearch import data, tasks
from edgearch.data import Dataset, Examples
from edgearch.stages import _fitting

LABELS = np.array([[0, 1, 1, 0]])
EXAMPLES = Examples(
    {
        "nodes": np.arange(8, dtype=np.float32).reshape(1, 4, 2),
        "edges": np.array([[[0, 1], [1, 0], [2, 3], [3, 2], [-1, -1]]], dtype=np.int32),
    },
    LABELS,
    np.array([[True, True, False, True]]),
)
# right for nodes 0 and 1, wrong for 3; what it says of node 2 does not count
LOGITS = np.eye(2, dtype=np.float32)[[[0, 1, 0, 1]]]


def no_baseline(features: int) -> dict[str, np.ndarray]:
    return {"classes": np.arange(2), "kernel": np.zeros((2, features)), "bias": np.zeros(2)}


@pytest.mark.parametrize("logits", [LOGITS, LOGITS[EXAMPLES.mask]], ids=["whole graphs", "nodes of the mask"])
def test_score_counts_nodes_of_the_mask_only(logits: np.ndarray) -> None:
    score = tasks.score("label_nodes", lambda role, inputs: {"logits": logits}, EXAMPLES, no_baseline(2))
    assert score.per_example is not None and score.per_example.tolist() == [1, 1, 0]
    assert score.value == pytest.approx(2 / 3)
    assert score.details["confusion"] == [[1, 1], [0, 1]]
    assert score.details["graph"] == {
        "nodes": 4, "edges": [[0, 1], [2, 3]], "true": [0, 1, 1, 0], "predicted": [0, 1, -1, 1],
    }  # fmt: skip


def test_targets_hide_labels_outside_the_mask() -> None:
    _, labels = tasks.task("label_nodes").targets(EXAMPLES)
    assert labels.tolist() == [[0, 1, -1, 0]]


def test_loss_does_not_see_nodes_without_a_label() -> None:
    options = tasks.task("label_nodes").compile_options()
    labels, changed = np.array([[0, 1, -1, 0]]), LOGITS.copy()
    changed[0, 2] = [100, -100]
    for function in (options["loss"], *options["metrics"]):
        assert float(function(labels, LOGITS)) == float(function(labels, changed))
    assert float(options["metrics"][0](labels, LOGITS)) == pytest.approx(2 / 3)
    # two right nodes and a wrong one, each sure by 1: log(1 + e^-1) twice, log(1 + e) once
    assert float(options["loss"](labels, LOGITS)) == pytest.approx(
        (2 * np.log1p(np.exp(-1)) + np.log1p(np.e)) / 3
    )


def test_saved_examples_keep_their_mask(tmp_path: Path) -> None:
    found = _fitting.load_examples(_fitting.save_examples(tmp_path / "x.npz", EXAMPLES))
    np.testing.assert_array_equal(found.mask, EXAMPLES.mask)
    np.testing.assert_array_equal(found.inputs["edges"], EXAMPLES.inputs["edges"])
    without = Examples(EXAMPLES.inputs, LABELS)
    assert _fitting.load_examples(_fitting.save_examples(tmp_path / "y.npz", without)).mask is None


def test_baseline_is_logistic_regression_on_the_same_labels() -> None:
    dataset = data.source("digits_knn").load(None)
    logits = np.zeros((*dataset.test.labels.shape, 10), np.float32)
    scored = tasks.score(
        "label_nodes", lambda *_: {"logits": logits}, dataset.test, tasks.prepare("label_nodes", dataset)
    )
    (found,) = scored.baselines.values()
    assert 0.85 < found["accuracy"] < 0.93


def test_baseline_knows_classes_that_have_no_label_to_train_on_by_their_numbers() -> None:
    inputs = {"nodes": np.array([[[0.0], [1.0], [0.0], [1.0]]]), "edges": EXAMPLES.inputs["edges"]}
    labels, mask = np.array([[1, 3, 1, 3]]), np.array([[True, True, False, False]])
    train, test = Examples(inputs, labels, mask), Examples(inputs, labels, ~mask)
    dataset = Dataset(train, train, train, test, ("a", "b", "c", "d"))
    logits = np.zeros((1, 4, 4), np.float32)
    scored = tasks.score(
        "label_nodes", lambda *_: {"logits": logits}, test, tasks.prepare("label_nodes", dataset)
    )
    assert [*scored.baselines.values()] == [{"accuracy": 1.0}]


def test_large_graph_is_drawn_in_a_piece_of_neighbours() -> None:
    nodes = 500  # a path: 300 nodes nearest to the first one of the split are the first 300
    pairs = np.stack([np.arange(nodes - 1), np.arange(1, nodes)], axis=1)
    edges = np.concatenate([pairs, pairs[:, ::-1]])[None].astype(np.int32)
    inputs = {"nodes": np.zeros((1, nodes, 1), np.float32), "edges": edges}
    examples = Examples(inputs, np.zeros((1, nodes), int), np.ones((1, nodes), bool))
    logits = np.zeros((1, nodes, 2), np.float32)
    scored = tasks.score("label_nodes", lambda role, inputs: {"logits": logits}, examples, no_baseline(1))
    found = scored.details["graph"]
    assert found["edges"] == [[node, node + 1] for node in range(299)]
    assert len(found["true"]) == 300
