"""Training and pruning: repeatable, and what was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgearch import isolation, pipeline
from edgearch.profiles import device
from edgearch.work import Request, Work, load_arrays
from tests.conftest import Deployed


def trained(folder: Path, seed: int) -> Work:
    folder.mkdir()
    step = pipeline.read("float32").having("train", epochs=2).steps[0]
    work = Work(Request("mlp", "mlp", "digits", device("rpi"), "classify", seed=seed), folder)
    from edgearch.stages import train

    return isolation.run(train.run, work, step.settings, what="mlp", log=folder / "log", remedy="")


def weights(work: Work) -> list[np.ndarray]:
    import h5py

    found: list[np.ndarray] = []
    with h5py.File(work.files["weights"]) as file:
        file.visititems(
            lambda _name, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None
        )
    return found


def test_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    first, second, other = (trained(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert len(weights(first)) >= 6
    for one, two in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(one, two)
    pairs = zip(weights(first), weights(other), strict=True)
    assert any(one.shape == two.shape and not np.array_equal(one, two) for one, two in pairs)


def test_pruned_model_keeps_requested_sparsity(deployed: Deployed) -> None:
    done = deployed.again(
        "deploy", "cnn-lenet5", "--device", "desktop", "--pipeline", "prune-int8", "--json",
        "--set", "prune.sparsity=0.7", "--set", "prune.epochs=4", "--set", "train.epochs=12",
        "--set", "validate.max_drop=1",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    # int8 rounds a few more weights to zero; biases, not pruned, are not counted
    assert 0.7 <= done.document["artifacts"][0]["sparsity"] <= 0.75


def test_vectors_are_the_test_split_in_order(deployed: Deployed) -> None:
    test = next(deployed.folder.glob("build/stages/train-*/test.npz"))  # every variant's is the same
    from edgearch import data

    expected = data.source("digits").load(None).test
    found = load_arrays(test)
    np.testing.assert_array_equal(found["labels"], expected.labels)
    np.testing.assert_array_equal(found["image"], expected.inputs["image"])
