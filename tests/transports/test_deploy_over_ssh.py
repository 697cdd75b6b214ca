"""A whole deployment over a real sshd, cut in the middle of a transfer and done again."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import Deployed
from tests.sshd import Sshd


def configured(folder: Path, sshd: Sshd) -> dict[str, str]:
    """Write the user's config.toml and return the environment in which it is found."""
    (folder / "edgearch").mkdir(exist_ok=True)
    (folder / "edgearch" / "config.toml").write_text(sshd.host_entry())
    return {"XDG_CONFIG_HOME": str(folder)}


def test_deployment_that_is_cut_keeps_its_bundle_and_goes_on_at_measure(
    deployed: Deployed, sshd: Sshd, tmp_path: Path
) -> None:
    environment = configured(tmp_path, sshd)
    sshd.cut_after(60_000)  # the bundle has over 90,000 bytes
    cut = deployed.again("deploy", "cnn", "--device", "rpi", "--json", "--host", "bench", **environment)
    assert cut.code == 3, cut.stderr
    assert "connection was lost" in cut.stderr
    assert "Traceback" not in cut.stderr
    assert cut.stdout == ""
    assert not list(sshd.device_folder.glob("bundle-*"))

    for part in sshd.device_folder.glob(".part-*"):
        os.utime(part, (0, 0))  # what a cut transfer left is removed when it is old

    sshd.start()
    done = deployed.again("deploy", "cnn", "--device", "rpi", "--json", **environment)
    assert done.code == 0, done.stderr
    document = done.document
    assert {stage["name"]: stage["cached"] for stage in document["stages"]} == {
        "train": True, "convert": True, "quantize": True, "mix": True, "check": True, "validate": True,
        "package": True, "measure": False,
    }  # fmt: skip
    assert document["where"] == document["score"]["where"] == "device"
    assert document["host"]
    assert all(runtime["where"] == "device" for runtime in document["runtimes"])
    assert document["score"]["deployed"] == deployed.done.document["score"]["deployed"]
    left = sorted(path.name for path in sshd.device_folder.iterdir() if not path.name.startswith("agent-"))
    assert left == ["environments", "measuring.lock"], "nothing but the agent, its environments and its lock"

    again = deployed.again("deploy", "cnn", "--device", "rpi", "--json", **environment)
    assert all(stage["cached"] for stage in again.document["stages"])


def test_host_that_refuses_exits_3_and_keeps_what_was_built(
    deployed: Deployed, sshd: Sshd, tmp_path: Path
) -> None:
    environment = configured(tmp_path, sshd)
    sshd.stop()
    done = deployed.again("deploy", "cnn", "--device", "rpi", "--host", "bench", **environment)
    assert done.code == 3
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr
    assert (deployed.bundle / "model.tflite").exists()
