"""A real sshd of our own on a loopback port, with its own keys and configs: a device that is always there."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from edgearch.profiles import Host

ALIAS = "edgearch-bench"
PATIENCE_SECONDS = 30
# Lets sshd's children write 200 to 400 kB a file (a block is 512 or 1024 bytes): a disk that fills up.
SMALL_FILES = ("/bin/sh", "-c", 'trap \'\' XFSZ; ulimit -f 400; exec "$0" "$@"')


@contextlib.contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    """Start an sshd that keeps everything in ``folder``; skip the test where there is none to start."""
    missing = [name for name in ("sshd", "ssh", "sftp", "ssh-keygen") if find(name) is None]
    if missing:
        reason = f"no {', '.join(missing)} on this machine: sudo apt install openssh-server"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    sshd = Sshd(folder)
    sshd.start()
    try:
        yield sshd
    finally:
        sshd.stop()


class Sshd:
    """One sshd, the client config that reaches it, and the folder that is the device's.

    Attributes:
        host: how edgearch reaches it.
        config: the ssh client's config; ``configure`` changes it.
        device_folder: where edgearch's files on the device lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.device_folder = folder / "device"
        self.config = folder / "ssh_config"
        self.known_hosts = folder / "known_hosts"
        self.port = free_port()
        self._log = folder / "sshd.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._relay: Relay | None = None
        host_key, user_key = self.new_key("host_key"), self.new_key("user_key")
        shutil.copy(f"{user_key}.pub", folder / "authorized_keys")
        self.know(host_key)
        self._options = {
            "HostName": "127.0.0.1",
            "Port": str(self.port),
            "User": pwd.getpwuid(os.getuid()).pw_name,
            "HostKeyAlias": ALIAS,
            "IdentityFile": f'"{user_key}"',
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": f'"{self.known_hosts}"',
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
        }
        self.configure()

    @property
    def host(self) -> Host:
        """How edgearch reaches it."""
        return Host(address=ALIAS, ssh_config=self.config, folder=str(self.device_folder))

    def host_entry(self, name: str = "bench", device: str = "rpi") -> str:
        """Return the lines of a user's ``config.toml`` that name it."""
        return (
            f'[hosts.{name}]\naddress = "{ALIAS}"\ndevice = "{device}"\n'
            f'folder = "{self.device_folder}"\nssh_config = "{self.config}"\n'
        )

    def new_key(self, name: str) -> Path:
        """Make a key pair and return the private half's path."""
        path = self.folder / name
        subprocess.run(
            [str(find("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)],
            check=True,
        )
        return path

    def know(self, host_key: Path) -> None:
        """Let the client know the device by ``host_key``, and by no other."""
        kind, key, _ = Path(f"{host_key}.pub").read_text(encoding="utf-8").split()
        self.known_hosts.write_text(f"{ALIAS} {kind} {key}\n", encoding="utf-8")

    def configure(self, **options: str) -> None:
        """Change ``options`` of the client's config."""
        self._options |= options
        lines = [f"  {name} {value}" for name, value in self._options.items()]
        self.config.write_text("\n".join([f"Host {ALIAS}", *lines, ""]), encoding="utf-8")

    def start(self, *lines: str, small_files: bool = False) -> None:
        """Start sshd, on the same port every time; ``lines`` add to its config or replace ours."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a root's sshd locks itself in
        config = self.folder / "sshd_config"
        given = {line.split()[0] for line in lines}
        ours = [line for line in self._sshd_options() if line.split()[0] not in given]
        config.write_text("\n".join([*ours, *lines, ""]), encoding="utf-8")
        self._close_relay()
        command = [str(find("sshd")), "-D", "-e", "-f", str(config)]
        before = self.log().count("Server listening")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*SMALL_FILES, *command] if small_files else command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self._process
        wait_until(lambda: process.poll() is not None or self.log().count("Server listening") > before)
        assert process.poll() is None, f"sshd did not start: {self.log()}"

    def stop(self) -> None:
        """End sshd, its sessions and what runs in them at once, as a power cut does."""
        self._end()
        self._close_relay()

    def log(self) -> str:
        """Return what sshd has logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def sessions(self) -> set[int]:
        """Return the processes of its open sessions, and what runs in them."""
        return descendants(self._process.pid) if self._process else set()

    def cut_after(self, limit: int) -> None:
        """End sshd as soon as ``limit`` bytes have passed between it and its clients."""
        self._relay_until(limit, self._end, cuts=True)

    def stall_after(self, limit: int) -> threading.Event:
        """Let no byte pass after ``limit``, and keep the connections; the event says that it is so far."""
        stalled = threading.Event()
        self._relay_until(limit, stalled.set, cuts=False)
        return stalled

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            kill_tree(process.pid)
            process.wait()

    def _relay_until(self, limit: int, then: Callable[[], None], cuts: bool) -> None:
        self._close_relay()
        self._relay = Relay(self.port, limit, then, cuts)
        self.configure(Port=str(self._relay.port))

    def _close_relay(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.close()
            self.configure(Port=str(self.port))

    def _sshd_options(self) -> list[str]:
        return [
            "ListenAddress 127.0.0.1",
            f"Port {self.port}",
            f'HostKey "{self.folder / "host_key"}"',
            f'AuthorizedKeysFile "{self.folder / "authorized_keys"}"',
            "PidFile none",
            "StrictModes no",  # the folder above a test's is not ours alone
            "UsePAM no",
            "PasswordAuthentication no",
            "PermitRootLogin yes",
            "Subsystem sftp internal-sftp",
            "LogLevel VERBOSE",
            # The device's python3 is the one that runs the tests.
            f'SetEnv "PATH={Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"',
        ]


class Relay:
    """Passes bytes between a port of its own and sshd's.

    After ``limit`` bytes it calls ``then`` and passes none: it hangs up (``cuts``) or keeps quiet.
    """

    def __init__(self, target: int, limit: int, then: Callable[[], None], cuts: bool) -> None:
        self._target, self._left, self._then, self._cuts = target, limit, then, cuts
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def close(self) -> None:
        """Cut every connection."""
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()

    def _run(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets.append(server)
                self._run(self._pass_on, client, server)
                self._run(self._pass_on, server, client)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                if not self._used_up(len(data)):
                    sink.sendall(data)
                elif self._cuts:
                    break
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)  # whatever ended one side ends the other

    def _used_up(self, count: int) -> bool:
        with self._lock:
            before, self._left = self._left, self._left - count
        if before > 0 >= self._left:
            self._then()
        return self._left <= 0


def find(name: str) -> str | None:
    """Return the whole path of a program, or of a daemon that is in no user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that happens soon, or fail."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def living(pids: Iterable[int]) -> set[int]:
    """Return those of ``pids`` that still run; one that ended and that nobody waited for does not."""
    running = {pid for pid, _, state in _processes() if not state.startswith("Z")}
    return running & set(pids)


def descendants(root: int) -> set[int]:
    """Return the processes that ``root`` started, and those they started."""
    parents = {pid: parent for pid, parent, _ in _processes()}
    found, new = set[int](), {root}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found


def kill_tree(root: int) -> None:
    """End ``root`` and its descendants; all are stopped first, so that none starts another meanwhile."""
    stopped = set[int]()
    while new := {root, *descendants(root)} - stopped:
        _signal(new, signal.SIGSTOP)
        stopped |= new
    _signal(stopped, signal.SIGKILL)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _processes() -> list[tuple[int, int, str]]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = (line.split() for line in listed.stdout.splitlines())
    return [(int(pid), int(parent), state) for pid, parent, state in rows]
