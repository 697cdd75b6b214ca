"""The browser as a device: a real Chromium, driven through a page of ours on loopback."""

from __future__ import annotations

import http.client
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgearch.errors import DeviceError
from edgearch.runtimes import litert_gpu
from edgearch.transports import _browser_program, _browser_server
from edgearch.transports._browser_server import Server
from tests.conftest import Deployed, Done


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


@pytest.mark.parametrize(
    ("script", "words"),
    [("exit 3", "the browser ended (exit status 3)"), ("sleep 1; kill -9 $$", "the browser ended")],
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


def status(server: Server, path: str, host: str | None = None) -> int:
    address = urlsplit(server.url(""))
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or address.netloc)
    connection.endheaders()
    found = connection.getresponse().status
    connection.close()
    return found


def test_server_gives_files_to_those_who_know_the_secret_only(server: Server) -> None:
    secret = urlsplit(server.url("")).path.split("/")[1]
    assert status(server, f"/{secret}/bundle/model.tflite") == 200
    assert status(server, f"/{secret}/pages/measure.html") == 200
    assert status(server, f"/{secret}/bundle/model.tflite", host="evil.example") == 404
    assert status(server, "/guess/bundle/model.tflite") == 404
    assert status(server, f"/{secret}/bundle/../secret") == 404
    assert status(server, f"/{secret}/bundle/%2e%2e/secret") == 404
    assert status(server, f"/{secret}/other/model.tflite") == 404


def test_message_comes_out_as_it_went_in() -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "none": np.zeros((0, 4), np.uint8)}
    header, found = _browser_server.unpack(_browser_server.pack({"do": "run"}, arrays))
    assert header == {"do": "run"}
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)
