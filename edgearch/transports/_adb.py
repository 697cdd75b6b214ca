"""Android's ``adb``: which phones it lists and in what state, and one of them to run commands on."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgearch.errors import DeviceError

# States of ``adb devices``, and what to do; "device" is a phone that is ready.
STATES = {
    "device": "ready",
    "unauthorized": "unauthorized: accept this computer's key on the phone's screen",
    "offline": "offline: unplug it and plug it in again, or run adb reconnect",
    "no permissions": "no permissions: add a udev rule, or install android-sdk-platform-tools-common",
}
_PASSING = ("offline", "authorizing", "connecting")  # for a moment after adb connect
_AGAIN = "run the same command again: it goes on at `measure`."
_LOST = f"the connection to the phone was lost. Wake it and {_AGAIN}"
_OWN = r"^(?:adb|error): (?:.*: )?"  # how a line of adb's own begins; the phone's programs have other names
# What is complained of, and what it means.
_COMPLAINTS = (
    (r"No space left on device$", f"the phone is full. Free some space under /data and {_AGAIN}"),
    (
        rf"{_OWN}(?:device '.*' not found|no devices/emulators found)$",
        f"the phone is gone. Plug it in (adb devices lists it) and {_AGAIN}",
    ),
    (rf"{_OWN}closed$", _LOST),
    *((rf"{_OWN}device {state}\b", f"the phone is {remedy}.") for state, remedy in STATES.items()),
)
_ENDED = re.compile(r"edgearch-ended (\d+)\s*\Z")
_SECONDS = 60.0
_SETTLING_SECONDS = 5.0
_BYTES_PER_SECOND = 500_000  # of a poor Wi-Fi


def program() -> str | None:
    """Return where adb is, if it is on PATH."""
    return shutil.which("adb")


def listed(seconds: float = _SECONDS) -> list[tuple[str, str]]:
    """Return the serial number and state of each phone that adb lists; none without adb.

    Raises:
        DeviceError: adb gives no answer.
    """
    adb = program()
    if adb is None:
        return []
    try:
        done = subprocess.run([adb, "devices"], capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise DeviceError("adb devices gives no answer. Run adb kill-server, then try again.") from error
    pairs = (line.partition("\t") for line in done.stdout.splitlines()[1:])
    return [(name, state.partition(";")[0].strip()) for name, _, state in pairs if state]


def settled(serial: str) -> dict[str, str]:
    """Return the states that adb lists, once that of a phone it has just connected to is no passing one."""
    end = time.monotonic() + _SETTLING_SECONDS
    while (states := dict(listed())).get(serial, "connecting") in _PASSING and time.monotonic() < end:
        time.sleep(0.2)
    return states


def remedy(state: str) -> str:
    """Say what a state means and what to do."""
    known = next((text for word, text in STATES.items() if state.startswith(word)), None)
    return known or state


class Phone:
    """One phone, by its serial number. Commands are constants of ours with numbers in them, never names."""

    def __init__(self, serial: str) -> None:
        adb = program()
        if adb is None:
            raise DeviceError("adb is not on PATH: sudo apt install adb (android-sdk-platform-tools).")
        self.serial = serial
        self._program = adb

    def reach(self) -> None:
        """Connect to a phone whose serial number is an address, as wireless debugging gives it.

        Raises:
            DeviceError: it cannot be reached, in adb's words.
        """
        done = self._adb(["connect", self.serial], "connecting", _SECONDS)
        said = (done.stdout + done.stderr).strip()
        if "connected to" not in said:  # its exit status is 0 either way
            raise DeviceError(
                f"{self.serial}: adb connect says {said!r}. Switch wireless debugging on, take the port that "
                "the phone shows now, and accept this computer's key there, or pair it: adb pair IP:PORT."
            )

    def push(self, file: Path, path: str) -> None:
        """Copy ``file`` to ``path``."""
        self._copy(["push", str(file), path], f"copying {file.name} there", file.stat().st_size)

    def pull(self, path: str, file: Path, size: int) -> None:
        """Copy ``path``, of about ``size`` bytes, to ``file``, which is there as a whole or not at all."""
        part = file.with_name(f".{file.name}.part")
        self._copy(["pull", path, str(part)], "fetching its answers", size)
        part.replace(file)

    def run(
        self, command: str, doing: str, seconds: float, hear: Callable[[str], object] = str
    ) -> tuple[int, str]:
        """Run ``command`` in the phone's shell; return its exit status and what it printed.

        ``hear`` is told each line as it comes.

        Raises:
            DeviceError: the connection ended before the command did.
            TimeoutError: it took longer than ``seconds``; it may run on.
        """
        end = time.monotonic() + seconds
        said = self._followed(f"({command}); echo edgearch-ended $?", seconds, hear)
        # adb's own status is that of the command, its own failure, or 0 where a phone was unplugged.
        ended = _ENDED.search(said)
        if ended:
            return int(ended[1]), said[: ended.start()]
        if time.monotonic() >= end:
            raise TimeoutError(f"no answer in {seconds:.0f} s")
        raise self._failed(doing, said)

    def shell(self, command: str, doing: str) -> str:
        """Run a short ``command`` in the phone's shell and return what it prints.

        Raises:
            DeviceError: it failed, or the phone is gone.
        """
        try:
            status, said = self.run(command, doing, _SECONDS)
        except TimeoutError as error:
            raise self._silent(doing, _SECONDS) from error
        if status:
            raise self._failed(doing, said, (said.strip().splitlines() or ["no word"])[-1])
        return said

    def quiet(self, command: str) -> str:
        """Run ``command`` and return what it prints; nothing where it fails."""
        try:
            return self.shell(f"({command}) 2>/dev/null", "asking").strip()
        except DeviceError:
            return ""

    def _followed(self, command: str, seconds: float, hear: Callable[[str], object]) -> str:
        with subprocess.Popen(
            [self._program, "-s", self.serial, "shell", command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True,
        ) as child:  # fmt: skip
            limit = threading.Timer(seconds, child.kill)
            limit.start()
            lines: list[str] = []
            try:
                for line in child.stdout or ():
                    lines.append(line)
                    hear(line.strip())
            except BaseException:
                child.kill()
                raise
            finally:
                limit.cancel()
        return "".join(lines)

    def _copy(self, command: list[str], doing: str, size: int) -> None:
        done = self._adb(["-s", self.serial, *command], doing, _SECONDS + size / _BYTES_PER_SECOND)
        if done.returncode:
            raise self._failed(doing, done.stderr + done.stdout)

    def _adb(self, words: list[str], doing: str, seconds: float) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self._program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors="replace", check=False, timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise self._silent(doing, seconds) from error

    def _failed(self, doing: str, said: str, otherwise: str = _LOST) -> DeviceError:
        """Return what went wrong while ``doing``, and what to do: what adb says of it, else ``otherwise``."""
        known = (text for words, text in _COMPLAINTS if re.search(words, said.strip(), re.M))
        own = [line.strip() for line in said.splitlines() if re.match(_OWN, line)]
        why = next(known, [otherwise, *own][-1])
        return DeviceError(f"{self.serial}, while {doing}: {why.rstrip('.')}.")

    def _silent(self, doing: str, seconds: float) -> DeviceError:
        return DeviceError(
            f"{self.serial}, while {doing}: no answer in {seconds:.0f} s. Unlock the phone, or run adb "
            f"reconnect, and {_AGAIN}"
        )
