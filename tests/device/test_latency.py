"""Every family's default on a device: parity, accuracy, latency budget. `make test-device DEVICE=rpi HOST=…`

Deployments and their history are kept in build/: `edgearch regress` holds this run against earlier ones.
"""

from __future__ import annotations

from typing import Any

import pytest

from edgearch import models, profiles, transports
from tests.conftest import ROOT, run_edgearch


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Any:
    """Deploy a model to the device that was named, measured anew."""
    device, host = (request.config.getoption(name) for name in ("--device", "--host"))
    if device is None:
        pytest.skip("no device was named: pytest tests/device --device rpi --host user@address")
    profile = profiles.device(device)
    if profile.without_host != "device" and not (profiles.host_for(device, host) or transports.find(profile)):
        pytest.skip(f"{device} is reached by {profile.transport} and none is plugged in: name it with --host")

    def deploy(model: str) -> Any:
        done = run_edgearch(
            "deploy", model, "--device", device, *(["--host", host] if host else []),
            "--build", str(ROOT / "build"), "--again", "measure", "--json", cwd=ROOT,
        )  # fmt: skip
        assert done.code in (0, 1), done.stderr
        return done.document

    return deploy


@pytest.mark.parametrize("family", sorted(models.families()))
def test_family_keeps_parity_accuracy_and_its_latency_budget(
    measured: Any, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = measured(family)
    assert document["failures"] == []
    chosen = next(one for one in document["runtimes"] if one["chosen"])
    latency, after = chosen["latency_ms"], document["condition"]["after"]
    with capsys.disabled():
        print(
            f"\n{document['variant']} on {document['device']}: {latency['p50']:.4f} ms p50 "
            f"({chosen['where']}, {chosen['name']}), {document['score']['deployed']:.4f} "
            f"{document['score']['title']}; governor {after['governor']}, throttled {after['throttled']}"
        )
    assert all(part["ok"] for part in chosen["parity"].values())
    budget = profiles.device(document["device"]).latency_budget_ms
    if budget is not None and chosen["where"] == "device":
        assert latency["p50"] <= budget
