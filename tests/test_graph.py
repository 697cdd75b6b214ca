"""A graph from training to a microcontroller, and requests that no graph fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Done, run_edgearch

Edgearch = Callable[..., Done]


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """One deployment for all: a pruned gnn-gat, two epochs, on the simulated microcontroller."""
    folder = tmp_path_factory.mktemp("labelled")
    done = run_edgearch(
        "deploy", "gnn-gat", "--device", "mcu", "--pipeline", "prune-int8", "--json",
        "--set", "train.epochs=2", "--set", "prune.epochs=8", "--set", "validate.max_drop=1",
        cwd=folder,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    return folder, done.document


def test_every_test_node_is_scored_and_paired(labelled: tuple[Path, Any]) -> None:
    score = labelled[1]["score"]
    assert score["examples"] == 1397
    assert "logistic regression, same labels, no edges" in score["baselines"]
    assert sum(map(sum, score["details"]["confusion"]["deployed"])) == 1397


def test_attention_fits_the_microcontroller_without_operators_it_lacks(labelled: tuple[Path, Any]) -> None:
    document = labelled[1]
    assert document["fit"]["ok"]
    assert document["fit"]["where"] == "simulated"
    ops = document["artifacts"][0]["ops"]
    assert ops["BATCH_MATMUL"] == ops["SOFTMAX"] == 5  # four heads and one
    assert not {"MATRIX_SET_DIAG", "SELECT_V2", "EQUAL", "SCATTER_ND"} & set(ops)


def test_graph_kernels_are_pruned(labelled: tuple[Path, Any]) -> None:
    # attention's own kernels, 80 values of 2,600, are not
    assert labelled[1]["artifacts"][0]["sparsity"] >= 0.45
    assert not any("Not pruned" in note for note in labelled[1]["notes"])


def test_reports_show_the_graph_and_the_baseline(labelled: tuple[Path, Any]) -> None:
    page = (labelled[0] / labelled[1]["bundle"]).parent / "report.html"
    text = page.read_text(encoding="utf-8")
    assert "The graph, its nodes by true class, float and deployed" in text
    assert "logistic regression" in text


def refused(done: Done, *words: str) -> None:
    assert done.code == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_graph_larger_than_the_device_takes_is_refused_before_training(
    edgearch: Edgearch, tmp_path: Path
) -> None:
    (tmp_path / "devices").mkdir()
    profile = (ROOT / "devices" / "mcu.toml").read_text(encoding="utf-8")
    (tmp_path / "devices" / "tiny.toml").write_text(profile.replace("max_nodes = 256", "max_nodes = 200"))
    done = edgearch("deploy", "gnn-gcn", "--device", "tiny")
    refused(done, "up to 225 nodes", "tiny takes 200", "max_nodes", "gnn-sage")
    assert not (tmp_path / "build").exists()


def test_cora_is_too_large_for_a_microcontroller(edgearch: Edgearch, shared: Path) -> None:
    folder = str(shared / "data" / "cora")
    done = edgearch("deploy", "gnn-gcn", "--device", "mcu", "--dataset", "cora", "--data-folder", folder)
    refused(done, "2,708 nodes", "mcu takes 256")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gnn-gcn", "--dataset", "digits"], ["does not fit gnn-gcn", "label nodes", "digits_knn"]),
        (["cnn", "--dataset", "digits_knn"], ["does not fit cnn", "classify"]),
        (["gnn-gcn", "--dataset", "cora"], ["ind.cora.allx", "--data-folder"]),
        (["gnn-pool", "--dataset", "digits"], ["takes a graph", "edges (edges, 2)", "digits_knn"]),
    ],
)
def test_dataset_that_does_not_fit_is_refused(
    edgearch: Edgearch, arguments: list[str], words: list[str]
) -> None:
    refused(edgearch("deploy", *arguments, "--device", "rpi"), *words)
