"""Firmware projects built with a TensorFlow Lite Micro source tree and run on an emulated Cortex-M4.

Run by ``make test-firmware TFLM_DIR=…``: TensorFlow Lite Micro's sources are in no package registry, and
building them takes minutes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgearch import firmware, profiles
from tests.conftest import run_edgearch

pytestmark = pytest.mark.firmware

TOOLS = ("arm-none-eabi-g++", "cmake", "qemu-system-arm")
QUICK = ("--set", "train.epochs=2", "--set", "validate.max_drop=1", "--set", "quantize.compare_sizes=[]")
# The package's kernels are compiled for x86-64, the firmware's for Arm: a float intermediate may round the
# other way now and then, and what is fed back adds up.
MOST_STEPS = 6
LEAST_EQUAL = 0.9


@pytest.fixture(scope="module")
def tflm() -> Path:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: install gcc-arm-none-eabi, cmake and qemu-system-arm")
    named = os.environ.get("TFLM_DIR")
    if not named:
        pytest.skip("no TFLM_DIR: name a source tree of TensorFlow Lite Micro")
    return Path(named).absolute()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all projects in turn: TensorFlow Lite Micro is built there once."""
    return tmp_path_factory.mktemp("emulated")


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr  # QEMU's semihosting console is its stderr


@pytest.mark.parametrize("model", ["lstm", "cnn", "gnn-gcn"])
def test_microcontroller_answers_as_the_package_does(model: str, tflm: Path, folder: Path) -> None:
    done = run_edgearch("deploy", model, "--device", "mcu", "--json", *QUICK, cwd=folder)
    assert done.code == 0, done.stderr
    document = done.document
    bundle = folder / f"{model}-bundle"
    shutil.copytree(folder / document["bundle"], bundle)
    shutil.copyfile(newest_outputs(folder), bundle / "expected.npz")  # what the package's kernels answered
    device, project = profiles.device("mcu"), folder / "project"
    firmware.write(project, bundle, device, document["fit"], model)
    built = os.environ.get("TFLM_LIBRARY", "")  # from an earlier project, to save its minutes
    run("cmake", "-B", "build", f"-DTFLM_DIR={tflm}", f"-DTFLM_LIBRARY={built}", cwd=project)
    print(
        run("cmake", "--build", "build", "-j", str(os.cpu_count()), cwd=project).rpartition("Memory region")[
            2
        ]
    )
    assert device.firmware and device.firmware.bare_metal and device.firmware.bare_metal.run
    console = run(*shlex.split(device.firmware.bare_metal.run), cwd=project)
    print(console)
    check(json.loads(console), document)


def newest_outputs(folder: Path) -> Path:
    """Return what the stage measure kept of the deployment that has just ended."""
    return max(folder.glob("build/stages/measure-*/outputs.npz"), key=lambda path: path.stat().st_mtime)


def check(found: dict[str, Any], document: dict[str, Any]) -> None:
    assert found["schema"] == "edgearch/firmware@1"
    assert found["ok"] is True
    assert set(found["roles"]) == {one["role"] for one in document["artifacts"]}
    for role in found["roles"].values():
        assert 0 < role["arena_bytes"] <= document["fit"]["arena_bytes"]  # pointers take half as much
        assert role["latency_ticks"]["runs"] == role["examples"] * role["steps"]
        for output in role["outputs"].values():
            assert output["equal"] >= LEAST_EQUAL * output["values"]
            assert output["largest_difference"] <= MOST_STEPS
