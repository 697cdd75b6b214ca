"""Bad input: one clear paragraph on stderr, the right exit code, nothing written, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, Done

Edgearch = Callable[..., Done]


def refused(done: Done, code: int, *words: str) -> None:
    assert done.code == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deploy", "cnm", "--device", "rpi"], ["No model 'cnm'", "cnn-resnet8", "mlp"]),
        (["deploy", "cnn", "--device", "rpy"], ["No device 'rpy'", "coral, desktop", "rpi"]),
        (["deploy", "cnn", "--device", "rpi", "--pipeline", "int7"], ["No pipeline 'int7'", "prune-int8"]),
        (["deploy", "cnn", "--device", "rpi", "--dataset", "imagenet"], ["No dataset 'imagenet'", "digits"]),
        (["deploy", "cnn", "--device", "rpi", "--set", "train.epochs=many"], ["epochs", "integer", "'many'"]),
        (["deploy", "cnn", "--device", "rpi", "--set", "train.epoch=3"], ["'epoch'", "unknown", "epochs"]),
        (["deploy", "cnn", "--device", "rpi", "--set", "epochs=3"], ["STAGE.KEY=VALUE"]),
        (["deploy", "cnn", "--device", "rpi", "--again", "trian"], ["No stage 'trian'", "train"]),
        (["deploy", "cnn", "--device", "rpi", "--host=-oProxyCommand=x"], ["is no host", "user@address"]),
        (["deploy", "cnn", "--device", "rpi", "--host", "pi; rm -rf /"], ["is no host"]),
        (["deploy", "cnn", "--device", "desktop", "--host", "pi@somewhere"], ["takes no host"]),
        (["deploy", "cnn", "--device", "mcu", "--host", "pi@somewhere"], ["serial", "/dev/ttyACM0"]),
        (["deploy", "cnn", "--device", "rpi", "--data-folder", "nowhere"], ["nowhere", "no such folder"]),
        (["compare", "nothing", "--device", "rpi"], ["No model 'nothing'"]),
        (["check", "cnn", "--device", "nothing"], ["No device 'nothing'"]),
        (["run", "cnn", "--device", "rpi"], ["not a .tflite file", "edgearch deploy cnn"]),
        (["run", "missing.tflite", "--device", "rpi"], ["missing.tflite", "No such file"]),
        (["check", "missing.tflite", "--device", "rpi"], ["missing.tflite"]),
        (["devices", "rpy"], ["No device 'rpy'"]),
    ],
)
def test_wrong_requests_exit_2_and_say_what_there_is(
    edgearch: Edgearch, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    refused(edgearch(*arguments), 2, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n not a model at all", "not a TFLite model"),
        (b"short", "not a TFLite model"),
        (b"\x1c\0\0\0TFL3" + b"\xff" * 200, "truncated or damaged"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "check"])
def test_file_that_is_no_model_exits_2_and_writes_nothing(
    edgearch: Edgearch, tmp_path: Path, verb: str, content: bytes, word: str
) -> None:
    (tmp_path / "x.tflite").write_bytes(content)
    refused(edgearch(verb, "x.tflite", "--device", "rpi"), 2, "x.tflite", word)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tflite"]


def test_truncated_model_exits_2(edgearch: Edgearch, tmp_path: Path, int8_model: Path) -> None:
    content = int8_model.read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: len(content) // 2])
    refused(edgearch("run", "cut.tflite", "--device", "rpi"), 2, "truncated or damaged")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("threads = 1", "threads = 1\nwheels = 4"), ["'wheels'", "unknown", "threads"]),
        (('transport = "ssh"\n', ""), ["'transport'", "found none"]),
        (("ram_bytes = 1_000_000_000", 'ram_bytes = "lots"'), ["'memory.ram_bytes'", "integer", "'lots'"]),
        (("ram_bytes", "rom_bytes"), ["'memory.rom_bytes'", "ram_bytes"]),
        (('"int8", ', '"int9", '), ["precisions", "'int9'"]),
        (('runtimes = ["litert"', 'runtimes = ["onnx"'), ["No runtime 'onnx'", "litert"]),
        (('transport = "ssh"', 'transport = "telepathy"'), ["No transport 'telepathy'", "ssh"]),
        (('default_pipeline = "int8"', 'default_pipeline = "int9"'), ["No pipeline 'int9'"]),
        (("threads = 1", 'threads = 1\naccelerator = "warp"'), ["'accelerator'", "edgetpu", "'warp'"]),
        (("[memory]", "[memory"), ["expected a TOML file"]),
    ],
)
def test_wrong_profile_names_file_field_expected_and_found(
    edgearch: Edgearch, tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    (tmp_path / "devices").mkdir()
    profile = (ROOT / "devices" / "rpi.toml").read_text()
    assert change[0] in profile
    (tmp_path / "devices" / "mine.toml").write_text(profile.replace(*change))
    refused(edgearch("deploy", "cnn", "--device", "mine"), 2, *words)
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('summary = "x"\n[[stages]]\nname = "trian"\n', ["mine.toml", "No stage 'trian'", "train"]),
        ('summary = "x"\n[[stages]]\nname = "prune"\nsparsity = 1.5\n', ["mine.toml", "'sparsity'", "1.5"]),
        ('summary = "x"\n[[stages]]\nname = "prune"\nsparse = 0.5\n', ["mine.toml", "'sparse'", "sparsity"]),
        ('[[stages]]\nname = "train"\n', ["mine.toml", "'summary'", "found none"]),
    ],
)
def test_wrong_pipeline_names_file_field_expected_and_found(
    edgearch: Edgearch, tmp_path: Path, content: str, words: list[str]
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "mine.toml").write_text(content)
    refused(edgearch("deploy", "cnn", "--device", "rpi", "--pipeline", "mine"), 2, *words)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"picture": np.zeros((2, 8, 8, 1))}, ["named image", "found picture"]),
        ({"image": np.zeros((2, 9, 9, 1))}, ["(examples, 8, 8, 1)", "(2, 9, 9, 1)"]),
        ({"image": np.full((2, 8, 8, 1), np.nan)}, ["finite"]),
        ({"image": np.array(["a"])}, ["expected"]),
        ({"image": np.zeros((0, 8, 8, 1))}, ["found (0, 8, 8, 1)"]),
    ],
)
def test_wrong_inputs_say_what_the_model_takes(
    edgearch: Edgearch, tmp_path: Path, int8_model: Path, arrays: dict[str, np.ndarray], words: list[str]
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    refused(edgearch("run", str(int8_model), "--device", "rpi", "--inputs", "x.npz"), 2, *words)


def test_inputs_with_pickled_objects_are_refused(
    edgearch: Edgearch, tmp_path: Path, int8_model: Path
) -> None:
    np.savez(tmp_path / "x.npz", image=np.array([{"a": 1}], dtype=object))
    refused(edgearch("run", str(int8_model), "--device", "rpi", "--inputs", "x.npz"), 2, "plain arrays")


def test_build_folder_that_cannot_be_written_is_named(edgearch: Edgearch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused(edgearch("deploy", "cnn", "--device", "rpi", "--build", "file"), 2, "file", "directory")


def test_terminal_without_unicode_is_no_reason_to_fail(edgearch: Edgearch) -> None:
    done = edgearch("pipelines", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.code == 0, done.stderr
    assert "train" in done.stdout


def test_make_without_a_model_says_what_to_type() -> None:
    import subprocess

    done = subprocess.run(
        ["make", "--no-print-directory", "deploy", "DEVICE=rpi", "READY="],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "MODEL=cnn DEVICE=rpi" in done.stderr
