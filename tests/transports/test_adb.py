"""Phones by adb, with a phone that is played: a real shell in a folder, and LiteRT as benchmark_model."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgearch import probing, profiles, transports
from edgearch.agent import bundle
from edgearch.errors import DeviceError, RequestError
from edgearch.transports import _adb, _benchmark_model, adb
from edgearch.work import load_arrays, save_arrays, silent
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


def _deploy(phone: Phone, folder: Path, model: str, *arguments: str) -> Done:
    """Deploy with the phone's adb on PATH; the profile names its benchmark_model."""
    profile = (ROOT / "devices" / "mobile.toml").read_text(encoding="utf-8")
    named = re.sub("benchmark_model = .*", f'benchmark_model = "{phone.folder}/benchmark_model"', profile)
    (folder / "devices" / "mobile.toml").write_text(named, encoding="utf-8")
    words = ("deploy", model, "--device", "mobile", "--json", *FEW, *arguments)
    return run_edgearch(*words, cwd=folder, PATH=phone.path)


@pytest.fixture
def deploy(phone: Phone, folder: Path) -> Callable[..., Done]:
    return functools.partial(_deploy, phone, folder)


@pytest.fixture
def device(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> profiles.Device:
    """The profile of a phone whose adb is on PATH."""
    monkeypatch.setenv("PATH", phone.path)
    return DEVICE.model_copy(update={"benchmark_model": str(phone.folder / "benchmark_model")})


@pytest.fixture(scope="module")
def archive(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of an mlp, whose only role is ``model``."""
    done = _deploy(Phone.made(tmp_path_factory.mktemp("phone") / "phone"), folder, "mlp")
    assert done.code == 0, done.stderr
    bundles = folder.glob("build/stages/*/bundle.zip")
    return next(one for one in bundles if _roles(one) == {"model"})


def _roles(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as packed:
        return set(json.loads(packed.read("manifest.json"))["roles"])


@pytest.fixture
def measured(device: profiles.Device, archive: Path) -> Callable[..., dict[str, Any]]:
    """Run a bundle as the stage does, and return the one runtime's figures."""

    def run(packed: Path = archive, timeout_seconds: float = 60) -> dict[str, Any]:
        connection = transports.connect(device, profiles.Host(address="R58M1"))
        try:
            connection.send(packed, "bundle.zip")
            answer = connection.call(
                {
                    "do": "measure", "bundle": "bundle.zip", "keep": "outputs.npz",
                    "runtimes": {"litert": ()}, "threads": 1, "seconds": 0.1,
                    "timeout_seconds": timeout_seconds,
                },
                silent,
            )  # fmt: skip
        finally:
            connection.close()
        (runtime,) = answer["runtimes"]
        return runtime

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
    (inside,) = runtime["roles"]["model"]["delegate_profile"]
    assert inside["op"] == "Fully Connected (NC, F32) GEMM"
    assert runtime["where"] == "device"
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


def test_named_phone_is_used_where_there_are_two(phone: Phone, device: profiles.Device) -> None:
    phone.plug_in("A1\tdevice\nB2\toffline\n")
    transports.connect(device, profiles.Host(address="A1")).close()
    with pytest.raises(DeviceError, match="B2 is offline"):
        transports.connect(device, profiles.Host(address="B2"))
    with pytest.raises(DeviceError, match="C3 is not there: adb devices lists A1, B2"):
        transports.connect(device, profiles.Host(address="C3"))
    with pytest.raises(RequestError, match="2 phones are there"):
        transports.find(device)


def test_phone_with_an_address_is_connected_to_and_waited_for(phone: Phone, device: profiles.Device) -> None:
    transports.connect(device, profiles.Host(address="127.0.0.1:5555")).close()
    calls = (phone.folder / "calls").read_text().splitlines()
    assert calls == ["devices", "connect 127.0.0.1:5555", "devices", "devices"]


@pytest.mark.parametrize(
    "words",
    [
        "failed to connect to '127.0.0.1:5555': Connection refused",
        "failed to authenticate to 127.0.0.1:5555",
    ],
)
def test_address_that_refuses_is_told_in_the_words_of_adb(
    phone: Phone, device: profiles.Device, words: str
) -> None:
    phone.refuse(words)
    with pytest.raises(DeviceError) as caught:
        transports.connect(device, profiles.Host(address="127.0.0.1:5555"))
    assert words in str(caught.value)
    assert "adb pair" in str(caught.value)


def test_address_that_never_answers_is_said(
    phone: Phone, device: profiles.Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_adb, "_SECONDS", 0.01)
    with pytest.raises(DeviceError, match=r"connecting: no answer in 0 s"):
        _adb.Phone("127.0.0.1:5555").reach()


def test_phone_paired_twice_must_be_named_by_its_address(phone: Phone, device: profiles.Device) -> None:
    phone.plug_in("adb-R5CR123-AbCdEf (2)._adb-tls-connect._tcp\tdevice\n")
    with pytest.raises(DeviceError, match=r"AbCdEf \(2\).* adb connect IP:PORT .* --host IP:PORT"):
        transports.find(device)


def test_emulator_is_no_phone_that_is_plugged_in(phone: Phone, device: profiles.Device) -> None:
    phone.plug_in("emulator-5554\tdevice\n")
    assert transports.find(device) is None
    phone.plug_in("emulator-5554\tdevice\nA1\tdevice\n")
    assert transports.find(device) == profiles.Host(address="A1")


@pytest.mark.parametrize("said", [{"ro.boot.qemu": "1"}, {"ro.hardware": "ranchu"}])
def test_emulator_that_is_named_gives_figures_that_are_called_emulated(
    phone: Phone, measured: Callable[..., dict[str, Any]], said: dict[str, str]
) -> None:
    phone.describe(**said)
    assert measured()["where"] == "emulated"


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
        ("answers", "adb: error: failed to get feature set: no devices/emulators found", "the phone is gone"),
        ("sh script", "error: device 'R58M1' not found", "the phone is gone"),
        ("num_runs=50", "error: closed", "the connection to the phone was lost"),
        ("sh script", "error: device unauthorized.\nTry 'adb kill-server'.", "accept this computer's key"),
        ("sh script", "error: protocol fault", "error: protocol fault."),
    ],
)
def test_phone_that_fails_in_mid_run_is_explained(
    phone: Phone, measured: Callable[..., dict[str, Any]], when: str, words: str, said: str
) -> None:
    phone.complain(when, words)
    with pytest.raises(DeviceError) as caught:
        measured()
    assert said in str(caught.value)


@pytest.mark.parametrize("when", ["edgearch-ended", "Inference timings"])
def test_phone_unplugged_in_mid_run_is_a_lost_connection_though_adb_says_nothing(
    phone: Phone, measured: Callable[..., dict[str, Any]], when: str
) -> None:
    phone.unplug(when)
    with pytest.raises(DeviceError, match=r"connection to the phone was lost.* goes on at `measure`"):
        measured()


REFUSED = """cat <<'END'
INFO: Loaded model model.tflite
ERROR: Didn't find op for builtin opcode 'CONV_2D' version '99'.
ERROR: Registration failed.
ERROR: Failed to initialize the interpreter
ERROR: Benchmarking failed.
END
exit 1"""


@pytest.mark.parametrize(
    ("begin", "reason"),
    [
        (REFUSED, "Didn't find op for builtin opcode 'CONV_2D' version '99'."),
        ("echo INFO: Running benchmark; kill -SEGV $$", "ended by signal 11: INFO: Running benchmark"),
        ("echo './benchmark_model: inaccessible or not found'; exit 127", "cannot start benchmark_model"),
        (
            """echo 'CANNOT LINK EXECUTABLE "./benchmark_model": library "x.so" not found'; exit 1""",
            'library "x.so" not found): expected one that is built for its processor',
        ),
        ("printf more >> answers", "bytes, found"),
        ('case "$*" in *peak*) echo INFO: STARTING; exit 0;; esac', "printed no timings"),
        ("exit 0", "wrote no whole output"),
    ],
)
def test_runtime_that_cannot_run_the_model_is_set_aside_with_the_reason(
    phone: Phone, measured: Callable[..., dict[str, Any]], begin: str, reason: str
) -> None:
    phone.begin_with(begin)
    runtime = measured()
    assert not runtime["chosen"]
    assert reason in runtime["set_aside"]
    assert phone.left == []


def test_every_reason_reaches_the_user(deploy: Callable[..., Done], phone: Phone) -> None:
    phone.begin_with(REFUSED)
    done = deploy("mlp")
    assert (done.code, done.stdout) == (3, "")
    assert "litert: Didn't find op for builtin opcode 'CONV_2D'" in done.stderr
    assert "Traceback" not in done.stderr


def test_role_that_is_refused_is_answered_by_the_one_instead_of_it(
    phone: Phone, measured: Callable[..., dict[str, Any]], archive: Path, tmp_path: Path
) -> None:
    phone.begin_with(f"[ -f {tmp_path}/refused ] || {{ touch {tmp_path}/refused\n{REFUSED}\n}}")
    roles = measured(_with_two_roles(archive, tmp_path))["roles"]
    assert roles["model"] == {
        "refused": "Didn't find op for builtin opcode 'CONV_2D' version '99'.", "instead": "other"
    }  # fmt: skip
    assert roles["other"]["latency_ms"]["p50"] > 0


def _with_two_roles(archive: Path, folder: Path) -> Path:
    """Return a bundle of the same model twice, the second to answer where the first is refused."""
    there = bundle.unpack(str(archive), str(folder))
    manifest = bundle.read_manifest(there)
    export = manifest["roles"]["model"]
    manifest["roles"] = {"model": {**export, "instead": "other"}, "other": export}
    for name in ("inputs.npz", "expected.npz"):
        arrays = load_arrays(there / name)
        save_arrays(there / name, arrays | {f"other/{one.partition('/')[2]}": arrays[one] for one in arrays})
        manifest["sha256"].pop(name, None)
    (there / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    packed = folder / "two.zip"
    with zipfile.ZipFile(packed, "w") as zipped:
        for file in there.iterdir():
            zipped.write(file, file.name)
    return packed


def test_hung_benchmark_model_is_ended_after_the_time_of_the_request(
    phone: Phone, measured: Callable[..., dict[str, Any]]
) -> None:
    phone.begin_with(f"exec tail -f {phone.folder}/devices")
    assert measured(timeout_seconds=2)["set_aside"] == (
        "benchmark_model took longer than 2 s while running model.tflite"
    )
    assert phone.left == []
    assert _running_of(phone) == []


def _running_of(phone: Phone) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(phone.folder) in line]


def test_slow_model_is_timed_for_a_limited_time() -> None:
    assert "--max_secs=45.000" in _benchmark_model.timing(0.15, 45)
    assert "--max_secs=60.000" in _benchmark_model.timing(60, 45), "the user asked for more"
    assert "--max_secs=45.000" in _benchmark_model.profiling(45)


def test_long_copy_has_time_for_its_size(
    phone: Phone, device: profiles.Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    (tmp_path / "large").write_bytes(bytes(10**6))
    there = _adb.Phone("R58M1")
    run = there._adb

    def watched(words: list[str], doing: str, seconds: float) -> Any:
        given.append(seconds)
        return run(words, doing, seconds)

    monkeypatch.setattr(there, "_adb", watched)
    there.push(tmp_path / "large", "/data/local/tmp/large")
    there.pull("/data/local/tmp/large", tmp_path / "again", 10**7)
    assert given == [_adb._SECONDS + 2, _adb._SECONDS + 20]


def test_numbers_of_processes_are_forgotten_when_they_have_ended(
    phone: Phone, measured: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adb.Adb, "close", lambda connection: None)
    assert measured()["chosen"]
    (there,) = phone.left
    assert {"script", "answers"} <= {one.name for one in there.iterdir()}
    assert not {"shell", "child"} & {one.name for one in there.iterdir()}, "another may have them by now"


def test_what_killed_runs_left_there_is_removed_after_an_hour(
    phone: Phone, measured: Callable[..., dict[str, Any]]
) -> None:
    old, new, other = (phone.folder / "tmp" / name for name in ("edgearch-old", "edgearch-new", "theirs"))
    for one in (old, new, other):
        one.mkdir()
    for one in (old, other):
        os.utime(one, (time.time() - 4000,) * 2)
    measured()
    assert sorted(phone.left) == [new, other]


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
    assert _running_of(phone) == []


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


def test_runtime_has_the_version_that_benchmark_model_prints_of_itself() -> None:
    assert _benchmark_model.version("INFO: LiteRT runtime version: 2.1.0\nINFO: STARTING!") == "2.1.0"
    unsaid = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: no op of version '99'"
    assert _benchmark_model.version(unsaid) is None


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
