"""Every family on every profile with no hardware: it runs, or the reason is named. `make test-profiles`

CI runs the cnn on all of them; the rest takes minutes, with the finished stages kept in build/.
"""

from __future__ import annotations

import pytest

from edgearch import models, profiles, records
from tests.conftest import ROOT, Deployed, Done, run_edgearch

PROFILES = list(records.data_files("devices"))


def check(done: Done, device: str) -> None:
    """A deployment ended well, or a check of it failed and the report says which; all of it is labelled."""
    assert done.code in (0, 1), done.stderr
    document = done.document
    if done.code == 1:
        assert document["failures"], "exit 1 without a reason"
        return
    (chosen,) = [one for one in document["runtimes"] if one["chosen"]]
    wheres = {document["where"], document["score"]["where"], chosen["where"]}
    assert wheres == {profiles.device(device).without_host}
    assert document["placement"]
    assert document["failures"] == []


@pytest.mark.parametrize("device", PROFILES)
def test_cnn_is_deployed_to_every_profile_without_its_hardware(deployed: Deployed, device: str) -> None:
    done = deployed.again("deploy", "cnn", "--device", device, "--json")
    check(done, device)
    assert done.code == 0


@pytest.mark.slow
@pytest.mark.parametrize("device", PROFILES)
@pytest.mark.parametrize("model", [*models.families(), "gru", "mlp-autoencoder", "cnn-convnext", "gnn-gat"])
def test_every_family_runs_on_every_profile_or_says_why_not(
    model: str, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_edgearch("deploy", model, "--device", device, "--json", cwd=ROOT)
    check(done, device)
    with capsys.disabled():
        print(f"\n{model} on {device}: exit {done.code}", *done.document["failures"], end="")
