"""The main job on a Raspberry Pi in QEMU, over ssh: Arm's own kernels. `make test-virtual-pi`, as root."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from tests.conftest import ROOT, run_edgearch

pytestmark = pytest.mark.slow
SCRIPT = [sys.executable, "scripts/virtual_pi.py"]


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SCRIPT, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def config() -> Iterator[Path]:
    """The virtual Pi, up; the folder of the config that names it."""
    if os.geteuid():
        pytest.skip("mounting and chroot need root: sudo make test-virtual-pi")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    done = script("up", "--port", str(port))
    assert done.returncode == 0, done.stderr
    yield platformdirs.user_cache_path("edgearch") / "virtual-pi" / "config"
    script("down")
    with socket.socket() as one:
        assert one.connect_ex(("127.0.0.1", port)) != 0, "its sshd outlived it"


@pytest.mark.parametrize("device", ["rpi", "mobile"])
def test_cnn_runs_on_arm_with_the_accuracy_that_it_has_here(
    config: Path, tmp_path_factory: pytest.TempPathFactory, device: str
) -> None:
    folder = tmp_path_factory.getbasetemp()  # one for both: what is trained is kept
    words = ("deploy", "cnn", "--device", device, "--json")
    there = run_edgearch(*words, "--host", "virtual-pi", cwd=folder, XDG_CONFIG_HOME=str(config))
    assert there.code == 0, there.stderr
    document = there.document
    assert document["where"] == "emulated"
    assert document["machine"]["architecture"] == "aarch64"
    chosen = next(one for one in document["runtimes"] if one["chosen"])
    assert chosen["where"] == "emulated"
    assert document["score"]["where"] == "emulated"
    # kernels round differently, which may turn a digit or two
    assert abs(document["score"]["delta"]) <= 0.01
