"""A board on a serial port, with the firmware that a deployment made: inputs go there, answers come back.

The firmware's README describes the line. The models are in the firmware, so nothing is copied to the board:
what is sent is the bundle's examples, one tensor at a time.
"""

from __future__ import annotations

import binascii
import contextlib
import itertools
import json
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.agent import bundle, measuring, worker
from edgearch.agent.driving import Drive
from edgearch.errors import DeviceError
from edgearch.profiles import Device, Host
from edgearch.transports._beside import Beside
from edgearch.work import Progress, save_arrays, silent

ADDRESS = re.compile(r"/dev/.*")
EXAMPLE = "/dev/ttyACM0"
CHUNK = 64  # bytes of a tensor in one line: the firmware's kChunk
TRIES = 4
QUICK_SECONDS = 2.0  # each try: many boards start anew when their port is opened
SECONDS = 60.0  # of an inference, or of making a role ready
BAUD = 115_200
RUNTIME = "tflm"
DAMAGED = 0  # the number of what arrived damaged; questions have others
LONGEST = 4096  # bytes of a line
SHOWN = 120  # characters of a log's line in an error
_FRAME = re.compile(rb"@((\d{1,10}) ([^@]*)) ([0-9a-f]{8})\n\Z")


class Line:
    """One question at a time, each with a number and a checksum, asked again where no whole answer comes.

    An answer bears its question's number: late ones, and those of a run before this one, are left out.
    """

    def __init__(self, port: Any, place: str) -> None:
        self._port = port
        self.place = place
        self._numbers = itertools.count(1 + secrets.randbelow(2**31))  # other than those of the run before
        self._printed = ""  # the last line of a log since the question

    def ask(self, question: str, expected: str, seconds: float = QUICK_SECONDS) -> str:
        """Return what follows the word ``expected`` in the board's answer; ``seconds`` are those of each try.

        Raises:
            DeviceError: no answer, none that is whole, another than expected, or the port is gone.
        """
        import serial

        number, self._printed = next(self._numbers), ""
        try:
            for _ in range(TRIES):
                self._port.write(framed(number, question))
                answer = self._answer(number, seconds)
                if answer is not None:
                    return self._rest(answer, question, expected)
        except (serial.SerialException, OSError) as error:
            raise DeviceError(
                f"{self.place}: the board went away in the middle of a run ({error}). Plug it in and run "
                "the same command: it goes on at `measure`."
            ) from error
        what = f"only {self._printed!r}" if self._printed else "nothing whole"
        raise DeviceError(
            f"{self.place}: expected an answer of edgearch's firmware, heard {what} after {TRIES} attempts. "
            "Check the port and that the board runs the sketch `serve`; one that is still in an inference of "
            "an earlier run answers after it."
        )

    def _answer(self, number: int, seconds: float) -> str | None:
        """Return the answer of that number; ``None``: none came in time, or it is to be asked for again."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._port.timeout = left
            found, text = unframed(self._port.read_until(b"\n", LONGEST))
            if found == number:
                return text
            if found == DAMAGED:
                return None
            if found is None and text:
                self._printed = text[:SHOWN]
        return None

    def _rest(self, answer: str, question: str, expected: str) -> str:
        word, _, rest = answer.partition(" ")
        if word == expected:
            return rest
        remedy = (
            "Its tensor arena may be too small for its kernels: see the firmware's README."
            if word == "failed"
            else "Flash the firmware that this version of edgearch makes."
        )
        printed = f" The last line that it printed is {self._printed!r}." if self._printed else ""
        raise DeviceError(
            f"{self.place}: the board answered {word!r} to {question.partition(' ')[0]!r}, expected "
            f"{expected!r}.{printed} {remedy}"
        )


def framed(number: int, text: str) -> bytes:
    """Return a line: ``@``, the number, ``text``, the CRC-32 of both in eight hexadecimal digits."""
    content = f"{number} {text}"
    return f"@{content} {binascii.crc32(content.encode()):08x}\n".encode()


def unframed(line: bytes) -> tuple[int | None, str]:
    """Return a line's number and text; what stands before ``@`` is noise.

    A line that is damaged or cut has the number ``DAMAGED``; one without ``@`` is a log's and has none.
    """
    found = _FRAME.search(line)
    if found and binascii.crc32(found[1]) == int(found[4], 16):
        return int(found[2]), found[3].decode("utf-8", "replace")
    return DAMAGED if b"@" in line else None, line.decode("utf-8", "replace").strip()


class BoardSession:
    """One role's model on the board: a session as a runtime gives one."""

    def __init__(self, line: Line, role: int, export: dict[str, Any], milliseconds: Callable[[int], float]):
        self._line, self._export, self._milliseconds = line, export, milliseconds
        self._arena = int(line.ask(f"open {role}", "opened", SECONDS))
        self.inferences: list[float] = []

    def set_input(self, position: int, value: np.ndarray) -> None:
        """Send ``value`` into an input tensor."""
        content = np.ascontiguousarray(value).tobytes()
        for start in range(0, len(content), CHUNK):
            self._line.ask(f"set {position} {start} {content[start : start + CHUNK].hex()}", "done")

    def invoke(self) -> None:
        """Run the model once, even if it is asked for again, and keep the board's own time."""
        self.inferences.append(self._milliseconds(int(self._line.ask("run", "ran", SECONDS))))

    def output(self, position: int) -> np.ndarray:
        """Fetch an output tensor."""
        tensor = self._export["outputs"][position]
        dtype, shape = np.dtype(tensor["dtype"]), tensor["shape"]
        size, content = int(np.prod(shape)) * dtype.itemsize, b""
        while len(content) < size:
            count = min(CHUNK, size - len(content))
            content += bytes.fromhex(self._line.ask(f"get {position} {len(content)} {count}", "data"))
        return np.frombuffer(content, dtype).reshape(shape)

    def reset(self) -> None:
        """Set every variable tensor back to its start."""
        self._line.ask("reset", "done")

    def arena_bytes(self) -> int:
        """Return what the board's interpreter took of its tensor arena."""
        return self._arena


class Serial(Beside):
    """A board; nothing is kept there."""

    def __init__(self, device: Device, line: Line, close: Callable[[], object]) -> None:
        super().__init__(line.place)
        self._device, self._line, self._close = device, line, close
        self._project = Path("firmware")

    def send(self, file: Path, name: str, progress: Progress = silent) -> None:
        """Keep ``file`` as ``name``; the firmware project made with it stands beside it."""
        super().send(file, name, progress)
        self._project = file.parent / "firmware"

    def close(self) -> None:
        """Let the port go; the board waits for the next question and does nothing meanwhile."""
        super().close()
        self._close()

    def _hello(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._line.ask("hello", "hello"))
        except (ValueError, DeviceError) as error:
            raise DeviceError(f"{error} {self._how_to_flash()}") from error
        return found

    def measure(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Run every example of the bundle on the board."""
        folder = self.unpacked(request)
        manifest = bundle.read_manifest(folder)
        digest, hello = bundle.models_digest(manifest), self._hello()
        if hello.get("board") != self._device.name or hello.get("digest") != digest:
            raise DeviceError(
                f"{self._line.place}: the board runs the firmware of {hello.get('model')!r} for "
                f"{hello.get('board')!r} (models {hello.get('digest')}); expected {self._device.name!r} "
                f"(models {digest}). {self._how_to_flash()}"
            )
        files = [export["file"] for export in manifest["roles"].values()]

        def run(export: dict[str, Any], inputs: worker.Arrays) -> tuple[dict[str, Any], worker.Arrays]:
            progress(None, f"running {export['file']} on the board")
            session = BoardSession(self._line, files.index(export["file"]), export, milliseconds)
            drive = Drive(session, export, inputs)
            outputs = drive.outputs()
            return _figures(session, drive), outputs

        def milliseconds(ticks: int) -> float:
            return 1e3 * ticks / float(hello["ticks_per_second"])

        figures, outputs = worker.every_role(folder, run)
        runtime = measuring.judged(RUNTIME, {"version": "of the firmware", "threads": 1, **figures})
        runtime["chosen"] = "set_aside" not in runtime
        save_arrays(self.folder / request["keep"], outputs)
        machine, unknown = _machine(self._device, hello), {"temperature_c": None, "throttled": None}
        condition = {"before": unknown, "after": unknown}
        return {"machine": machine, "condition": condition, "runtimes": [runtime]}

    def _how_to_flash(self) -> str:
        asked = self._device.firmware.arduino if self._device.firmware else None
        board = (asked.board if asked else None) or "VENDOR:ARCHITECTURE:BOARD"
        return (
            f"Flash the firmware of this deployment, in {self._project} (its README.md says what it needs): "
            f"arduino-cli compile --upload -b {board} -p {self._line.place} {self._project}/examples/serve; "
            "then run the same command again."
        )


def _figures(session: BoardSession, drive: Drive) -> dict[str, Any]:
    """Return the board's own times, of every inference that the examples took."""
    times = session.inferences
    figures: dict[str, Any] = {
        "load_ms": None,
        "latency_ms": {"first": times[0], **worker.summarize(times)},
        "arena_bytes": session.arena_bytes(),
    }
    if drive.in_steps:
        whole = [float(sum(one)) for one in np.reshape(times, (drive.examples, drive.steps))]
        figures.update(steps=drive.steps, sequence_latency_ms=worker.summarize(whole))
    return figures


def _machine(device: Device, hello: dict[str, Any]) -> dict[str, Any]:
    return {
        "architecture": device.processor,
        "processor": device.title,
        "cores": 1,
        "system": f"firmware {hello.get('digest')}",
        "python": None,
        "free_bytes": None,
    }


def connect(device: Device, host: Host) -> Serial:
    """Open the port of ``host``, for us alone.

    Raises:
        DeviceError: there is none, we may not use it, or another program does; the text says what to do.
    """
    import serial

    baud = device.firmware.arduino.serial_baud if device.firmware and device.firmware.arduino else BAUD
    try:
        port = serial.Serial(host.address, baud, exclusive=True, write_timeout=SECONDS)
    except (serial.SerialException, OSError) as error:
        raise DeviceError(f"{host.address}: {_remedy(error)}") from error

    def close() -> None:
        with contextlib.suppress(OSError, serial.SerialException):  # it may be unplugged
            port.close()

    return Serial(device, Line(port, host.address), close)


def _remedy(error: OSError) -> str:
    said = str(error)
    if isinstance(error.__context__, PermissionError) or "Permission" in said:
        return "no permission to open the port. Join the group that owns it: sudo usermod -aG dialout $USER."
    if "lock" in said or "busy" in said:
        return "the port is in use by another deployment or program. Wait for it or close it, and try again."
    if "No such file" in said:
        return "there is no such port. Plug the board in; edgearch devices --probe lists what is there."
    return f"the port cannot be opened ({said})."
