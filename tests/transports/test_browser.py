"""The browser as a device: a real Chromium, driven through a page of ours on loopback."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest

from edgearch import profiles, transports
from edgearch.errors import DeviceError
from edgearch.runtimes import litert_gpu
from edgearch.stages import package
from edgearch.transports import _browser_program, _browser_server, _litertjs
from edgearch.transports import browser as browser_transport
from edgearch.transports._browser_server import Server
from edgearch.work import silent
from tests.conftest import Deployed, Done

SECONDS_TO_NOTICE = 10


@pytest.fixture(scope="session")
def browser() -> None:
    try:
        _browser_program.find()
    except DeviceError as error:
        pytest.skip(str(error))
    if shutil.which("npm") is None:
        pytest.skip("no npm to fetch LiteRT.js with (sudo apt install npm)")


@pytest.fixture(scope="module")
def in_browser(browser: None, deployed: Deployed) -> Done:
    return deployed.again("deploy", "cnn", "--device", "browser", "--json")


def test_cnn_runs_in_a_page_as_webassembly(in_browser: Done, deployed: Deployed) -> None:
    assert in_browser.code == 0, in_browser.stderr
    document = in_browser.document
    wasm, _ = document["runtimes"]
    assert (wasm["name"], wasm["where"], wasm["chosen"]) == ("litertjs-wasm", "device", True)
    assert wasm["parity"]["model"]["ok"]
    assert wasm["latency_ms"]["runs"] >= 30
    assert document["where"] == "device"
    assert "Chrom" in document["machine"]["browser"]
    here = deployed.done.document["score"]["float"]
    assert abs(document["score"]["deployed"] - here) <= 1 / 360  # float16 may turn one digit


def test_webgpu_is_measured_and_labelled_emulated_where_software_plays_it(in_browser: Done) -> None:
    _, webgpu = in_browser.document["runtimes"]
    assert "set_aside" not in webgpu, webgpu
    assert webgpu["parity"]["model"]["ok"]
    if not litert_gpu.has_gpu():
        assert (webgpu["where"], webgpu["chosen"]) == ("emulated", False)
        assert "swiftshader" in webgpu["processor"]["name"].lower()


def test_step_keeps_its_state_and_the_fused_sequence_is_left_out(browser: None, recurrent: Deployed) -> None:
    done = recurrent.again("deploy", "lstm", "--device", "browser", "--json", *recurrent.settings)
    assert done.code == 0, done.stderr
    wasm, _ = done.document["runtimes"]
    assert wasm["steps"] == 8
    assert wasm["parity"]["step"]["ok"]
    assert any("no UNIDIRECTIONAL_SEQUENCE_LSTM" in note for note in done.document["notes"])


def test_threads_of_a_profile_are_used_by_webassembly(in_browser: Done, deployed: Deployed) -> None:
    bundle = deployed.folder / "build" / "deployments" / "cnn-resnet8-digits-browser-float16" / "bundle"
    device = profiles.device("browser")
    connection = transports.connect(device, None)
    try:
        connection.send(package.pack(bundle, deployed.folder / "threads.zip"), "bundle.zip")
        answer = connection.call(
            {
                "do": "measure", "bundle": "bundle.zip", "keep": "outputs.npz", "threads": 2, "seconds": 0.5,
                "runtimes": device.requirements, "where": "device", "timeout_seconds": 120,
            },
            silent,
        )  # fmt: skip
    finally:
        connection.close()
    wasm, webgpu = answer["runtimes"]
    assert "set_aside" not in wasm, wasm
    assert wasm["parity"]["model"]["ok"]
    assert wasm["threads"] == min(2, os.cpu_count() or 1)
    assert webgpu["threads"] == 1


def test_means_of_several_inferences_show_no_percentile_beyond_the_median() -> None:
    times = [1.0 + number for number in range(31)]
    single = browser_transport.summarize(times, together=1)
    assert {"p50", "p90", "p99", "histogram"} <= set(single)
    means = browser_transport.summarize(times, together=8)
    assert set(means) == {"p50", "runs", "medians", "timed_together"}
    assert (means["p50"], means["runs"], means["timed_together"]) == (16.0, 31, 8)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 3", "the browser ended (exit status 3)"),
        ("sleep 1; kill -9 $$", "the browser ended"),
        (
            "echo '[7:7:1125/024434.56:FATAL:content/zygote.cc(128)] No usable sandbox!' >&2; exit 1",
            "the browser ended (exit status 1): No usable sandbox!",
        ),
    ],
)
def test_browser_that_ends_is_named_and_nothing_is_left(
    browser: None, deployed: Deployed, tmp_path: Path, script: str, words: str
) -> None:
    program = tmp_path / "chrome"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    done = deployed.again(
        "deploy", "cnn", "--device", "browser", "--again", "measure", CHROME_PATH=str(program)
    )
    assert (done.code, done.stdout) == (3, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(program) not in running


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", ""),
        (
            "chromium: error while loading shared libraries: libnss3.so: cannot open shared object file\n\n",
            "chromium: error while loading shared libraries: libnss3.so: cannot open shared object file",
        ),
        (
            "[7:7:1125/024434.56:ERROR:content/zygote_host.cc:103] Running as root without --no-sandbox\n"
            "[7:9:1125/024434.57:ERROR:dbus/bus.cc:405] Failed to connect to the bus: no such file\n",
            "Running as root without --no-sandbox",
        ),
        (
            "[0101/1.2:FATAL:zygote_host_impl_linux.cc(128)] No usable sandbox! See https://crbug.com\n"
            "#0 0x55d3 base::debug::CollectStackTrace()\n"
            "  r8: 0000000000000000  r9: 0000000000000000\n"
            "[end of stack trace]\n"
            "[7:7:1125/024434.58:ERROR:gpu_process_host.cc:1] GPU process exited\n",
            "No usable sandbox! See https://crbug.com",
        ),
    ],
)
def test_complaint_that_says_why_a_browser_ended_is_found(said: str, why: str) -> None:
    assert _browser_program.complaint(said) == why


def test_page_that_crashes_is_noticed_within_seconds(browser: None, tmp_path: Path) -> None:
    litertjs = _litertjs.folder(_litertjs.version(profiles.requirements("litertjs-wasm")), silent)
    server = Server({"litertjs": litertjs, "bundle": tmp_path})
    address = f"{server.url('measure.html')}?accelerator=wasm&threads=1"
    with server.running(), _browser_program.started(_browser_program.find(), address) as running:
        page = browser_transport.Page(server, running, timeout_seconds=900)
        for renderer in renderers(running.child.pid):
            os.kill(renderer, signal.SIGKILL)
        start = time.monotonic()
        with pytest.raises(browser_transport.GoneError, match="the page crashed"):
            page.ask({"do": "open", "file": "model.tflite"})
        assert time.monotonic() - start < SECONDS_TO_NOTICE
        assert running.end() is None


def renderers(session: int) -> list[int]:
    """Return the processes that run pages, of the browser that leads ``session``."""
    listed = subprocess.run(
        ["ps", "-ww", "-s", str(session), "-o", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [int(line.split()[0]) for line in listed if "--type=renderer" in line]


def test_command_line_of_the_browser_does_not_tell_the_secret(server: Server, tmp_path: Path) -> None:
    program, seen = tmp_path / "chrome", tmp_path / "seen"
    told = f'printf "%s\\n" "$@" > {seen}.part; mv {seen}.part {seen}'
    program.write_text(f"#!/bin/sh\n{told}; exec sleep 60\n")
    program.chmod(0o755)
    address = f"{server.url('measure.html')}?accelerator=wasm&threads=1"
    with _browser_program.started(str(program), address):
        wait_for(seen.exists)
        arguments = seen.read_text()
        assert secret_of(server) not in arguments
        file = Path(url2pathname(urlsplit(arguments.splitlines()[-1]).path))
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert address.replace("&", "&amp;") in file.read_text()
    assert not file.exists()


def test_missing_browser_is_named(deployed: Deployed) -> None:
    done = deployed.again(
        "deploy", "cnn", "--device", "browser", "--again", "measure", CHROME_PATH="/nowhere/chrome"
    )
    assert (done.code, done.stdout) == (3, "")
    assert "/nowhere/chrome" in done.stderr
    assert "CHROME_PATH" in done.stderr


def test_missing_npm_says_what_to_install(browser: None, deployed: Deployed, tmp_path: Path) -> None:
    chrome = _browser_program.find()
    done = deployed.again(
        "deploy", "cnn", "--device", "browser", "--again", "measure",
        CHROME_PATH=chrome, PATH="/nowhere", XDG_CACHE_HOME=str(tmp_path),
    )  # fmt: skip
    assert (done.code, done.stdout) == (3, "")
    assert "sudo apt install npm" in done.stderr


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without LiteRT.js, in a home that has packages of its user's."""
    (tmp_path / "home" / "node_modules").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    return tmp_path / "home" / "cache" / "edgearch"


def test_packages_of_the_user_are_left_alone(browser: None, cache: Path) -> None:
    wanted = _litertjs.version(profiles.requirements("litertjs-wasm"))
    found = _litertjs.folder(wanted, silent)
    assert found == cache / f"litertjs-{wanted}"
    assert (found / "core" / "wasm").is_dir()
    home = cache.parent.parent
    assert sorted(path.name for path in home.iterdir()) == ["cache", "node_modules"]
    assert not any((home / "node_modules").iterdir())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("npm WARN old lockfile\nnpm ERR! code ENOTFOUND\nnpm ERR! syscall", "npm ERR! code ENOTFOUND"),
        ("npm warn old lockfile\nnpm error code E404\nnpm error 404", "npm error code E404"),
        ("env: node: No such file or directory", "env: node: No such file or directory"),
        ("", "it said nothing"),
    ],
)
def test_what_npm_says_is_told(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, why: str
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\nprintf '{said}' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=os.pathsep)
    with pytest.raises(DeviceError, match=re.escape(f"({why}). It needs the network")):
        _litertjs.folder("2.5.3", silent)


def test_int8_is_refused_with_what_to_choose(deployed: Deployed) -> None:
    done = deployed.again("deploy", "cnn", "--device", "browser", "--pipeline", "int8")
    assert done.code == 1
    assert "does not run int8" in done.stderr
    assert "float16" in done.stderr


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model.tflite").write_bytes(b"model")
    (tmp_path / "secret").write_text("secret")
    made = Server({"bundle": tmp_path / "bundle"})
    with made.running():
        yield made


def secret_of(server: Server) -> str:
    return urlsplit(server.url("")).path.split("/")[1]


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS_TO_NOTICE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def status(server: Server, path: str, host: str | None = None) -> int:
    with said(server, "GET", path, host or urlsplit(server.url("")).netloc) as connection:
        return int(connection.recv(4096).split()[1])


def said(server: Server, method: str, path: str, host: str = "", head: str = "") -> socket.socket:
    """Return a connection to ``server`` on which a request was sent."""
    address = urlsplit(server.url(""))
    connection = socket.create_connection((address.hostname, address.port), timeout=10)
    connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host or address.netloc}\r\n{head}\r\n".encode())
    return connection


def test_server_gives_files_to_those_who_know_the_secret_only(server: Server) -> None:
    secret = secret_of(server)
    assert status(server, f"/{secret}/bundle/model.tflite") == 200
    assert status(server, f"/{secret}/pages/measure.html") == 200
    assert status(server, f"/{secret}/bundle/model.tflite", host="evil.example") == 404
    assert status(server, "/guess/bundle/model.tflite") == 404
    assert status(server, f"/{secret}/bundle/../secret") == 404
    assert status(server, f"/{secret}/bundle/%2e%2e/secret") == 404
    assert status(server, f"/{secret}/other/model.tflite") == 404


def test_server_notices_that_the_page_is_gone(server: Server) -> None:
    with said(server, "GET", f"/{secret_of(server)}/alive") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert not server.page_is_gone.wait(timeout=0.3)
    assert server.page_is_gone.wait(timeout=SECONDS_TO_NOTICE)


@pytest.mark.parametrize("length", ["many", "-1", "", "99999999999999"])
def test_secret_is_checked_before_a_length_and_a_wrong_length_is_refused(
    server: Server, capfd: pytest.CaptureFixture[str], length: str
) -> None:
    for path in ("/guess/line", f"/{secret_of(server)}/line"):
        with said(server, "POST", path, head=f"Content-Length: {length}\r\n") as connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 404")
    assert capfd.readouterr().err == ""


def test_page_that_closes_while_a_reply_is_due_leaves_the_terminal_alone(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    before = threading.active_count()
    connection = said(server, "POST", f"/{secret_of(server)}/line", head="Content-Length: 12\r\n")
    connection.sendall(b'{"arrays":[]')
    wait_for(lambda: threading.active_count() > before)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
    connection.close()
    server.say({"do": "run"}, {"x": np.zeros(2**20, np.float32)})
    wait_for(lambda: threading.active_count() == before)
    assert capfd.readouterr().err == ""


def test_page_that_waits_for_a_command_is_let_go_at_the_end() -> None:
    before = threading.active_count()
    made = Server({})
    with made.running():
        line = f"/{secret_of(made)}/line"
        waiting = [said(made, "POST", line, head="Content-Length: 0\r\n") for _ in range(2)]
        wait_for(lambda: threading.active_count() == before + 1 + len(waiting))
    wait_for(lambda: threading.active_count() == before)
    for connection in waiting:
        assert connection.recv(4096) == b""
        connection.close()


def test_message_comes_out_as_it_went_in() -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "none": np.zeros((0, 4), np.uint8)}
    header, found = _browser_server.unpack(_browser_server.pack({"do": "run"}, arrays))
    assert header == {"do": "run"}
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)
