"""The firmware's own end of the serial line, compiled for this machine, against the host's end."""

from __future__ import annotations

import binascii
import contextlib
import itertools
import select
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgearch import firmware
from edgearch.errors import DeviceError
from edgearch.transports.serial import DAMAGED, BoardSession, Line, framed, unframed

SOURCES = Path(firmware.__file__).parent / "templates" / "src"
STRICT = ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror")
TENSOR = {"shape": [1, 100], "dtype": "int8", "scale": 1.0, "zero_point": 0}


Change = Callable[[bytes], bytes]


def same(line: bytes) -> bytes:
    return line


class Pipe:
    """What pyserial's port is, over a process's stdin and stdout; a line each way is changed as told."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin and process.stdout
        self._stdin, self._stdout, self._come = process.stdin, process.stdout, b""
        self.timeout, self.sent = 0.0, 0
        self.sending: Iterator[Change] = iter(())
        self.hearing: Iterator[Change] = iter(())

    def write(self, line: bytes) -> None:
        self.sent += 1
        self._stdin.write(next(self.sending, same)(line))
        self._stdin.flush()

    def read_until(self, end: bytes, most: int) -> bytes:
        if end not in self._come and select.select([self._stdout], [], [], self.timeout)[0]:
            self._come += next(self.hearing, same)(self._stdout.readline())
        line, found, self._come = self._come[:most].partition(end)
        return line + found


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++: install g++")
    built = tmp_path / "line"
    parts = [str(Path(__file__).with_name("line.cc")), str(SOURCES / "protocol.cc")]
    subprocess.run([compiler, *STRICT, f"-I{SOURCES}", *parts, "-o", str(built)], check=True)
    # Unbuffered: what select does not see would seem not to have come yet.
    with subprocess.Popen([built], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
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


def damaged(line: bytes) -> bytes:
    return line.replace(b" ", b"\x00", 1)


def broken(line: bytes) -> bytes:
    """A byte became a newline."""
    return line[:6] + b"\n" + line[7:]


def with_log(line: bytes) -> bytes:
    return b"a log\n" + line


def now_and_then(seed: int) -> Iterator[Change]:
    """One byte in 2000 becomes a newline, a ``@``, another one, or is lost."""
    random = np.random.default_rng(seed)
    others = (b"\n", b"@", b"0", b"")

    def change(line: bytes) -> bytes:
        hit = random.random(len(line)) < 1 / 2000
        what = random.integers(0, len(others), len(line))
        return b"".join(
            others[what[place]] if hit[place] else line[place : place + 1] for place in range(len(line))
        )

    return itertools.repeat(change)


def test_inference_whose_answer_was_damaged_is_not_run_again(pipe: Pipe) -> None:
    board = session(pipe)
    pipe.hearing = iter([damaged, broken])
    board.invoke()
    pipe.sending = iter([damaged, damaged])
    board.invoke()
    assert board.inferences == [1001.0, 1002.0]


@pytest.mark.parametrize("change", [damaged, broken, with_log])
def test_answers_are_right_though_every_other_line_is_disturbed(pipe: Pipe, change: Change) -> None:
    board = session(pipe)
    sent = np.random.default_rng(1).integers(-128, 128, (1, 100), np.int8)
    pipe.hearing = itertools.cycle([change, same])
    for _ in range(3):
        board.set_input(0, sent)
        board.invoke()
        assert np.array_equal(board.output(0), sent[:, ::-1])
    assert board.inferences == [1001.0, 1002.0, 1003.0]


@pytest.mark.parametrize("seed", range(5))
def test_line_that_is_disturbed_now_and_then_gives_right_outputs_or_an_error(
    pipe: Pipe, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = session(pipe)
    patient = Line.ask
    monkeypatch.setattr(
        Line, "ask", lambda line, question, expected, _seconds=0: patient(line, question, expected, 0.2)
    )
    random = np.random.default_rng(seed)
    pipe.sending, pipe.hearing = now_and_then(seed), now_and_then(100 + seed)
    with contextlib.suppress(DeviceError):
        for run in range(60):
            sent = random.integers(-128, 128, (1, 100), np.int8)
            board.set_input(0, sent)
            board.invoke()
            assert board.inferences[-1] == 1001 + run
            assert np.array_equal(board.output(0), sent[:, ::-1])
    assert pipe.sent > 1 + 5 * len(board.inferences)  # two to set, one to run, two to get: some again


def test_answers_that_a_run_before_left_on_the_way_are_left_out(pipe: Pipe) -> None:
    stale = [framed(number, "ran 7") for number in range(1, 9)]
    pipe.hearing = iter([lambda line: b"".join([*stale, line])])
    assert Line(pipe, "here").ask("hello", "hello") == '{"board": "none"}'
    assert pipe.sent == 1


def test_answer_that_comes_after_its_time_is_not_the_next_ones(pipe: Pipe) -> None:
    late: list[bytes] = []

    def hold(line: bytes) -> bytes:
        late.append(line)
        return b""

    line = Line(pipe, "here")
    pipe.hearing = iter([hold, lambda again: late[0] + again])
    assert line.ask("open 0", "opened", 0.1) == "1234"
    assert pipe.sent == 2
    assert line.ask("hello", "hello") == '{"board": "none"}'


def test_error_of_a_failure_shows_the_boards_last_log_and_of_another_word_not_the_arena(pipe: Pipe) -> None:
    line = Line(pipe, "here")
    pipe.hearing = iter([lambda answer: b"a log\r\nFailed to allocate 7 bytes\r\n" + answer])
    with pytest.raises(DeviceError, match=r"printed is 'Failed to allocate 7 bytes'\. Its tensor arena"):
        line.ask("open 1", "opened")
    with pytest.raises(DeviceError, match="answered 'opened' to 'open', expected 'done'") as error:
        line.ask("open 0", "done")
    assert "arena" not in str(error.value)


def test_board_that_only_prints_a_log_is_named_with_its_last_line(pipe: Pipe) -> None:
    pipe.hearing = itertools.repeat(lambda _answer: b"Sensor ready\n")
    with pytest.raises(DeviceError, match="heard only 'Sensor ready' after 4 attempts"):
        Line(pipe, "here").ask("hello", "hello", 0.1)


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


@pytest.mark.parametrize(
    "question",
    [
        b"@" + b"x" * 10_000 + b"\n",
        framed(0, "hello"),
        framed(2**32, "hello"),
        b"@hello %08x\n" % binascii.crc32(b"hello"),
    ],
)
def test_question_that_is_too_long_or_has_no_number_is_asked_for_again(pipe: Pipe, question: bytes) -> None:
    pipe.timeout = 10
    pipe.write(question)
    assert unframed(pipe.read_until(b"\n", 100)) == (DAMAGED, "damaged")
