"""Android's ``adb``: which phones it lists and in what state, and one of them to run commands on."""

from __future__ import annotations

import shutil
import subprocess
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
# What adb or a phone's shell complains of, in small letters, and what it means.
_COMPLAINTS = (
    ("no space left", "the phone is full. Free some space under /data and run the same command again."),
    ("unauthorized", "the phone does not trust this computer. Accept its key on the phone's screen."),
    ("device offline", "the phone is offline. Unplug it and plug it in again, or run adb reconnect."),
    (
        "not found",
        "the phone is gone. Plug it in (adb devices lists it) and run the same command: it goes on at "
        "`measure`.",
    ),
    (
        "closed",
        "the connection to the phone was lost. Run the same command again: it goes on at `measure`.",
    ),
)
_SECONDS = 60


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
        self._adb = [adb, "-s", serial]

    def reach(self) -> None:
        """Connect to a phone whose serial number is an address, as wireless debugging gives it."""
        subprocess.run(
            [self._adb[0], "connect", self.serial], stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=_SECONDS,
        )  # fmt: skip

    def push(self, file: Path, path: str) -> None:
        """Copy ``file`` to ``path``."""
        self._run(["push", str(file), path], f"copying {file.name} there")

    def pull(self, path: str, file: Path) -> None:
        """Copy ``path`` to ``file``, which is there as a whole or not at all."""
        part = file.with_name(f".{file.name}.part")
        self._run(["pull", path, str(part)], "fetching its answers")
        part.replace(file)

    def shell(self, command: str, doing: str) -> str:
        """Run ``command`` in the phone's shell and return what it prints.

        Raises:
            DeviceError: it failed, or the phone is gone.
        """
        return self._run(["shell", command], doing)

    def quiet(self, command: str) -> str:
        """Run ``command`` and return what it prints; nothing where it fails."""
        try:
            return self._run(["shell", command], "asking").strip()
        except DeviceError:
            return ""

    def follow(self, command: str, doing: str, line: Callable[[str], object]) -> None:
        """Run a long ``command`` and hear each line that it prints."""
        with subprocess.Popen(
            [*self._adb, "shell", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        ) as child:  # fmt: skip
            lines: list[str] = []
            try:
                for one in child.stdout or ():
                    lines.append(one.strip())
                    line(lines[-1])
            except BaseException:
                child.kill()
                raise
        if child.returncode:
            raise self.failed(doing, "\n".join(lines))

    def failed(self, doing: str, said: str) -> DeviceError:
        """Return what went wrong while ``doing``, and what to do."""
        text = said.strip().lower()
        explained = next((remedy for words, remedy in _COMPLAINTS if words in text), None)
        last = (said.strip().splitlines() or ["no word"])[-1]
        return DeviceError(f"{self.serial}, while {doing}: {explained or last + '.'}")

    def _run(self, command: list[str], doing: str) -> str:
        try:
            done = subprocess.run(
                [*self._adb, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors="replace", check=False, timeout=_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise DeviceError(
                f"{self.serial}, while {doing}: no answer in {_SECONDS} s. Unlock the phone, or run adb "
                "reconnect."
            ) from error
        if done.returncode:
            raise self.failed(doing, done.stderr + done.stdout)
        return done.stdout
