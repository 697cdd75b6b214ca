"""Another machine, by OpenSSH's own ``ssh`` and ``sftp``: the user's config, keys, agents and jump hosts.

No name, path or request ever reaches a shell: the one command that runs on the device is a constant, and
everything that varies is in the JSON on its stdin, or quoted in a batch of ``sftp``.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from edgearch.errors import DeviceError
from edgearch.profiles import Device, Host
from edgearch.records import NAME
from edgearch.transports import _agent, _ssh_complaints
from edgearch.transports._ssh_master import Master, program
from edgearch.work import Progress, silent

# Isolated (-I), so that no json.py in the home folder takes the place of Python's own.
COMMAND = f"python3 -I -c {shlex.quote(_agent.BOOTSTRAP)}"
# Exit statuses: of ssh itself, when its connection ends; of a shell that finds no such program; of sftp,
# when a line of its batch failed. One that loses its ssh exits with others, or dies of SIGPIPE.
LOST, NOT_FOUND, BATCH_FAILED = 255, 127, 1
SECONDS_TO_CLEAN_UP = 5
# A colon is of an IPv6 address: a port has an option of its own.
ADDRESS = re.compile(r"[^/:]*|[^/:]*(?::[^/:]*){2,}")
EXAMPLE = "pi@192.168.1.20"


class Ssh:
    """A folder on the device, its ``python3``, and one connection to it."""

    def __init__(self, host: Host, master: Master) -> None:
        self._host = host
        self._master = master
        self._folder_exists = False

    def send(self, file: Path, name: str, progress: Progress = silent) -> None:
        """Copy ``file`` into the device's folder as ``name``: under another name first, then renamed."""
        if not self._folder_exists:
            self.call({"do": "hello", "files": []}, progress)
        self._put(file, name, progress)

    def call(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Run the agent on the device, which gets it first if it does not have it yet."""
        agent = _agent.packed_agent()
        document = self._converse(request, agent, progress)
        if "missing" in document:
            self._put(agent, agent.name, progress)
            document = self._converse(request, agent, progress)
        if "missing" in document:
            raise DeviceError(
                f"{self._host.address}: {agent.name} was copied to {self._host.folder} and is not there: "
                "sftp and the shell seem to see different folders. Name one that both see in its entry."
            )
        return document

    def receive(self, name: str, file: Path) -> None:
        """Copy ``name`` out of the device's folder to ``file``, whole or not at all."""
        # Fetched beside its place and moved there, so that sftp never reads the path of ``file``.
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".edgearch-") as folder:
            self._sftp([f"get {self._remote(name)} part"], Path(folder), f"fetching {name}")
            (Path(folder) / "part").replace(file)

    def close(self) -> None:
        """End the connection; what still runs on the device ends with it."""
        self._master.close()

    def _converse(self, request: dict[str, Any], agent: Path, progress: Progress) -> dict[str, Any]:
        doing = f"the agent answered {request['do']!r}"
        self._check_connection(doing)
        command = [program("ssh"), *self._master.options, "-T", "--", "device", COMMAND]
        request = {**request, "folder": self._host.folder, "agent": agent.name}
        answer = _agent.converse(command, request, progress, self._give_up)
        if answer.document is None:
            raise self._no_answer(answer, doing)
        self._folder_exists = True
        return _agent.result(answer, self._host.address)

    def _give_up(self, call: subprocess.Popen[str]) -> None:
        """End a call that a silent device does not end: the connection holds its pipes, so that goes too."""
        call.kill()
        self._master.close()

    def _no_answer(self, answer: _agent.Answer, doing: str) -> DeviceError:
        said = "\n".join(answer.complaints)
        complaint = _ssh_complaints.find(said, _ssh_complaints.SESSION)
        if complaint:
            return _ssh_complaints.explain(complaint, said, self._master.place)
        if answer.status == LOST:
            return self._ended(said, doing, _ssh_complaints.KILLED)
        if answer.status == NOT_FOUND:
            return DeviceError(
                f"{self._host.address}: it has no python3 ({answer.last_complaint}). Install Python 3.9 or "
                "newer there (on Debian and Raspberry Pi OS: sudo apt install python3 python3-venv)."
            )
        return DeviceError(f"{self._host.address}: the agent gave no answer: {answer.last_complaint}.")

    def _put(self, file: Path, name: str, progress: Progress) -> None:
        progress(None, f"copying {name} ({file.stat().st_size / 1e6:.1f} MB)")
        part = f".part-{secrets.token_hex(8)}"
        # A link with a plain name, so that sftp never reads the path of ``file``.
        link = self._master.folder / part
        link.symlink_to(file.absolute())
        # -f: on the device's disk before it is renamed, or a power cut leaves an empty file under the name.
        batch = [f"put -f {part} {self._remote(part)}", f"rename {self._remote(part)} {self._remote(name)}"]
        try:
            self._sftp(batch, link.parent, f"copying {name}")
        except BaseException:
            # A connection that is lost or silent cannot clean up either.
            with contextlib.suppress(DeviceError, subprocess.TimeoutExpired):
                self._sftp([f"-rm {self._remote(part)}"], link.parent, "cleaning up", SECONDS_TO_CLEAN_UP)
            raise
        finally:
            link.unlink()

    def _sftp(self, batch: list[str], folder: Path, doing: str, timeout: float | None = None) -> None:
        self._check_connection(doing)
        done = subprocess.run(
            [program("sftp"), *self._master.options, "-b", "-", "--", "device"],
            input="\n".join([*batch, ""]),
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            start_new_session=True,
        )
        if done.returncode:
            raise self._not_copied(done.returncode, done.stderr, doing)

    def _not_copied(self, status: int, said: str, doing: str) -> DeviceError:
        complaint = _ssh_complaints.find(said, _ssh_complaints.SESSION)
        if complaint:
            return _ssh_complaints.explain(complaint, said, self._master.place)
        if status == BATCH_FAILED:
            reason = _ssh_complaints.last_line(said)
            return DeviceError(f"{self._host.address}: sftp failed while {doing} ({reason}).")
        return self._ended(said, doing, _ssh_complaints.NO_SFTP)

    def _ended(self, said: str, doing: str, alone: _ssh_complaints.Complaint) -> DeviceError:
        """Return that the connection was lost or, if it still stands, that its user ended ``alone``."""
        lost = self._lost(said, doing)
        return _ssh_complaints.explain(alone, said, self._master.place) if self._master.alive else lost

    def _check_connection(self, doing: str) -> None:
        if not self._master.alive:
            raise self._lost("", doing)

    def _lost(self, said: str, doing: str) -> DeviceError:
        reason = _ssh_complaints.last_line(self._master.last_words() or said)
        return DeviceError(
            f"{self._host.address}: the connection was lost while {doing} ({reason}). Nothing half-written "
            "was left in use; run the same command again and it goes on at `measure`."
        )

    def _remote(self, name: str) -> str:
        """Return the path of ``name`` on the device, quoted for sftp."""
        if not NAME.fullmatch(name.removeprefix(".")):
            raise ValueError(f"expected a plain file name, found {name!r}")
        return f'"{self._host.folder}/{name}"'


def connect(device: Device, host: Host) -> Ssh:
    """Reach ``host``; what kind of device it is makes no difference.

    Raises:
        DeviceError: it cannot be reached or does not let us in; the text says why and what to do.
    """
    del device
    return Ssh(host, Master(host))
