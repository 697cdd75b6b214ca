"""The firmware's own end of the serial line, compiled for this machine, against the host's end."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgearch import firmware
from edgearch.errors import DeviceError
from edgearch.transports.serial import BoardSession, Line

SOURCES = Path(firmware.__file__).parent / "templates" / "src"
STRICT = ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror")
TENSOR = {"shape": [1, 100], "dtype": "int8", "scale": 1.0, "zero_point": 0}


class Pipe:
    """What pyserial's port is, over a process's stdin and stdout; damages what it is told to."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process, self.timeout = process, 0.0
        self.damage_sent, self.damage_heard = 0, 0

    def reset_input_buffer(self) -> None:
        pass

    def write(self, line: bytes) -> None:
        if self.damage_sent:
            self.damage_sent -= 1
            line = line.replace(b" ", b"\x00", 1)
        self.process.stdin.write(line)  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]

    def read_until(self, _end: bytes, _most: int) -> bytes:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if self.damage_heard:
            self.damage_heard -= 1
            return bytes(line[3:])
        return bytes(line)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++: install g++")
    built = tmp_path / "line"
    parts = [str(Path(__file__).with_name("line.cc")), str(SOURCES / "protocol.cc")]
    subprocess.run([compiler, *STRICT, f"-I{SOURCES}", *parts, "-o", str(built)], check=True)
    with subprocess.Popen([built], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Pipe(process)
        assert process.stdin
        process.stdin.close()


def session(pipe: Pipe) -> Any:
    return BoardSession(Line(pipe, "here"), 0, {"inputs": [TENSOR], "outputs": [TENSOR]}, float)


def test_tensors_and_ticks_come_back_from_the_firmware(pipe: Pipe) -> None:
    board = session(pipe)
    board.reset()
    sent = np.random.default_rng(0).integers(-128, 128, (1, 100), np.int8)
    board.set_input(0, sent)
    board.invoke()
    assert np.array_equal(board.output(0), sent[:, ::-1])
    assert board.arena_bytes() == 1234
    assert board.inferences == [1001.0]
    assert Line(pipe, "here").ask("hello", "hello") == '{"board": "none"}'


def test_inference_whose_answer_was_damaged_is_not_run_again(pipe: Pipe) -> None:
    board = session(pipe)
    pipe.damage_heard = 2
    board.invoke()
    pipe.damage_sent = 2
    board.invoke()
    assert board.inferences == [1001.0, 1002.0]


@pytest.mark.parametrize(
    "question",
    [
        "open 1",
        "set 0 99 0000",
        "set 1 0 00",
        "set 0 4294967295 00",
        "set 0 0 zz",
        "set",
        "get 0 90 11",
        "get 0 0 65",
        "get 0 0",
        "run",
        "run 99999999999",
        "dance",
    ],
)
def test_question_outside_of_a_tensor_or_the_language_fails_and_the_next_is_answered(
    pipe: Pipe, question: str
) -> None:
    line = Line(pipe, "here")
    assert line.ask(question, "failed") == ""
    with pytest.raises(DeviceError, match="answered 'failed' to"):
        line.ask(question, "done")
    assert line.ask("get 0 36 64", "data") == line.ask("get 0 36 64", "data")


def test_line_that_is_longer_than_any_is_refused(pipe: Pipe) -> None:
    pipe.write(b"@" + b"x" * 10_000 + b"\n")
    assert pipe.read_until(b"\n", 0).startswith(b"@damaged ")
