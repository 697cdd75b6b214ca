"""What is plugged in or reachable, as sysfs, adb and a config would tell it."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from edgearch import probing
from tests.conftest import Done


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with nothing plugged in and no config."""
    monkeypatch.setattr(probing, "USB", tmp_path / "usb")
    monkeypatch.setattr(probing, "SERIAL", tmp_path / "serial")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_nothing_plugged_in_is_an_empty_list() -> None:
    assert probing.probe() == []


def test_coral_stick_is_known_by_its_usb_ids(tmp_path: Path) -> None:
    for place, vendor, product in (("1-1", "18d1", "9302"), ("1-2", "1a6e", "089a"), ("1-3", "046d", "c31c")):
        (tmp_path / "usb" / place).mkdir(parents=True)
        (tmp_path / "usb" / place / "idVendor").write_text(f"{vendor}\n")
        (tmp_path / "usb" / place / "idProduct").write_text(f"{product}\n")
    found = probing.probe()
    assert [(one.device, one.ready) for one in found] == [("coral", True)] * 2
    assert "before its first inference" in found[1].detail


def test_board_is_told_by_its_ports_name_and_a_dead_link_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "serial").mkdir()
    (tmp_path / "serial" / "usb-Arduino_Nano_33_BLE_8D2F-if00").symlink_to("/dev/null")
    (tmp_path / "serial" / "usb-Acme_Thing-if00").symlink_to(tmp_path / "gone")
    unknown, nano = probing.probe()
    assert (nano.device, nano.ready) == ("nano33ble", True)
    assert (unknown.device, unknown.ready) == ("", False)


def test_phones_state_says_what_to_do(tmp_path: Path) -> None:
    adb = tmp_path / "adb"
    adb.write_text(
        "#!/bin/sh\nprintf 'List of devices attached\\n0123\\tdevice\\n4567\\tunauthorized\\n\\n'\n"
    )
    adb.chmod(0o755)
    ready, locked = probing.probe()
    assert (ready.kind, ready.name, ready.ready) == ("adb", "0123", True)
    assert not locked.ready
    assert "accept this computer's key" in locked.detail


def test_hosts_of_the_config_are_asked(tmp_path: Path, edgearch: Callable[..., Done]) -> None:
    with socket.socket() as listening, socket.socket() as closed:
        for one in (listening, closed):
            one.bind(("127.0.0.1", 0))
        listening.listen()
        config = tmp_path / "config" / "edgearch"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(
            f'[hosts.garage]\naddress = "pi@127.0.0.1"\ndevice = "rpi"\nport = {listening.getsockname()[1]}\n'
            f'[hosts.attic]\naddress = "pi@127.0.0.1"\nport = {closed.getsockname()[1]}\n'
            '[hosts.board]\naddress = "/dev/ttyACM0"\n'
            '[hosts.phone]\naddress = "R58M123ABC"\ndevice = "mobile"\n'
            f'[hosts.termux]\naddress = "127.0.0.1"\ndevice = "mobile"\ntransport = "ssh"\n'
            f"port = {listening.getsockname()[1]}\n"
        )
        done = edgearch("devices", "--probe", "--json")
    assert done.code == 0, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout) if one["kind"] == "ssh"}
    assert found.keys() == {"garage", "attic", "termux"}, "ssh reaches no serial port and no serial number"
    assert found["termux"]["ready"] and found["termux"]["device"] == "mobile"
    assert found["garage"]["ready"] and found["garage"]["device"] == "rpi"
    assert not found["attic"]["ready"]
    assert "refused" in found["attic"]["detail"]


def test_alias_of_the_ssh_config_is_asked_where_it_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = shutil.which("ssh", path="/usr/bin:/bin")
    if ssh is None:
        pytest.skip("no ssh (sudo apt install openssh-client)")
    (tmp_path / "ssh").symlink_to(ssh)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        own = tmp_path / "ssh_config"
        own.write_text(
            f"Host mypi\n  HostName 127.0.0.1\n  Port {listening.getsockname()[1]}\n"
            "Host far\n  ProxyJump gate\n"
        )
        config = tmp_path / "config" / "edgearch"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(
            f'[hosts.near]\naddress = "mypi"\nssh_config = "{own}"\n'
            f'[hosts.beyond]\naddress = "far"\nssh_config = "{own}"\n'
        )
        near, beyond = probing.probe()
    assert near.ready
    assert not beyond.ready and "by way of gate" in beyond.detail
