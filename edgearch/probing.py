"""What is plugged in or reachable: Coral's USB stick, boards on serial ports, phones, hosts of the config."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from edgearch import profiles
from edgearch.errors import DeviceError, RequestError
from edgearch.transports import _adb, _ssh_master, ssh

USB = Path("/sys/bus/usb/devices")
SERIAL = Path("/dev/serial/by-id")
SSH_PORT = 22
PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Found:
    """One thing that may be a device: the ``device`` profile that fits it (empty: none is known to)."""

    kind: str
    name: str
    device: str
    ready: bool
    detail: str


def probe() -> list[Found]:
    """Return what there is, in the order of kinds; nothing is changed anywhere."""
    return [*_usb(), *_serial(), *_phones(), *_hosts()]


@cache
def _known() -> dict[str, Any]:
    text = resources.files("edgearch").joinpath("probing.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _usb() -> Iterator[Found]:
    """Yield USB devices whose vendor and product are those of an accelerator."""
    for path in sorted(USB.glob("*/idVendor")):
        key = f"{_read(path)}:{_read(path.with_name('idProduct'))}"
        if key in _known()["usb"]:
            known = _known()["usb"][key]
            yield Found("usb", key, known["device"], True, known["detail"])


def _serial() -> Iterator[Found]:
    """Yield serial ports by their stable names, which hold the maker's and the board's."""
    for path in sorted(SERIAL.glob("*")):
        boards = (board for word, board in _known()["serial"].items() if word in path.name.lower())
        ready = path.exists() and path.resolve().is_char_device()
        yield Found("serial", str(path), next(boards, ""), ready, path.name)


def _phones() -> Iterator[Found]:
    """Yield what ``adb devices`` lists: serial number and state."""
    try:
        phones = _adb.listed(PATIENCE_SECONDS * 4)
    except DeviceError as error:
        yield Found("adb", "adb", "", False, str(error))
        return
    for name, state in phones:
        yield Found("adb", name, "mobile", state == "device", _adb.remedy(state))


def _hosts() -> list[Found]:
    """Return the hosts of the user's config that ssh reaches, each asked for a TCP connection."""
    hosts = {name: host for name, host in profiles.hosts().items() if _by_ssh(host)}
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(_host, hosts, hosts.values()))


def _by_ssh(host: profiles.Host) -> bool:
    """Whether its transport is ssh: phones and boards are found where they are plugged in."""
    if host.transport:
        return host.transport == "ssh"
    if host.device:
        with contextlib.suppress(RequestError):  # a profile of another project's, or a wrong one
            return profiles.device(host.device).transport == "ssh"
    return bool(ssh.ADDRESS.fullmatch(host.address))


def _host(name: str, host: profiles.Host) -> Found:
    try:
        meant = _meant(host)
    except (ValueError, RequestError, subprocess.TimeoutExpired) as error:
        return Found("ssh", name, host.device or "", False, f"{host.address}: {error}")
    address, port = meant["hostname"], int(meant["port"])
    between = meant.get("proxyjump") or meant.get("proxycommand")
    if between:
        said = f"{host.address}, by way of {between}: only a deployment tries that"
        return Found("ssh", name, host.device or "", False, said)
    try:
        socket.create_connection((address, port), timeout=PATIENCE_SECONDS).close()
    except OSError as error:
        said = f"{host.address}, port {port}: {error.strerror or error}"
        return Found("ssh", name, host.device or "", False, said)
    return Found("ssh", name, host.device or "", True, f"{host.address}, port {port} answers")


def _meant(host: profiles.Host) -> dict[str, str]:
    """Return what ssh would do by the user's own config: an alias has another hostname, perhaps a proxy.

    Raises:
        ValueError: ssh does not take the config; the text is ssh's.
        RequestError: the config is no file.
        subprocess.TimeoutExpired: a command that the config runs does not end.
    """
    plain = {"hostname": host.address.rpartition("@")[2], "port": str(host.port or SSH_PORT)}
    program = shutil.which("ssh")
    if program is None:
        return plain
    done = subprocess.run(
        [program, "-G", *_ssh_master.named(host), "--", host.address],
        capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE_SECONDS * 4,
    )  # fmt: skip
    if done.returncode:
        raise ValueError((done.stderr.strip().splitlines() or ["ssh refuses its config"])[-1])
    said = (line.partition(" ") for line in done.stdout.splitlines())
    return plain | {key: value for key, _, value in said if value != "none"}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
