from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgearch import profiles
from edgearch.errors import DeviceError
from edgearch.profiles import Host
from edgearch.transports import serial
from edgearch.work import load_arrays, silent
from tests.conftest import ROOT, Deployed, run_edgearch

# One epoch: what is tested is the line, not the accuracy.
AGAIN = ("--again", "measure")
QUICK = ("--set", "train.epochs=1", "--set", "validate.max_drop=1", "--set", "quantize.compare_sizes=[]")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    folder = tmp_path_factory.mktemp("serial")
    done = run_edgearch("deploy", "mlp", "--device", "mcu", "--json", *QUICK, cwd=folder)
    assert done.code == 0, done.stderr
    return Deployed(folder, done, "mlp-digits-mcu-int8", QUICK)


@contextmanager
def board(bundle: Path, habit: str) -> Iterator[str]:
    """Plug a board in; yield its port."""
    command = [sys.executable, "-m", "tests.transports.board", str(bundle), habit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def outputs(folder: Path) -> dict[str, np.ndarray]:
    newest = max(folder.glob("build/stages/measure-*/outputs.npz"), key=lambda path: path.stat().st_mtime)
    return load_arrays(newest)


@pytest.mark.parametrize("habit", ["good", "noisy"])
def test_board_answers_every_example_as_the_kernels_on_this_machine_do(
    simulated: Deployed, habit: str
) -> None:
    before = load_arrays(next(simulated.folder.glob("build/stages/measure-*/outputs.npz")))
    with board(simulated.bundle, habit) as port:
        done = simulated.again("deploy", "mlp", "--device", "mcu", "--host", port, "--json", *AGAIN, *QUICK)
    assert done.code == 0, done.stderr
    document = done.document
    assert document["where"] == document["score"]["where"] == "device"
    assert document["score"]["deployed"] == simulated.done.document["score"]["deployed"]
    assert document["runtimes"][0]["latency_ms"]["p50"] == pytest.approx(1.5)  # the board's own clock
    found = outputs(simulated.folder)
    assert found.keys() == before.keys()
    for name, value in before.items():  # LiteRT's reference kernels round as TensorFlow Lite Micro's, almost
        assert np.mean(found[name] == value) > 0.99
    assert document["runtimes"][0]["arena_bytes"] == 4096


@pytest.mark.parametrize(
    ("habit", "expected"),
    [
        ("other", ["runs the firmware of 'a test'", "models other", "arduino-cli compile --upload"]),
        (
            "small",
            ["'failed' to 'open'", "printed is 'Failed to allocate 4096 bytes'", "arena may be too small"],
        ),
        ("gone", ["went away in the middle of a run"]),
        ("silent", ["heard nothing", "arduino-cli compile --upload"]),
    ],
)
def test_board_that_does_not_answer_as_it_should_is_named_with_the_remedy(
    simulated: Deployed, habit: str, expected: list[str]
) -> None:
    with board(simulated.bundle, habit) as port:
        done = simulated.again("deploy", "mlp", "--device", "mcu", "--host", port, *AGAIN, *QUICK)
    assert done.code == 3
    said = " ".join(done.stderr.split())
    assert "Traceback" not in said
    for part in expected:
        assert part in said


def test_firmware_that_an_error_points_to_is_there(simulated: Deployed) -> None:
    with board(simulated.bundle, "other") as port:
        done = simulated.again("deploy", "mlp", "--device", "mcu", "--host", port, *AGAIN, *QUICK)
    sketch = next(word for word in done.stderr.split() if word.rstrip(";").endswith("examples/serve"))
    assert (Path(sketch.rstrip(";")) / "serve.ino").is_file()


def test_file_is_not_run_on_a_board_which_runs_the_models_of_its_firmware(simulated: Deployed) -> None:
    path = str(simulated.bundle / "model.tflite")
    done = simulated.again("run", path, "--device", "mcu", "--host", "/dev/ttyNONE")
    assert done.code == 2
    said = " ".join(done.stderr.split())
    for part in ("built into its firmware", "edgearch deploy", "without a host"):
        assert part in said
    here = simulated.again("run", path, "--device", "mcu", "--json")
    assert here.code == 0, here.stderr
    assert here.document["where"] == "simulated"


def test_bundle_that_arrived_damaged_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes(b"no archive")
    board = serial.Serial(profiles.device("mcu"), serial.Line(None, "/dev/ttyNONE"), lambda: None)
    try:
        board.send(tmp_path / "bundle.zip", "bundle.zip")
        with pytest.raises(DeviceError, match="/dev/ttyNONE: The bundle arrived damaged"):
            board.call({"do": "measure", "bundle": "bundle.zip"}, silent)
    finally:
        board.close()


def test_port_that_is_missing_is_refused_with_the_remedy() -> None:
    with pytest.raises(DeviceError, match="no such port"):
        serial.connect(profiles.device("mcu"), Host(address="/dev/ttyNONE"))


def test_port_that_another_deployment_holds_is_refused() -> None:
    master, end = os.openpty()
    try:
        fcntl.flock(end, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(DeviceError, match="in use by another deployment"):
            serial.connect(profiles.device("mcu"), Host(address=os.ttyname(end)))
    finally:
        os.close(master)
        os.close(end)


@pytest.mark.parametrize(
    "line",
    [b"@done", b"@7 done 00000000\n", serial.framed(7, "done")[:-1], serial.framed(7, "done")[:-3] + b"\n"],
)
def test_damaged_line_is_no_answer(line: bytes) -> None:
    assert serial.unframed(line)[0] == serial.DAMAGED
    assert serial.unframed(b"noise@" + serial.framed(7, "done")) == (7, "done")


def test_line_of_a_log_has_no_number() -> None:
    assert serial.unframed(b"Failed to allocate\r\n") == (None, "Failed to allocate")
    assert serial.unframed(b"") == (None, "")
