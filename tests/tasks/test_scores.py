"""Scores and their paired comparison."""

from __future__ import annotations

import numpy as np
import pytest

from edgearch import tasks
from edgearch.data import Examples
from edgearch.tasks import Score

LABELS = np.array([0, 1, 2, 0])
EXAMPLES = Examples({"image": np.zeros((4, 2, 2, 1), np.float32)}, LABELS)


def test_accuracy_is_the_share_of_right_answers_with_its_confusion_matrix() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 1, 0]]
    score = tasks.task("classify").score(lambda role, inputs: {"logits": logits}, EXAMPLES)
    assert score.value == 0.75
    assert score.details["confusion"] == [[2, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert score.per_example is not None and score.per_example.tolist() == [1, 1, 0, 1]


def of(values: list[float]) -> Score:
    array = np.array(values, dtype=float)
    return Score("accuracy", float(array.mean()), True, array)


def test_equal_answers_differ_by_nothing_but_the_interval_is_no_point() -> None:
    found = tasks.compare(of([1] * 95 + [0] * 5), of([1] * 95 + [0] * 5), 100)
    assert (found["delta"], found["p_value"]) == (0, 1)
    low, high = found["ci95"]
    assert -0.03 < low < 0 < high < 0.03


def test_mcnemar_is_exact() -> None:
    # 8 examples lost, none gained: two-sided binomial, 2 / 2**8
    found = tasks.compare(of([1] * 20), of([0] * 8 + [1] * 12), 20)
    assert found["p_value"] == pytest.approx(2 / 2**8)
    assert found["delta"] == pytest.approx(-0.4)
    assert found["ci95"][1] < 0


def test_values_per_example_are_compared_by_permutation() -> None:
    random = np.random.default_rng(1)
    before = random.random(200)
    same = tasks.compare(of(list(before)), of(list(before + random.normal(0, 0.01, 200))), 200)
    worse = tasks.compare(of(list(before)), of(list(before + 0.01)), 200)
    assert same["p_value"] > 0.01
    assert worse["p_value"] < 0.01
    assert worse["ci95"][0] > 0


def test_metrics_of_a_whole_set_are_resampled_by_index() -> None:
    values = np.random.default_rng(2).random(300)
    before = Score("auc", float(values.mean()), True, resample=lambda index: float(values[index].mean()))
    after = Score("auc", before.value - 0.2, True, resample=lambda index: float(values[index].mean()) - 0.2)
    found = tasks.compare(before, after, 300)
    assert found["ci95"] == pytest.approx([-0.2, -0.2])
    assert found["p_value"] < 0.01
    assert found["float_ci95"][0] < before.value < found["float_ci95"][1]
