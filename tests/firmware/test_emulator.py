"""What building and running firmware says of bad input, and what it reads of a linker and a console.

The whole of it runs by ``make test-firmware TFLM_DIR=…``; here, programs of a few lines play CMake and QEMU.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgearch import profiles
from edgearch.errors import RequestError, ToolError
from edgearch.firmware import emulator
from edgearch.work import silent
from tests.conftest import Done

MCU = profiles.device("mcu")
LINKER = """
Memory region         Used Size  Region Size  %age Used
           FLASH:      100000 B    1000000 B     10.00%
             RAM:        24 KB     256000 B      9.60%
"""
MAP = """Discarded input sections

 .rodata.left   0x00000000      0x999 CMakeFiles/firmware.dir/src/test_vectors.cc.obj

Linker script and memory map

 .rodata.short  0x00001000      0x100 CMakeFiles/firmware.dir/src/test_vectors.cc.obj
 .rodata._ZN8edgearch4a_name_that_is_long
                0x00001100       0x80 CMakeFiles/firmware.dir/src/test_vectors.cc.obj
 .comment       0x00000000       0x27 CMakeFiles/firmware.dir/src/test_vectors.cc.obj
 .text.main     0x00002000      0x400 CMakeFiles/firmware.dir/src/run.cc.obj
"""
ROLE: dict[str, Any] = {
    "arena_bytes": 5000, "examples": 8, "steps": 2,
    "latency_ticks": {"first": 11, "min": 10, "max": 12, "runs": 16},
    "outputs": {"logits": {"agrees": True, "values": 80, "equal": 79, "largest_difference": 1.0}},
}  # fmt: skip


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree, as far as anyone looks, and programs that play its compiler and QEMU."""
    header = tmp_path / "tflm" / "tensorflow/lite/micro/micro_interpreter.h"
    header.parent.mkdir(parents=True)
    header.touch()
    for third in emulator._THIRD_PARTY:
        there = tmp_path / "tflm/third_party" / third
        there.parent.mkdir(parents=True)
        there.touch()
    for tool in emulator.PACKAGES:
        plays(tmp_path, tool, "echo 12.2")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(emulator.VARIABLE, str(tmp_path / "tflm"))
    return tmp_path / "tflm"


def plays(folder: Path, tool: str, script: str) -> None:
    (folder / tool).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / tool).chmod(0o755)


def built(folder: Path, linker: str = LINKER, code: int = 0) -> None:
    """Let CMake leave a library and a map, and print what a linker prints."""
    (folder / "map").write_text(MAP, encoding="utf-8")
    (folder / "said").write_text(linker, encoding="utf-8")
    plays(
        folder,
        "cmake",
        f'mkdir -p build; touch build/libtflm.a; cp {folder}/map build/firmware.map; echo "[ 50%] Building"\n'
        f'[ "$1" = --build ] || exit 0; cat {folder}/said; case "$*" in *tflm*) exit 0;; esac; exit {code}',
    )


def answers(folder: Path, document: Any) -> None:
    (folder / "console").write_text(document if isinstance(document, str) else json.dumps(document))
    plays(folder, "qemu-system-arm", f"echo qemu: warning >&2; cat {folder}/console >&2")


def run(folder: Path, sources: Path) -> dict[str, Any]:
    project = folder / "project"
    project.mkdir()
    (project / "CMakeLists.txt").touch()
    return emulator.run(project, MCU, sources, silent)


def test_figures_are_those_of_linker_map_and_console(sources: Path, tmp_path: Path) -> None:
    built(tmp_path)
    answers(tmp_path, {"ok": True, "roles": {"model": ROLE}})
    found = run(tmp_path, sources)
    assert found["flash_bytes"] == 100_000 - 0x180, "test vectors do not count"
    assert found["ram_bytes"] == 24 * 1024 + MCU.memory.ram_overhead_bytes // 2
    assert (found["where"], found["ok"], found["arena_bytes"]) == ("emulated", True, 5000)
    role = found["roles"]["model"]
    assert role["instructions"] == 12 * 40  # 25 MHz, an instruction a nanosecond
    assert (role["equal"], role["values"], role["largest_difference"]) == (79, 80, 1.0)


def test_difference_without_limit_is_none(sources: Path, tmp_path: Path) -> None:
    built(tmp_path)
    outputs = {"a": ROLE["outputs"]["logits"], "b": {**ROLE["outputs"]["logits"], "largest_difference": None}}
    answers(tmp_path, {"ok": False, "roles": {"model": {**ROLE, "outputs": outputs}}})
    found = run(tmp_path, sources)
    assert (found["ok"], found["roles"]["model"]["largest_difference"]) == (False, None)


def test_library_is_built_once_and_again_when_its_sources_change(sources: Path, tmp_path: Path) -> None:
    built(tmp_path)
    answers(tmp_path, {"ok": True, "roles": {"model": ROLE}})
    run(tmp_path, sources)
    (tmp_path / "project").rename(tmp_path / "first")
    run(tmp_path, sources)
    assert len(list((tmp_path / "cache/edgearch").glob("libtflm-*.a"))) == 1
    (tmp_path / "project").rename(tmp_path / "second")
    (sources / "tensorflow/lite/micro/new.cc").touch()
    run(tmp_path, sources)
    assert len(list((tmp_path / "cache/edgearch").glob("libtflm-*.a"))) == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ld: region `RAM' overflowed by 4096 bytes", "RAM is 4,096 bytes too small"),
        ("ld: less than 8000 bytes of RAM are left for the stack", "less than 8000 bytes of RAM are left"),
    ],
)
def test_program_that_memory_does_not_hold_is_no_crash(
    sources: Path, tmp_path: Path, said: str, words: str
) -> None:
    built(tmp_path, said, code=1)
    with pytest.raises(emulator.TooLargeError, match=words):
        run(tmp_path, sources)


def test_failed_build_says_the_first_error_and_what_may_lack(sources: Path, tmp_path: Path) -> None:
    built(tmp_path, "fatal error: flatbuffers/flatbuffers.h: No such file", code=2)
    with pytest.raises(ToolError, match=r"flatbuffers\.h: No such file.*README"):
        run(tmp_path, sources)


@pytest.mark.parametrize(
    ("console", "words"),
    [
        ("qemu: unsupported machine type", "no answer in QEMU"),
        ({"ok": False, "roles": {}}, "could not add its operators"),
        ({"ok": False, "roles": {"model": {"error": "the tensor arena is too small"}}}, "arena is too small"),
    ],
)
def test_program_that_does_not_answer_is_named(
    sources: Path, tmp_path: Path, console: Any, words: str
) -> None:
    built(tmp_path)
    answers(tmp_path, console)
    with pytest.raises(ToolError, match=words):
        run(tmp_path, sources)


def test_tree_that_is_none_and_tools_that_lack_are_refused(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.check(MCU)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "qemu-system-arm").unlink()
    with pytest.raises(RequestError, match="apt install qemu-system-arm"):
        emulator.check(MCU)
    monkeypatch.setenv(emulator.VARIABLE, str(tmp_path))
    with pytest.raises(RequestError, match="found no tensorflow/lite/micro"):
        emulator.check(MCU)
    emulator.check(profiles.device("nano33ble"))  # nothing here runs its firmware


def test_tree_without_what_it_downloads_is_refused(sources: Path) -> None:
    (sources / "third_party/ruy/ruy/profiler/instrumentation.h").unlink()
    with pytest.raises(RequestError, match=r"ruy/profiler/instrumentation\.h.*third_party_downloads"):
        emulator.check(MCU)


def test_wrong_tree_is_refused_before_training(edgearch: Callable[..., Done], tmp_path: Path) -> None:
    done = edgearch("deploy", "cnn", "--device", "mcu", TFLM_DIR=str(tmp_path))
    assert (done.code, done.stdout) == (2, "")
    assert "TFLM_DIR" in done.stderr and "train" not in done.stderr
