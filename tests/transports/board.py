"""A board that is none: the firmware's end of the serial line on a pty, over LiteRT's reference kernels.

Run as ``board.py BUNDLE HABIT``; prints the port. Habits: ``good``, ``noisy`` (every 20th answer
comes damaged, a log line before every 7th, and first of all the answer to a run before), ``other`` (it has
other models), ``small`` (no room for the tensor arena), ``gone`` (unplugged in mid-run), ``silent``.
"""

from __future__ import annotations

import json
import os
import sys
import tty
from pathlib import Path

import numpy as np

from edgearch.agent import bundle
from edgearch.runtimes import litert
from edgearch.transports.serial import DAMAGED, framed, unframed


class Board:
    def __init__(self, folder: Path, habit: str) -> None:
        self.folder, self.habit = folder, habit
        self.manifest = bundle.read_manifest(folder)
        self.roles = list(self.manifest["roles"].values())
        self.answers = 0
        self.ran = 0

    def answer(self, number: int, text: str) -> str:
        self.number = number
        word, *rest = text.split(" ")
        return str(getattr(self, word)(*rest))

    def hello(self) -> str:
        digest = "other" if self.habit == "other" else bundle.models_digest(self.manifest)
        said = {"board": "mcu", "model": "a test", "digest": digest, "ticks_per_second": 1_000_000}
        return "hello " + json.dumps(said)

    def open(self, role: str) -> str:
        if self.habit == "small":
            return "failed"
        self.export = self.roles[int(role)]
        self.session = litert.open_model(str(self.folder / self.export["file"]), 1, "reference")
        self.inputs = [bytearray(_array(one).tobytes()) for one in self.export["inputs"]]
        self.ran = 0
        return "opened 4096"

    def reset(self) -> str:
        self.session.reset()
        return "done"

    def set(self, position: str, offset: str, digits: str) -> str:
        content = bytes.fromhex(digits)
        self.inputs[int(position)][int(offset) : int(offset) + len(content)] = content
        return "done"

    def run(self) -> str:
        if self.number != self.ran:
            for position, (content, tensor) in enumerate(
                zip(self.inputs, self.export["inputs"], strict=True)
            ):
                value = np.frombuffer(bytes(content), tensor["dtype"]).reshape(tensor["shape"])
                self.session.set_input(position, value)
            self.session.invoke()
            self.ran = self.number
        return "ran 1500"

    def get(self, position: str, offset: str, count: str) -> str:
        content = self.session.output(int(position)).tobytes()
        return "data " + content[int(offset) : int(offset) + int(count)].hex()

    def serve(self, port: int) -> None:
        line = b""
        while True:
            line += os.read(port, 4096)
            while b"\n" in line:
                whole, _, line = line.partition(b"\n")
                if self.habit != "silent":
                    self.say(port, *unframed(whole + b"\n"))

    def say(self, port: int, number: int | None, question: str) -> None:
        self.answers += 1
        if self.habit == "gone" and self.answers > 40:
            sys.exit()
        said = framed(number, self.answer(number, question)) if number else framed(DAMAGED, "damaged")
        if self.habit == "small" and question.startswith("open"):
            said = b"Failed to allocate 4096 bytes\r\n" + said
        os.write(port, self.noisy(said) if self.habit == "noisy" else said)

    def noisy(self, said: bytes) -> bytes:
        if self.answers % 20 == 0:
            said = b"\xff\x00boot" + said.replace(b" ", b"!", 1)
        if self.answers % 7 == 0:
            said = b"a log\r\n" + said
        return framed(1, "ran 7") + said if self.answers == 1 else said


def _array(tensor: dict[str, object]) -> np.ndarray:
    return np.zeros(tensor["shape"], str(tensor["dtype"]))


def main(folder: str, habit: str) -> None:
    port, end = os.openpty()
    tty.setraw(end)
    print(os.ttyname(end), flush=True)
    Board(Path(folder), habit).serve(port)


if __name__ == "__main__":
    main(*sys.argv[1:])
