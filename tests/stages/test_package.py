"""A bundle for a device with an accelerator: the maker's compiler, where this machine has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgearch import pipeline, profiles
from edgearch.errors import ToolError
from edgearch.stages import _compiling, package
from edgearch.tflite import model as tflite
from edgearch.work import Request, Work, save_arrays

NAME = "mobilenet_v1_0.25_128_quant"
DEVICES = ("coral", "rpi")


@pytest.fixture
def work(shared: Path, tmp_path: Path) -> Work:
    """A checked mobilenet on its way to coral."""
    path = shared / "models" / "edgetpu" / f"{NAME}.tflite"
    inputs = save_arrays(tmp_path / "inputs.npz", {"model/input": np.zeros((1, 128, 128, 3), np.uint8)})
    parity = save_arrays(tmp_path / "parity.npz", {})
    request = Request(NAME, NAME, "", profiles.device("coral"), "")
    facts = {
        "roles": ["model"],
        "precision": "int8",
        "accelerator": {"name": "edgetpu", "operators": 31, "mapped": 31},
        "notes": ["earlier"],
    }
    files = {"model.int8": path, "stacked_inputs": inputs, "parity": parity}
    return Work(request, tmp_path / "work", files, facts)


def compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a shell script on PATH as edgetpu_compiler; its $3 is the folder for the output, $4 the model."""
    folder.mkdir()
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_compiled_model_and_log_are_in_the_bundle_with_their_sums(
    work: Work, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shared / "models" / "edgetpu" / f"{NAME}_edgetpu.tflite"
    script = f'cp {made} "$3/$(basename "$4" .tflite)_edgetpu.tflite"; echo Mapped to Edge TPU'
    compiler(tmp_path / "bin", monkeypatch, script)
    done = package.run(work, package.Settings())
    assert tflite.read(done.files["bundle/model_edgetpu.tflite"]).ops() == {"CUSTOM:edgetpu-custom-op": 1}
    assert "Mapped" in done.files["bundle/model_edgetpu.log"].read_text()
    assert "model_edgetpu.tflite" in done.files["bundle/manifest.json"].read_text()
    assert done.facts["accelerator"]["compiled"] == 31
    assert "put 31 of 31 operators on the accelerator; 31 were predicted" in done.facts["notes"][-1]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo Internal compiler error. Aborting! >&2; exit 1", ["ended with 1", "Internal compiler error"]),
        ("echo Model not quantized", ["wrote no model", "Model not quantized"]),
        ("kill -SEGV $$", ["ended with -11", "said nothing"]),
        ("sleep 300 & sleep 300", ["took longer than 1 s"]),
    ],
)
def test_compiler_that_fails_is_named_with_its_message(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: list[str]
) -> None:
    compiler(tmp_path / "bin", monkeypatch, script)
    monkeypatch.setattr(_compiling, "TIMEOUT_SECONDS", 1)
    with pytest.raises(ToolError) as caught:
        package.run(work, package.Settings())
    assert caught.value.exit_code == 4
    for word in ("edgetpu_compiler could not compile model.tflite", *words):
        assert word in str(caught.value)


def test_without_the_compiler_the_bundle_is_made_and_says_what_it_lacks(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = package.run(work, package.Settings())
    assert [note.split()[0] for note in done.facts["notes"]] == ["earlier", "edgetpu_compiler"]
    assert "bundle/model.tflite" in done.files
    assert "bundle/model_edgetpu.tflite" not in done.files


def test_installing_the_compiler_makes_a_new_bundle_for_coral_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = next(step for step in pipeline.read("int8").steps if step.name == "package")
    requests = [
        Request("cnn", "cnn-resnet8", "digits", profiles.device(name), "classify") for name in DEVICES
    ]
    before = [pipeline._key(step, request, "upstream") for request in requests]
    compiler(tmp_path / "bin", monkeypatch, "exit 0")
    after = [pipeline._key(step, request, "upstream") for request in requests]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]
