"""The agent: sums, parity, runtimes set aside, reset, environments; as it runs on a device."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgearch.agent import bundle, driving, environment, measuring, worker
from edgearch.agent.failure import AgentError
from edgearch.stages import _bundle, package
from edgearch.transports import _agent
from tests.conftest import Deployed


@pytest.fixture
def archive(deployed: Deployed, tmp_path: Path) -> Path:
    return package.pack(deployed.bundle, tmp_path / "bundle.zip")


def request_for(archive: Path, **changes: Any) -> dict[str, Any]:
    request = {
        "do": "measure",
        "agent": str(_agent.packed_agent()),
        "bundle": str(archive),
        "keep": str(archive.parent / "kept.npz"),
        "runtimes": {"litert": []},
        "threads": 1,
        "seconds": 0,
        "timeout_seconds": 60,
        "where": "stand-in",
    }
    return {**request, **changes}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let this Python stand in for every runtime's environment, and an empty folder for the device's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "prepare", lambda name, requirements, say: sys.executable)


def silent(_text: str) -> None:
    pass


def test_same_input_twice_gives_the_same_output(here: None, deployed: Deployed, tmp_path: Path) -> None:
    with np.load(deployed.bundle / "inputs.npz") as arrays:
        first = arrays["model/image"][:1]
    twice = {"model/image": np.concatenate([first, first])}
    folder = _bundle.write(tmp_path / "b", {"model": deployed.bundle / "model.tflite"}, "int8", twice, {})
    answer = measuring.measure(request_for(package.pack(folder, tmp_path / "b.zip")), silent)
    assert answer["runtimes"][0]["chosen"]
    with np.load(tmp_path / "kept.npz") as outputs:
        np.testing.assert_array_equal(outputs["model/logits"][0], outputs["model/logits"][1])


def test_damaged_bundle_is_refused(here: None, archive: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[:-1] + b"!" if name == "model.tflite" else content)
    with pytest.raises(AgentError, match=r"model\.tflite arrived damaged"):
        bundle.unpack(str(damaged))
    assert not list(tmp_path.glob("run-*"))


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", ".."])
def test_bundle_that_would_write_elsewhere_is_refused(here: None, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(AgentError, match="not a plain file name"):
        bundle.unpack(str(tmp_path / "evil.zip"))
    assert not list(tmp_path.glob("run-*"))


def test_cut_archive_is_refused(here: None, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(AgentError, match="arrived damaged"):
        bundle.unpack(str(archive))


def test_runtime_that_crashes_is_set_aside_and_the_others_go_on(
    here: None, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing = tmp_path / "crashing-python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    pythons = {"litert": sys.executable, "old": str(crashing)}
    monkeypatch.setattr(environment, "prepare", lambda name, requirements, say: pythons[name])
    request = request_for(archive, runtimes={"old": [], "litert": []})
    old, litert = measuring.measure(request, silent)["runtimes"]
    assert old == {"name": "old", "set_aside": "crashed with SIGSEGV", "chosen": False}
    assert litert["chosen"]


def test_runtime_that_disagrees_is_set_aside(here: None, deployed: Deployed, tmp_path: Path) -> None:
    with np.load(deployed.bundle / "inputs.npz") as arrays:
        inputs = {"model/image": arrays["model/image"][:20]}
    wrong = {"model/logits": np.random.default_rng(0).normal(0, 10, (20, 10)).astype(np.float32)}
    folder = _bundle.write(tmp_path / "b", {"model": deployed.bundle / "model.tflite"}, "int8", inputs, wrong)
    answer = measuring.measure(request_for(package.pack(folder, tmp_path / "b.zip")), silent)
    assert "disagrees with the reference kernels" in answer["runtimes"][0]["set_aside"]
    assert not answer["runtimes"][0]["chosen"]
    assert not (tmp_path / "kept.npz").exists()


def test_slow_runtime_is_set_aside(here: None, archive: Path) -> None:
    answer = measuring.measure(request_for(archive, timeout_seconds=0.01), silent)
    assert "took longer than 0.01 s" in answer["runtimes"][0]["set_aside"]


def test_fastest_runtime_that_was_not_set_aside_is_chosen() -> None:
    def runtime(name: str, p50: float, **more: Any) -> dict[str, Any]:
        return {"name": name, "latency_ms": {"p50": p50}, **more}

    quick, wrong, slow = runtime("a", 2), runtime("b", 1, set_aside="disagrees"), runtime("c", 3)
    assert measuring.choose([slow, wrong, quick], "stand-in") == "a"
    assert measuring.choose([wrong], "stand-in") is None


@pytest.mark.parametrize(
    ("found", "ok"), [([0.0, 1.0], True), ([0.02, 0.99], True), ([1.0, 0.0], False), ([np.nan, 1.0], False)]
)
def test_parity_allows_rounding_and_nothing_else(found: list[float], ok: bool) -> None:
    expected = {"logits": np.array([0.0, 1.0])}
    assert worker.parity({"logits": np.array(found)}, expected, "int8")["ok"] is ok


def test_values_are_quantized_with_scale_and_zero_point_and_back() -> None:
    tensor = {"dtype": "int8", "scale": 0.5, "zero_point": -1}
    quantized = driving.to_tensor(np.array([0.0, 0.5, -1.0, 1000.0], np.float32), tensor)
    assert quantized.tolist() == [-1, 0, -3, 127]
    assert driving.from_tensor(quantized[:3], tensor).tolist() == [0.0, 0.5, -1.0]


def bootstrap(request: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", _agent.BOOTSTRAP],
        input=json.dumps(request) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_bootstrap_says_when_the_agent_is_not_there_yet(tmp_path: Path) -> None:
    done = bootstrap({"do": "hello", "folder": str(tmp_path / "new"), "agent": "agent.pyz", "files": []})
    assert json.loads(done.stdout) == {"missing": "agent.pyz"}
    assert (tmp_path / "new").is_dir()


def test_packed_agent_needs_nothing_but_the_standard_library_to_say_hello(tmp_path: Path) -> None:
    agent = str(_agent.packed_agent())
    child = subprocess.Popen(
        ["/usr/bin/python3", "-I", "-c", _agent.BOOTSTRAP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin and child.stdout
    request = {"do": "hello", "folder": str(tmp_path), "agent": agent, "files": ["a", "b"]}
    (tmp_path / "b").touch()
    child.stdin.write(json.dumps(request) + "\n")
    child.stdin.flush()
    document = json.loads(child.stdout.readline())
    child.stdin.close()
    child.wait(timeout=30)
    child.stdout.close()
    assert document["files"] == ["b"]
    assert document["machine"]["cores"] >= 1


Prepare = Callable[..., str]


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_device_without_venv_or_pip_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.chdir(tmp_path)
    find = environment.importlib.util.find_spec
    monkeypatch.setattr(
        environment.importlib.util, "find_spec", lambda name: None if name == module else find(name)
    )
    with pytest.raises(AgentError, match=f"no {module} module.*python3-venv"):
        environment.prepare("litert", ["ai-edge-litert"], silent)


def test_device_without_space_says_how_much_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "NEEDED_BYTES", 10**18)
    with pytest.raises(AgentError, match=r"No space: .* MB free"):
        environment.prepare("litert", ["ai-edge-litert"], silent)


def test_runtime_without_a_wheel_is_set_aside_not_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    request = request_for(archive, runtimes={"tflite-runtime": ["tflite-runtime==999.0"]})
    (runtime,) = measuring.measure(request, silent)["runtimes"]
    assert "no wheel" in runtime["set_aside"]
    assert not runtime["chosen"]


def test_agent_outside_a_runtimes_environment_needs_no_numpy() -> None:
    # a device's own Python has the standard library, and nothing else for sure
    script = (
        "import sys; sys.modules['numpy'] = None\n"
        "from edgearch.agent import bundle, environment, machine, main, measuring\n"
        "print(sorted(main.VERBS), machine.describe()['python'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "measure" in done.stdout


def test_two_deployments_do_not_measure_on_one_machine_at_once(
    here: None, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    at_once, most = 0, 0

    def one(request: dict[str, Any], name: str, folder: Path, say: Any) -> dict[str, Any]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        waiting.wait(timeout=60)  # until the other one has said that it waits
        at_once -= 1
        return {"name": name, "set_aside": "not run"}

    def say(text: str) -> None:
        said.append(text)
        waiting.set()

    waiting = threading.Event()
    monkeypatch.setattr(measuring, "_one", one)
    both = [threading.Thread(target=measuring.measure, args=(request_for(archive), say)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert most == 1
    assert said == ["waiting: another deployment measures on this machine"]
