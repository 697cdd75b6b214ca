"""One connection that every ``ssh`` and ``sftp`` of a run shares: OpenSSH's ControlMaster, our own child."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edgearch.errors import DeviceError, RequestError
from edgearch.profiles import Host
from edgearch.transports import _ssh_complaints, _ssh_guard

# ConnectTimeout covers the network; a server may take long to answer a key, its owner to touch a token.
SECONDS_TO_LOG_IN = 60
SECONDS_TO_END = 5
# Nobody is there to answer a question, and the connection must end with us whatever the config says.
OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ControlMaster": "yes",
    "ControlPersist": "no",
    "ClearAllForwardings": "yes",
    "RemoteCommand": "none",
    "LogLevel": "ERROR",
}


class Master:
    """An open connection to ``host``."""

    def __init__(self, host: Host) -> None:
        self.place = {"address": host.address, "login": _login(host), "folder": host.folder}
        ssh = program("ssh")
        self.folder = Path(tempfile.mkdtemp(prefix="edgearch-", dir=_short_folder()))
        self._log = self.folder / "log"
        try:
            self._child = self._start([ssh, *_arguments(host, self._socket)])
            try:
                self._wait_until_up()
            except BaseException:
                self._end_child()
                raise
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def _socket(self) -> Path:
        return self.folder / "s"

    @property
    def alive(self) -> bool:
        """Whether the connection still stands."""
        return self._child.poll() is None

    @property
    def options(self) -> list[str]:
        """The options with which ``ssh`` and ``sftp`` use this connection and never open one themselves.

        They need no destination but a word: the user's config was read when the connection was opened.
        """
        options = {
            "ControlPath": str(self._socket),
            "ControlMaster": "no",
            "ProxyCommand": "false",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        return ["-F", os.devnull, *_as_arguments(options)]

    def last_words(self) -> str:
        """Return what the connection complained of; one that has just broken gets time to say it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(2)
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def close(self) -> None:
        """End the connection and remove its folder."""
        self._end_child()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        guard = [sys.executable, "-I", _ssh_guard.__file__, str(self.folder)]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches us alone, and no ssh finds a terminal to ask at.
            return subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
            )

    def _wait_until_up(self) -> None:
        end = time.monotonic() + SECONDS_TO_LOG_IN
        while self.alive and time.monotonic() < end:
            if self._socket.exists() and self._answers():
                return
            time.sleep(0.02)
        if self.alive:
            raise _ssh_complaints.explain(_ssh_complaints.UNKNOWN, "logging in took too long", self.place)
        text = self.last_words()
        complaint = _ssh_complaints.find(text, _ssh_complaints.LOGIN) or _ssh_complaints.UNKNOWN
        raise _ssh_complaints.explain(complaint, text, self.place)

    def _answers(self) -> bool:
        check = [program("ssh"), *self.options, "-O", "check", "--", "device"]
        return (
            subprocess.run(check, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0
        )

    def _end_child(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()  # the guard's sign to end ssh
        try:
            self._child.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def program(name: str) -> str:
    """Return the path of OpenSSH's ``name``.

    Raises:
        DeviceError: this machine has none.
    """
    path = shutil.which(name)
    if path is None:
        raise DeviceError(
            f"This machine has no {name} program, and a device with an address is reached by OpenSSH's own. "
            "Install it (on Debian and Ubuntu: sudo apt install openssh-client), then try again."
        )
    return path


def _arguments(host: Host, socket: Path) -> list[str]:
    return [
        "-N",
        *named(host),
        *_as_arguments({**OPTIONS, "ControlPath": str(socket)}),
        "--",
        host.address,
    ]


def named(host: Host) -> list[str]:
    """Return the arguments for what a host's entry says beside its address: a config, a port.

    Raises:
        RequestError: the config is no file.
    """
    config = _config(host)
    return [*(["-F", str(config)] if config else []), *(["-p", str(host.port)] if host.port else [])]


def _as_arguments(options: dict[str, str]) -> list[str]:
    return [part for name, value in options.items() for part in ("-o", f"{name}={value}")]


def _config(host: Host) -> Path | None:
    if host.ssh_config is None:
        return None
    path = host.ssh_config.expanduser()
    if not path.is_file():
        raise RequestError(
            f"{host.address}: its ssh_config names {path}, which is no file. Correct the entry."
        )
    return path


def _login(host: Host) -> str:
    """Return the command with which a person logs in."""
    return shlex.join(["ssh", *named(host), host.address])


def _short_folder() -> str:
    """Return a folder for a socket: its whole path must fit in about 100 bytes, and ssh reads % in it."""
    usual = tempfile.gettempdir()
    return usual if re.fullmatch(r"[A-Za-z0-9_/.-]{1,50}", usual) else "/tmp"  # noqa: S108
