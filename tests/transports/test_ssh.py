"""Send, call and receive over a real ssh connection, and every way in which that fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from edgearch import profiles
from edgearch.errors import DeviceError, RequestError
from edgearch.profiles import Host
from edgearch.transports import _agent, _ssh_complaints, ssh
from edgearch.work import silent
from tests.sshd import ALIAS, Sshd, descendants, free_port, living, wait_until

HELLO = {"do": "hello", "files": []}
ODD_NAMES = [
    "two words",
    "-rf",
    'it\'s "odd"',
    "glob*[a]?",
    "back\\slash",
    "line\nbreak",
    "ümlaut ✓",
    "$HOME;`id`",
]

RPI = profiles.device("rpi")
# A client of its own process: it connects, asks, and closes as every user of a transport does.
CLIENT = """
import json, sys
from pathlib import Path
from edgearch import profiles
from edgearch.profiles import Host
from edgearch.transports import _agent, ssh
from edgearch.work import silent

given = json.loads(sys.argv[1])
if given["agent"]:
    _agent.packed_agent = lambda: Path(given["agent"])
connection = ssh.connect(profiles.device("rpi"), Host.model_validate(given["host"]))
try:
    print("connected", flush=True)
    if given["send"]:
        connection.send(Path(given["send"]), "big.bin")
    connection.call({"do": "linger"}, silent)
finally:
    connection.close()
"""
# The real agent with one verb more: it starts a child, says who both are, and waits.
LINGERING_AGENT = """
import json, os, pathlib, subprocess, sys
from edgearch.agent import main

def linger(request):
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path("pids.part").write_text(json.dumps([os.getpid(), child.pid]))
    pathlib.Path("pids.part").rename("pids")
    child.wait()
    return {}

main.VERBS["linger"] = linger
sys.exit(main.main(REQUEST))
"""


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    """Four megabytes that do not compress."""
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(4_000_000))
    return path


@pytest.fixture
def sockets() -> Iterator[Path]:
    """An empty folder with a path that leaves room for a socket's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def failure(host: Host) -> str:
    """Return what a failed connection says."""
    with pytest.raises(DeviceError) as caught:
        ssh.connect(RPI, host)
    return str(caught.value)


def on_device(sshd: Sshd) -> set[str]:
    return {path.name for path in sshd.device_folder.iterdir()}


def lingering_agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent-lingering.pyz"
    with zipfile.ZipFile(_agent.packed_agent()) as real, zipfile.ZipFile(path, "w") as packed:
        for name in real.namelist():
            packed.writestr(name, LINGERING_AGENT if name == "__main__.py" else real.read(name))
    return path


def start_client(
    sshd: Sshd, sockets: Path, agent: Path | None = None, send: Path | None = None
) -> subprocess.Popen[str]:
    given = {
        "host": sshd.host.model_dump(mode="json"),
        "agent": str(agent) if agent else None,
        "send": str(send) if send else None,
    }
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, json.dumps(given)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(sockets)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


# What works


@pytest.mark.parametrize("name", ODD_NAMES)
def test_file_with_an_odd_local_path_makes_the_round_trip(sshd: Sshd, tmp_path: Path, name: str) -> None:
    folder = tmp_path / f"in {name}"
    folder.mkdir()
    content = os.urandom(70_000)
    (folder / name).write_bytes(content)
    connection = ssh.connect(RPI, sshd.host)
    try:
        connection.send(folder / name, "bundle.zip")
        answer = connection.call({"do": "hello", "files": ["bundle.zip", "other.zip"]}, silent)
        connection.receive("bundle.zip", folder / f"{name} back")
    finally:
        connection.close()
    assert answer["files"] == ["bundle.zip"]
    assert (folder / f"{name} back").read_bytes() == content
    assert {path.name for path in folder.iterdir()} == {name, f"{name} back"}


def test_relative_path_is_sent_from_where_the_user_stands(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here.bin").write_bytes(b"here")
    monkeypatch.chdir(tmp_path)
    connection = ssh.connect(RPI, sshd.host)
    try:
        connection.send(Path("here.bin"), "sent.bin")
        connection.receive("sent.bin", Path("back.bin"))
    finally:
        connection.close()
    assert (sshd.device_folder / "sent.bin").read_bytes() == b"here"
    assert (tmp_path / "back.bin").read_bytes() == b"here"


def test_sending_again_replaces_the_file(sshd: Sshd, tmp_path: Path) -> None:
    connection = ssh.connect(RPI, sshd.host)
    try:
        for content in (b"first, and longer", b"second"):
            (tmp_path / "file").write_bytes(content)
            connection.send(tmp_path / "file", "same.bin")
    finally:
        connection.close()
    assert (sshd.device_folder / "same.bin").read_bytes() == b"second"


def test_hello_says_what_the_device_is(sshd: Sshd) -> None:
    connection = ssh.connect(RPI, sshd.host)
    try:
        machine = connection.call(HELLO, silent)["machine"]
    finally:
        connection.close()
    assert machine["cores"] == os.cpu_count()
    assert machine["free_bytes"] > 0


def test_agent_is_sent_once_and_used_again(sshd: Sshd) -> None:
    said: list[str] = []
    for _ in range(2):
        connection = ssh.connect(RPI, sshd.host)
        try:
            connection.call(HELLO, lambda _, text: said.append(text))
            connection.call(HELLO, lambda _, text: said.append(text))
        finally:
            connection.close()
    agent = _agent.packed_agent()
    assert said == [f"copying {agent.name} ({agent.stat().st_size / 1e6:.1f} MB)"]
    assert on_device(sshd) == {agent.name}


def test_all_calls_and_copies_share_one_connection(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    connection = ssh.connect(RPI, sshd.host)
    try:
        for _ in range(2):
            connection.call(HELLO, silent)
            connection.send(tmp_path / "file", "file")
            connection.receive("file", tmp_path / "back")
    finally:
        connection.close()
    assert sshd.log().count("Accepted publickey") == 1


def test_closing_ends_every_process_and_leaves_no_file(
    sshd: Sshd, sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(sockets))
    before = descendants(os.getpid())
    connection = ssh.connect(RPI, sshd.host)
    ours = descendants(os.getpid()) - before
    connection.call(HELLO, silent)
    assert len(list(sockets.iterdir())) == 1
    connection.close()
    assert len(ours) >= 2  # ssh and its guard
    assert not living(ours)
    assert not list(sockets.iterdir())


def test_users_own_config_cannot_make_the_connection_outlive_us(sshd: Sshd) -> None:
    sshd.configure(ControlMaster="auto", ControlPersist="yes", ControlPath=str(sshd.folder / "theirs"))
    sshd.configure(RemoteCommand="echo no", LocalForward=f"{free_port()} localhost:1", LogLevel="QUIET")
    before = descendants(os.getpid())
    connection = ssh.connect(RPI, sshd.host)
    ours = descendants(os.getpid()) - before
    connection.call(HELLO, silent)
    connection.close()
    assert not living(ours)
    assert not (sshd.folder / "theirs").exists()


def test_jump_host_of_the_users_config_is_used_and_ends_too(sshd: Sshd) -> None:
    entry = sshd.config.read_text(encoding="utf-8")
    behind = entry.replace(f"Host {ALIAS}", f"Host behind\n  ProxyJump {ALIAS}")
    sshd.config.write_text(entry + behind, encoding="utf-8")
    before = descendants(os.getpid())
    connection = ssh.connect(RPI, sshd.host.model_copy(update={"address": "behind"}))
    ours = descendants(os.getpid()) - before
    assert connection.call(HELLO, silent)["files"] == []
    connection.close()
    assert sshd.log().count("Accepted publickey") == 2
    assert len(ours) >= 3  # ssh, its guard and the ssh to the jump host
    wait_until(lambda: not living(ours))


def test_temporary_folder_with_a_long_odd_path_leaves_room_for_the_socket(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / ("long 100%h " * 9)
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    connection = ssh.connect(RPI, sshd.host)
    try:
        assert connection.call(HELLO, silent)["files"] == []
    finally:
        connection.close()


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "fish", "tcsh"])
def test_command_reads_the_same_in_every_login_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    request = {"folder": str(tmp_path / "made"), "agent": "none.pyz"}
    done = subprocess.run(
        [shell, "-c", ssh.COMMAND], input=json.dumps(request), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"missing": "none.pyz"}
    assert (tmp_path / "made").is_dir()


# What cannot be reached


def test_name_that_does_not_resolve_is_said(sshd: Sshd) -> None:
    said = failure(Host(address="pi@no-such-host.invalid", ssh_config=sshd.config))
    assert "pi@no-such-host.invalid: the name does not resolve" in said
    assert "Could not resolve hostname" in said


def test_refused_connection_names_the_remedy(sshd: Sshd) -> None:
    sshd.stop()
    said = failure(sshd.host)
    assert "nothing answers on that port" in said
    assert "Connection refused" in said
    assert "systemctl enable --now ssh" in said


def test_port_of_the_entry_is_used(sshd: Sshd) -> None:
    port = free_port()
    assert f"port {port}: Connection refused" in failure(sshd.host.model_copy(update={"port": port}))


@pytest.mark.parametrize("checking", ["yes", "ask"])
def test_unknown_host_key_is_not_accepted_and_nobody_is_asked(sshd: Sshd, checking: str) -> None:
    sshd.known_hosts.write_text("", encoding="utf-8")
    sshd.configure(StrictHostKeyChecking=checking)
    said = failure(sshd.host)
    assert "its host key is not known here" in said
    assert f"ssh -F {sshd.config} {ALIAS}" in said
    assert not sshd.known_hosts.read_text(encoding="utf-8")


def test_changed_host_key_says_what_it_may_mean(sshd: Sshd) -> None:
    sshd.know(sshd.new_key("another_host_key"))
    said = failure(sshd.host)
    assert "its host key is not the one known" in said
    assert "Host key verification failed" in said
    assert "somebody may be answering in its place" in said
    assert "ssh-keygen -R" in said


def test_key_that_the_device_does_not_know_names_ssh_copy_id(sshd: Sshd) -> None:
    sshd.configure(IdentityFile=f'"{sshd.new_key("another_user_key")}"')
    said = failure(sshd.host)
    assert "Permission denied" in said
    assert f"ssh-copy-id {ALIAS}" in said


def test_server_that_hangs_up_is_said(sshd: Sshd) -> None:
    sshd.cut_after(1)
    assert "hangs up before the login" in failure(sshd.host)


def test_ssh_config_that_is_no_file_is_a_wrong_request(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"ssh_config names .*nowhere, which is no file"):
        ssh.connect(RPI, sshd.host.model_copy(update={"ssh_config": tmp_path / "nowhere"}))


def test_machine_without_an_ssh_client_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "sudo apt install openssh-client" in failure(Host(address="pi@127.0.0.1"))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("ssh: connect to host 10.0.0.9 port 22: Connection timed out", "cannot be reached"),
        ("ssh: connect to host 10.0.0.9 port 22: Operation timed out", "cannot be reached"),
        ("Connection timed out during banner exchange", "cannot be reached"),
        ("ssh: connect to host 10.0.0.9 port 22: No route to host", "cannot be reached"),
        ("ssh: connect to host 10.0.0.9 port 22: Network is unreachable", "cannot be reached"),
        ("pi@10.0.0.9: Permission denied (publickey,password).", "does not accept your key"),
        ("Received disconnect from 10.0.0.9 port 22:2: Too many authentication failures", "your key"),
        ("kex_exchange_identification: Connection closed by remote host", "hangs up before the login"),
        ("/home/me/.ssh/config: line 3: Bad configuration option: hots", "its configuration"),
        ("Unable to negotiate with 10.0.0.9 port 22: no matching host key type found.", "no algorithm"),
    ],
)
def test_what_openssh_says_at_the_login_is_understood(said: str, meant: str) -> None:
    complaint = _ssh_complaints.find(said, _ssh_complaints.LOGIN)
    assert complaint is not None
    assert meant in complaint.means


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("mux_client_request_session: session request failed: Session open refused by peer", "a session"),
        ("Received message too long 1751478637", "prints text"),
        ('dest open "/data/.part-1": Permission denied', "{folder} cannot be made or written"),
        ("PermissionError: [Errno 13] Permission denied: '/data'", "{folder} cannot be made or written"),
        ("OSError: [Errno 28] No space left on device: 'x'", "the disk is full"),
        ('write local "part": No space left on device', "this machine's disk is full"),
    ],
)
def test_what_openssh_says_in_a_session_is_understood(said: str, meant: str) -> None:
    complaint = _ssh_complaints.find(said, _ssh_complaints.SESSION)
    assert complaint is not None
    assert meant in complaint.means


@pytest.mark.parametrize(
    "address",
    ["-oProxyCommand=touch pwned", "--", "pi@-oProxyCommand=x", "pi@host;id", "$(id)", "a b", "h\n", ""],
)
def test_address_that_is_more_than_an_address_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "config_file", lambda: tmp_path / "config.toml")
    with pytest.raises(RequestError, match="is no host"):
        profiles.host_for("rpi", address)
    (tmp_path / "config.toml").write_text(f"[hosts.pi]\naddress = {json.dumps(address)}\n", encoding="utf-8")
    with pytest.raises(RequestError, match="an alias of your ssh config"):
        profiles.host_for("rpi", "pi")


@pytest.mark.parametrize(
    "folder", ["-rf", "a/../../etc", "..", "a b", 'a"b', "a\nb", "a*", "~pi/x", "$HOME", ""]
)
def test_device_folder_that_is_more_than_a_path_is_refused(folder: str) -> None:
    with pytest.raises(ValidationError, match="a folder such as"):
        Host(address="pi", folder=folder)


def test_device_folder_may_be_given_from_the_home_folder() -> None:
    assert Host(address="pi", folder="~/models/edge-arch").folder == "models/edge-arch"
    assert Host(address="pi", folder="/data/a.b").folder == "/data/a.b"


# What the device lacks


def test_device_without_python_names_the_package(sshd: Sshd) -> None:
    sshd.stop()
    sshd.start('ForceCommand PATH=/nonexistent /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(DeviceError, match=r"has no python3 .*sudo apt install python3"):
            connection.call(HELLO, silent)
    finally:
        connection.close()


def test_device_with_an_old_python_says_which(sshd: Sshd) -> None:
    old = sshd.folder / "old"
    old.mkdir()
    pretend = "import sys; sys.version_info = (3, 7, 3); sys.version = '3.7.3 (old)'; exec(sys.argv[1])"
    (old / "python3").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "{pretend}" "$3"\n', encoding="utf-8"
    )
    (old / "python3").chmod(0o755)
    sshd.stop()
    sshd.start(f'ForceCommand PATH="{old}" /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(DeviceError, match=r"Python is too old \(.*found 3\.7\.3\)\. Install a newer"):
            connection.call(HELLO, silent)
    finally:
        connection.close()


def test_device_without_sftp_names_the_package(sshd: Sshd) -> None:
    sshd.stop()
    sshd.start("Subsystem another /bin/false")
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(DeviceError, match=r"offer no sftp .*apt install openssh-sftp-server"):
            connection.call(HELLO, silent)
    finally:
        connection.close()


def test_full_disk_is_said_and_nothing_stays(sshd: Sshd, big_file: Path) -> None:
    sshd.stop()
    sshd.start(small_files=True)
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(DeviceError, match=r"most often the disk is full .*df -h"):
            connection.send(big_file, "big.bin")
    finally:
        connection.close()
    assert on_device(sshd) == {_agent.packed_agent().name}


def test_folder_that_cannot_be_made_is_said(sshd: Sshd) -> None:
    sshd.device_folder.write_bytes(b"a file where the folder should be")
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(
            DeviceError, match=r"cannot be made or written there .*File exists.*Name another folder"
        ):
            connection.call(HELLO, silent)
    finally:
        connection.close()


def test_file_that_the_device_does_not_have_is_said_and_nothing_appears(sshd: Sshd, tmp_path: Path) -> None:
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(DeviceError, match=r"fetching no\.npz .*not found"):
            connection.receive("no.npz", tmp_path / "no.npz")
    finally:
        connection.close()
    assert {path.name for path in tmp_path.iterdir()} == {"sshd"}


def test_name_that_is_a_path_never_reaches_sftp(sshd: Sshd, tmp_path: Path) -> None:
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(ValueError, match="a plain file name"):
            connection.receive("../secret", tmp_path / "secret")
    finally:
        connection.close()


# What is cut in the middle


def test_cut_in_the_middle_of_a_copy_leaves_no_half_file_and_the_next_run_succeeds(
    sshd: Sshd, tmp_path: Path, big_file: Path
) -> None:
    sshd.cut_after(1_000_000)
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(DeviceError, match=r"lost while copying big\.bin .*goes on at `measure`"):
            connection.send(big_file, "big.bin")
        with pytest.raises(DeviceError, match="lost while the agent answered 'hello'"):
            connection.call(HELLO, silent)
    finally:
        connection.close()
    agent, half = sorted(on_device(sshd), reverse=True)
    assert agent == _agent.packed_agent().name
    assert half.startswith(".part-")
    assert 0 < (sshd.device_folder / half).stat().st_size < 4_000_000

    sshd.start()
    connection = ssh.connect(RPI, sshd.host)
    try:
        connection.send(big_file, "big.bin")
    finally:
        connection.close()
    assert (sshd.device_folder / "big.bin").read_bytes() == big_file.read_bytes()


def test_cut_in_the_middle_of_fetching_leaves_no_half_file(
    sshd: Sshd, tmp_path: Path, big_file: Path
) -> None:
    sshd.device_folder.mkdir()
    shutil.copy(big_file, sshd.device_folder / "outputs.npz")
    back = tmp_path / "back"
    back.mkdir()
    sshd.cut_after(1_000_000)
    connection = ssh.connect(RPI, sshd.host)
    try:
        with pytest.raises(DeviceError, match=r"lost while fetching outputs\.npz"):
            connection.receive("outputs.npz", back / "outputs.npz")
    finally:
        connection.close()
    assert not list(back.iterdir())


def test_cut_while_the_agent_works_is_said(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = lingering_agent(tmp_path)
    monkeypatch.setattr(_agent, "packed_agent", lambda: agent)
    connection = ssh.connect(RPI, sshd.host)

    def cut() -> None:
        wait_until((sshd.device_folder / "pids").exists)
        sshd.stop()

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        with pytest.raises(DeviceError, match="lost while the agent answered 'linger'"):
            connection.call({"do": "linger"}, silent)
    finally:
        cutter.join()
        connection.close()


def test_agent_that_is_killed_on_the_device_is_no_lost_connection(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, pids = lingering_agent(tmp_path), sshd.device_folder / "pids"
    monkeypatch.setattr(_agent, "packed_agent", lambda: agent)

    def kill() -> None:
        wait_until(pids.exists)
        for pid in json.loads(pids.read_text(encoding="utf-8")):
            os.kill(pid, signal.SIGKILL)

    connection = ssh.connect(RPI, sshd.host)
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(DeviceError, match="the agent was killed there"):
            connection.call({"do": "linger"}, silent)
    finally:
        killer.join()
        connection.close()


def test_answer_that_was_cut_in_the_middle_is_none() -> None:
    assert _agent.Answer(255, '{"runtimes": [{"name": "lit', []).document is None
    assert _agent.Answer(0, 'a greeting\n{"files": []}\n', []).document == {"files": []}


def test_program_that_ends_before_it_reads_its_request_is_no_crash() -> None:
    answer = _agent.converse([sys.executable, "-c", "raise SystemExit(9)"], {"x": "y" * 1_000_000}, silent)
    assert answer.status == 9
    assert answer.document is None


# Who ends with us


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_client_leaves_nothing_running_here_or_on_the_device(
    sshd: Sshd, sockets: Path, tmp_path: Path, how: signal.Signals
) -> None:
    pids = sshd.device_folder / "pids"
    with start_client(sshd, sockets, agent=lingering_agent(tmp_path)) as client:
        wait_until(lambda: pids.exists() or client.poll() is not None)
        there = set(json.loads(pids.read_text(encoding="utf-8")))
        here = descendants(client.pid)
        assert living(there) == there
        assert len(here) >= 3  # the connection, its guard and the call
        assert len(list(sockets.iterdir())) == 1
        client.send_signal(how)
        client.communicate(timeout=60)
    wait_until(lambda: not living(there))
    wait_until(lambda: not living(here))
    wait_until(lambda: not list(sockets.iterdir()))


def test_device_that_falls_silent_does_not_hold_an_interrupted_client(
    sshd: Sshd, sockets: Path, tmp_path: Path
) -> None:
    pids = sshd.device_folder / "pids"
    with start_client(sshd, sockets, agent=lingering_agent(tmp_path)) as client:
        wait_until(lambda: pids.exists() or client.poll() is not None)
        here = descendants(client.pid)
        for pid in sshd.sessions():
            os.kill(pid, signal.SIGSTOP)
        client.send_signal(signal.SIGINT)
        try:
            wait_until(lambda: client.poll() is not None)  # sooner than ssh itself finds out
        finally:
            client.kill()
            client.communicate()
    wait_until(lambda: not living(here))
    assert not list(sockets.iterdir())


def test_client_killed_in_the_middle_of_a_copy_leaves_nothing_running(
    sshd: Sshd, sockets: Path, big_file: Path
) -> None:
    stalled = sshd.stall_after(1_000_000)
    with start_client(sshd, sockets, send=big_file) as client:
        wait_until(lambda: stalled.is_set() or client.poll() is not None)
        here = descendants(client.pid)
        assert len(here) >= 4  # the connection, its guard, sftp and its ssh
        client.kill()
        client.communicate(timeout=60)
    wait_until(lambda: not living(here))
    wait_until(lambda: not list(sockets.iterdir()))
    wait_until(lambda: not sshd.sessions())
    assert "big.bin" not in on_device(sshd)
