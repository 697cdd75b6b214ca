"""Firmware built with a TensorFlow Lite Micro source tree and run on an emulated Cortex-M4, by `deploy`.

Run by ``make test-firmware TFLM_DIR=…``: TensorFlow Lite Micro's sources are in no package registry, and
building them takes minutes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgearch.firmware import emulator
from tests.conftest import Done, run_edgearch

pytestmark = pytest.mark.firmware

QUICK = ("--set", "train.epochs=2", "--set", "validate.max_drop=1", "--set", "quantize.compare_sizes=[]")
# The package's kernels are compiled for x86-64, the firmware's for Arm: a float intermediate may round the
# other way now and then, and what is fed back adds up.
MOST_STEPS = 6
LEAST_EQUAL = 0.9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all deployments keep their stages."""
    if not os.environ.get(emulator.VARIABLE):
        pytest.skip(f"no {emulator.VARIABLE}: name a source tree of TensorFlow Lite Micro")
    missing = [tool for tool in emulator.PACKAGES if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} on this machine")
    return tmp_path_factory.mktemp("emulated")


def deployed(model: str, folder: Path) -> Done:
    return run_edgearch("deploy", model, "--device", "mcu", "--json", *QUICK, cwd=folder, timeout=3600)


@pytest.mark.parametrize("model", ["lstm", "cnn", "gnn-gcn"])
def test_microcontroller_answers_as_the_package_does(
    model: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = deployed(model, folder)
    assert done.code == 0, done.stderr
    document = done.document
    found, fit = document["emulation"], document["fit"]
    with capsys.disabled():
        print(f"\n{model}: {found}")
    assert found["ok"] is True
    assert found["where"] == fit["where"] == "emulated"
    (simulated,) = document["runtimes"]
    arena = max(role["arena_bytes"] for role in simulated["roles"].values())
    assert 0 < found["arena_bytes"] <= arena  # pointers take half as much
    assert fit["arena_bytes"] == found["arena_bytes"] < fit["ram_bytes"] < fit["ram_limit_bytes"]
    models = sum(one["bytes"] for one in document["artifacts"])
    assert models < fit["flash_bytes"] < fit["flash_limit_bytes"]
    for role in found["roles"].values():
        assert role["instructions"] > 0
        assert role["equal"] >= LEAST_EQUAL * role["values"] > 0
        assert role["largest_difference"] <= MOST_STEPS


def test_second_deployment_is_kept(folder: Path) -> None:
    assert all(stage["cached"] for stage in deployed("cnn", folder).document["stages"])
