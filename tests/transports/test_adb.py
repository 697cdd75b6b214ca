"""Phones by adb, with a phone that is played: a real shell in a folder, and LiteRT as benchmark_model."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgearch import probing, profiles, transports
from edgearch.errors import DeviceError, RequestError
from edgearch.transports import _benchmark_model
from tests.conftest import ROOT, Deployed, Done, run_edgearch
from tests.sshd import wait_until
from tests.transports.phone import Phone

FEW = (
    "--set", "train.epochs=2", "--set", "train.test_examples=6", "--set", "validate.max_drop=1",
    "--set", "quantize.compare_sizes=[]",
)  # fmt: skip
DEVICE = profiles.device("mobile")


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone.made(tmp_path / "phone")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all deployments: a model is trained once."""
    made = tmp_path_factory.mktemp("phones")
    (made / "devices").mkdir()
    return made


@pytest.fixture
def deploy(phone: Phone, folder: Path) -> Callable[..., Done]:
    """Deploy with the phone's adb on PATH; the profile names its benchmark_model."""
    profile = (ROOT / "devices" / "mobile.toml").read_text(encoding="utf-8")
    named = re.sub("benchmark_model = .*", f'benchmark_model = "{phone.folder}/benchmark_model"', profile)
    (folder / "devices" / "mobile.toml").write_text(named, encoding="utf-8")

    def run(model: str, *arguments: str) -> Done:
        words = ("deploy", model, "--device", "mobile", "--json", *FEW, *arguments)
        return run_edgearch(*words, cwd=folder, PATH=phone.path)

    return run


def test_model_runs_on_the_phone_that_is_plugged_in_and_nothing_stays_there(
    deploy: Callable[..., Done], phone: Phone
) -> None:
    done = deploy("mlp")
    assert done.code == 0, done.stderr
    document = done.document
    assert (document["where"], document["host"]) == ("device", "R58M1")
    (runtime,) = document["runtimes"]
    assert runtime["parity"]["model"]["ok"]
    assert len(runtime["latency_ms"]["medians"]) == 10
    assert runtime["peak_rss_bytes"] == 12.5 * 2**20
    operators = runtime["roles"]["model"]["op_profile"]
    assert {one["op"] for one in operators} == set(document["artifacts"][0]["ops"])
    assert document["machine"]["processor"] == "Pretend 1"
    assert phone.left == []


def test_step_carries_its_state_from_one_process_to_the_next(deploy: Callable[..., Done]) -> None:
    done = deploy("gru")
    assert done.code == 0, done.stderr
    (runtime,) = done.document["runtimes"]
    assert runtime["steps"] == 8
    # The reference kernels were fed their own state: any that was lost or cut would show.
    assert runtime["parity"]["step"]["ok"]
    assert done.document["parity"]["agreement"] >= 5 / 6  # one of six may round the other way


@pytest.mark.parametrize(
    ("devices", "code", "words"),
    [
        ("A1\tunauthorized\n", 3, ["A1 is unauthorized", "phone's screen"]),
        ("A1\toffline\n", 3, ["A1 is offline", "adb reconnect"]),
        ("A1\tno permissions; see [http://developer.android.com]\n", 3, ["no permissions", "udev"]),
        ("A1\tdevice\nB2\tdevice\n", 2, ["2 phones", "A1 (ready)", "B2 (ready)", "--host"]),
    ],
)
def test_phone_that_cannot_be_used_is_refused_before_training(
    deploy: Callable[..., Done], phone: Phone, devices: str, code: int, words: list[str]
) -> None:
    phone.plug_in(devices)
    done = deploy("mlp")
    assert (done.code, done.stdout) == (code, "")
    assert "train" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_named_phone_is_used_where_there_are_two(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    phone.plug_in("A1\tdevice\nB2\toffline\n")
    monkeypatch.setenv("PATH", phone.path)
    device = DEVICE.model_copy(update={"benchmark_model": str(phone.folder / "benchmark_model")})
    transports.connect(device, profiles.Host(address="A1")).close()
    with pytest.raises(DeviceError, match="B2 is offline"):
        transports.connect(device, profiles.Host(address="B2"))
    with pytest.raises(DeviceError, match="C3 is not there: adb devices lists A1, B2"):
        transports.connect(device, profiles.Host(address="C3"))
    with pytest.raises(RequestError, match="2 phones are there"):
        transports.find(device)


def test_phone_with_an_address_is_connected_to_first(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", phone.path)
    device = DEVICE.model_copy(update={"benchmark_model": str(phone.folder / "benchmark_model")})
    transports.connect(device, profiles.Host(address="127.0.0.1:5555")).close()
    assert "connect 127.0.0.1:5555" in (phone.folder / "calls").read_text()


def test_missing_benchmark_model_is_named_with_where_it_is_published(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", phone.path)
    device = DEVICE.model_copy(update={"benchmark_model": "/nowhere/benchmark_model"})
    with pytest.raises(DeviceError, match=r"no /nowhere/benchmark_model\. Google publishes .* https://"):
        transports.connect(device, profiles.Host(address="R58M1"))


def test_named_phone_without_adb_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="sudo apt install adb"):
        transports.connect(DEVICE, profiles.Host(address="R58M1"))
    assert transports.find(DEVICE) is None


@pytest.mark.parametrize(
    ("when", "words", "said"),
    [
        ("model.tflite", "adb: error: failed to copy: No space left on device", "the phone is full"),
        ("sh script", "error: device 'R58M1' not found", "the phone is gone"),
        ("num_runs=50", "error: closed", "the connection to the phone was lost"),
    ],
)
def test_phone_that_fails_in_mid_run_is_explained(
    deploy: Callable[..., Done], phone: Phone, when: str, words: str, said: str
) -> None:
    phone.complain(when, words)
    done = deploy("mlp")
    assert (done.code, done.stdout) == (3, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_after_a_lost_phone_the_next_run_goes_on_at_measure(
    deploy: Callable[..., Done], phone: Phone
) -> None:
    phone.complain("sh script", "error: closed")
    assert deploy("mlp").code == 3
    (phone.folder / "complaint").unlink()
    again = deploy("mlp")
    assert again.code == 0, again.stderr
    assert [one["name"] for one in again.document["stages"] if not one["cached"]] == ["measure"]


def test_interrupted_run_leaves_nothing_on_the_phone(
    deploy: Callable[..., Done], phone: Phone, folder: Path
) -> None:
    phone.complain("sh script", "error: closed")
    deploy("mlp")  # all but measure is finished then
    (phone.folder / "complaint").unlink()
    command = [sys.executable, "-m", "edgearch", "deploy", "mlp", "--device", "mobile", *FEW]
    environment = {"PATH": phone.path, "HOME": str(Path.home()), "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: any(phone.left) and any((one / "answers").exists() for one in phone.left))
    child.send_signal(signal.SIGINT)
    child.wait(timeout=60)
    assert phone.left == []
    here = str(phone.folder)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in running.splitlines() if here in line]


def test_older_binary_without_percentiles_gives_means_and_says_so() -> None:
    report = (
        "INFO: count=50 first=1200 curr=900 min=880 max=1300 avg=910.5 std=30\n"
        "INFO: Inference timings in us: Init: 5000, First inference: 1200, Warmup (avg): 1000, "
        "Inference (avg): 910.5\n"
    )
    found = _benchmark_model.figures(report)
    assert (found["median_ms"], found["is_median"], found["runs"]) == (0.9105, False, 50)
    with pytest.raises(ValueError, match="no timings"):
        _benchmark_model.figures("Segmentation fault")


def test_probing_lists_phones_with_what_to_do(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    phone.plug_in("A1\tdevice\nB2\tunauthorized\n")
    monkeypatch.setenv("PATH", phone.path)
    ready, other = [one for one in probing.probe() if one.kind == "adb"]
    assert (ready.name, ready.device, ready.ready) == ("A1", "mobile", True)
    assert (other.ready, other.detail) == (
        False,
        "unauthorized: accept this computer's key on the phone's screen",
    )


def test_without_a_phone_this_machine_stands_in(deployed: Deployed) -> None:
    done = deployed.again("deploy", "cnn", "--device", "mobile", "--json", PATH="/usr/bin:/bin")
    assert done.code == 0, done.stderr
    assert done.document["where"] == "stand-in"
