"""Killed, interrupted, doubled: finished stages stay, half-written files never appear, children end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgearch import isolation
from edgearch.errors import RequestError, ToolError
from edgearch.profiles import device
from edgearch.store import Store
from edgearch.work import Request, Work
from tests.conftest import run_edgearch

DEPLOY = ["deploy", "mlp", "--device", "desktop", "--pipeline", "int8", "--json"]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgearch", *DEPLOY],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: object, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def processes_in(session: int) -> list[int]:
    """Return the live processes of a session (field 6 of /proc/PID/stat; state Z is dead)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_deployment_leaves_no_child_and_goes_on_where_it_was(
    tmp_path: Path, how: signal.Signals
) -> None:
    stages = tmp_path / "build" / "stages"
    run = start(tmp_path)
    wait_for(lambda: list(stages.glob("train-*/stage.json")))
    run.send_signal(how)
    _, stderr = run.communicate(timeout=60)
    if how is signal.SIGINT:
        assert run.returncode == 130
        assert "Finished stages are kept" in stderr
    wait_for(lambda: not processes_in(run.pid))
    for folder in stages.iterdir():
        if not folder.name.startswith("."):
            assert (folder / "stage.json").exists()
    done = run_edgearch(*DEPLOY, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert done.document["stages"][0] == {**done.document["stages"][0], "name": "train", "cached": True}


def test_killed_training_is_done_again_from_its_start(tmp_path: Path) -> None:
    stages = tmp_path / "build" / "stages"
    run = start(tmp_path)
    wait_for(lambda: list(stages.glob(".train-*-*/train.log")))
    run.kill()
    run.communicate(timeout=60)
    wait_for(lambda: not processes_in(run.pid))
    assert not list(stages.glob("train-*"))
    done = run_edgearch(*DEPLOY, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert not done.document["stages"][0]["cached"]
    assert not list(stages.glob(".train-*-*")), "what the killed run left was removed"


def test_two_deployments_at_once_share_the_work_and_both_succeed(tmp_path: Path) -> None:
    runs = [start(tmp_path), start(tmp_path)]
    documents = []
    for run in runs:
        stdout, stderr = run.communicate(timeout=300)
        assert run.returncode == 0, stderr
        documents.append(json.loads(stdout))
    assert documents[0]["artifacts"] == documents[1]["artifacts"]
    for position, stage in enumerate(documents[0]["stages"]):
        assert stage["cached"] != documents[1]["stages"][position]["cached"], stage["name"]


def crash(work: Work, settings: object) -> Work:
    os.kill(os.getpid(), signal.SIGSEGV)
    return work


def refuse(work: Work, settings: object) -> Work:
    raise RequestError("a word the user understands")


def fail(work: Work, settings: object) -> Work:
    raise RuntimeError("the converter says no\nand a long trace")


def succeed(work: Work, settings: object) -> Work:
    work.progress(0.5, "half")
    return work.plus(answer=settings)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(Request("mlp", "mlp", "digits", device("rpi"), "classify"), tmp_path)


def in_child(stage: isolation.Stage, work: Work) -> Work:
    log = work.folder / "log"
    return isolation.run(stage, work, 42, what="mlp, stage convert", log=log, remedy="Try another.")


def test_crash_of_a_child_names_model_stage_signal_and_remedy(work: Work) -> None:
    with pytest.raises(ToolError, match=r"mlp, stage convert: .* crashed with SIGSEGV.* Try another"):
        in_child(crash, work)


def test_failure_in_a_child_is_one_line_and_its_trace_is_in_the_log(work: Work) -> None:
    with pytest.raises(ToolError, match="RuntimeError: the converter says no Try another") as caught:
        in_child(fail, work)
    assert "and a long trace" not in str(caught.value)
    assert "and a long trace" in (work.folder / "log").read_text()


def test_error_for_the_user_passes_through_a_child_unchanged(work: Work) -> None:
    with pytest.raises(RequestError, match=r"^a word the user understands$"):
        in_child(refuse, work)


def test_child_returns_values_and_tells_progress(work: Work) -> None:
    told: list[tuple[float | None, str]] = []
    told_work = Work(work.request, work.folder, progress=lambda share, text: told.append((share, text)))
    assert in_child(succeed, told_work).facts == {"answer": 42}
    assert told == [(0.5, "half")]


def test_store_finds_what_was_kept_and_nothing_that_was_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find("train-1") is None
    with store.lock("train-1"):
        scratch = store.scratch("train-1")
        (scratch / "weights").write_text("1 2 3")
        assert store.find("train-1") is None
        store.keep("train-1", scratch, {"weights": scratch / "weights"}, {"epochs": 3}, 1.5)
    kept = store.find("train-1")
    assert kept is not None
    assert kept.files["weights"].read_text() == "1 2 3"
    assert (kept.facts, kept.seconds) == ({"epochs": 3}, 1.5)
    kept.files["weights"].write_text("1 2 4")
    assert store.find("train-1") is None, "damaged files count as unfinished"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_request_to_end_unwinds_and_ends_what_was_started(number: int, tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = (
        "import sys\n"
        "from edgearch import cli, commands, processes\n"
        f"act = lambda *_: processes.run(['sh', '-c', 'echo $$ > {child}; exec sleep 60'], 100)\n"
        "commands.check = act\n"
        "sys.exit(cli.main(['check', 'x.tflite', '--device', 'rpi']))\n"
    )
    ours = subprocess.Popen([sys.executable, "-c", script])
    wait_for(lambda: child.exists() and child.read_text().strip() != "")
    ours.send_signal(number)
    assert ours.wait(timeout=20) == 128 + number
    assert not Path(f"/proc/{child.read_text().strip()}").exists()
