"""Measurements that are kept, and a later run held against an accepted one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgearch import history
from edgearch.errors import RequestError
from edgearch.reports import document, table
from tests.conftest import Deployed, Done
from tests.reports.test_table import printed


def deployed_document(p50: float, cached: bool = False, **changes: Any) -> dict[str, Any]:
    latency = {"p50": p50, "medians": [p50 * (1 + 0.01 * (part % 3 - 1)) for part in range(10)]}
    runtime = {
        "name": "litert", "version": "2.3.0", "chosen": True, "where": "device", "latency_ms": latency,
    }  # fmt: skip
    return {
        "variant": "mlp", "dataset": "digits", "device": "desktop", "pipeline": "int8", "seed": 0,
        "host": None, "runtimes": [runtime], "stages": [{"name": "measure", "cached": cached}],
        "machine": {"processor": "A", "architecture": "x86_64", "cores": 2},
        "condition": {"before": {}, "after": {"governor": "performance", "throttled": False}}, **changes,
    }  # fmt: skip


def compared(build: Path, allowed: float = 1.05) -> dict[str, Any]:
    latest = history.latest(build, "desktop", "mlp", None)
    return document.regression("desktop", latest, history.changes(build, latest), allowed)


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    history.append(tmp_path, deployed_document(2.0))
    history.accept(tmp_path, history.latest(tmp_path, "desktop", None, None))
    return tmp_path


@pytest.mark.parametrize(("p50", "regressed"), [(2.0, False), (2.05, False), (2.2, True), (1.0, False)])
def test_slower_than_allowed_is_a_regression(accepted: Path, p50: float, regressed: bool) -> None:
    history.append(accepted, deployed_document(p50))
    found = compared(accepted)
    (one,) = found["measurements"]
    assert one["ratio"] == pytest.approx(p50 / 2)
    assert one["ci95"][0] <= one["ratio"] <= one["ci95"][1]
    assert bool(found["failures"]) is one["regressed"] is regressed


def test_run_that_varies_more_than_it_slowed_is_no_regression(accepted: Path) -> None:
    slower = deployed_document(2.3)
    slower["runtimes"][0]["latency_ms"]["medians"] = [1.5, 1.6, 1.7, 2.0, 2.2, 2.4, 2.7, 3.0, 3.3, 3.6]
    history.append(accepted, slower)
    assert compared(accepted)["failures"] == []


def test_other_machine_or_pipeline_is_another_subject(accepted: Path) -> None:
    other = {"processor": "B", "architecture": "x86_64", "cores": 2}
    history.append(accepted, deployed_document(9.0, machine=other))
    history.append(accepted, deployed_document(9.0, pipeline="float32"))
    found = compared(accepted)
    assert [one["ratio"] for one in found["measurements"]] == [1.0]
    assert found["notes"] == [
        "mlp (digits, float32) on desktop, litert 2.3.0: nothing accepted yet. "
        "--accept accepts the latest run."
    ]


def test_cached_measurement_is_not_a_new_one(accepted: Path) -> None:
    history.append(accepted, deployed_document(9.0, cached=True))
    assert len((accepted / history.FILE).read_text().splitlines()) == 1


def test_damaged_history_is_named_and_left_alone(accepted: Path) -> None:
    path = accepted / history.FILE
    path.write_text("{}\n")
    with pytest.raises(RequestError, match=r"history\.jsonl: expected one measurement"):
        history.append(accepted, deployed_document(2.0))
    assert path.read_text() == "{}\n"


def test_table_names_the_machines_condition(accepted: Path) -> None:
    history.append(accepted, deployed_document(2.2))
    text = printed(table.regression, compared(accepted), width=160)
    for word in (
        "1.10",
        "governor performance, not throttled",
        "1 slower than allowed",
        "mlp (digits, int8)",
    ):
        assert word in text


def test_deployment_is_appended_and_regress_compares_it(deployed: Deployed) -> None:
    build = deployed.folder / "build"
    assert json.loads((build / history.FILE).read_text().splitlines()[0])["variant"] == "cnn-resnet8"
    first = deployed.again("regress", "cnn", "--device", "rpi", "--accept", "--json")
    assert first.code == 0, first.stderr
    second = deployed.again("regress", "cnn", "--device", "rpi", "--json")
    assert second.code == 0, second.stderr
    # the latest run is the accepted one itself
    assert {one["ratio"] for one in second.document["measurements"]} == {1.0}


def test_nothing_measured_says_what_to_run(edgearch: Callable[..., Done]) -> None:
    done = edgearch("regress", "gru", "--device", "rpi")
    assert done.code == 2
    assert "edgearch deploy rnn-gru --device rpi" in done.stderr


@pytest.mark.parametrize("ratio", ["0.5", "much", "nan", "inf"])
def test_ratio_that_allows_nothing_sensible_is_refused(edgearch: Callable[..., Done], ratio: str) -> None:
    done = edgearch("regress", "--device", "rpi", "--allow", ratio)
    assert done.code == 2
    assert f"expected a ratio of at least 1, such as 1.05; found '{ratio}'" in done.stderr
