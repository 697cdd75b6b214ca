"""The command line: help, lists, JSON, what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import Deployed, Done

HEAVY = ("tensorflow", "tf_keras", "sklearn", "scipy", "matplotlib", "ai_edge_litert")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["deploy", "--help"], ["devices"], ["pipelines"], ["models"], ["datasets"]]
)
def test_help_and_lists_import_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from edgearch.cli import main\n"
        f"try: code = main({arguments!r})\n"
        "except SystemExit as stop: code = stop.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("verb", "key", "expected"),
    [
        ("models", "model", {"mlp", "cnn-resnet8", "cnn-lenet5", "cnn-mobilenetv1", "cnn-dscnn"}),
        ("devices", "device", {"rpi", "desktop", "mcu", "coral"}),
        ("pipelines", "pipeline", {"float32", "float16", "dynamic", "int8", "prune-int8"}),
        ("datasets", "dataset", {"digits", "mnist", "fashion_mnist", "cifar10"}),
    ],
)
def test_lists_are_json_on_request(
    edgearch: Callable[..., Done], verb: str, key: str, expected: set[str]
) -> None:
    done = edgearch(verb, "--json")
    assert done.code == 0
    assert {row[key] for row in done.document} >= expected
    assert all(name in edgearch(verb).stdout for name in expected)


def test_profile_is_shown_by_name(edgearch: Callable[..., Done]) -> None:
    document = edgearch("devices", "rpi", "--json").document
    assert document["memory"]["ram_bytes"] == 1_000_000_000
    assert document["requirements"]["tflite-runtime"] == ["tflite-runtime==2.14.0", "numpy<2"]


def test_doctor_gives_a_remedy_for_all_that_is_not_ok(edgearch: Callable[..., Done]) -> None:
    found = edgearch("doctor", "--json").document
    assert {one["name"] for one in found} >= {"python", "tensorflow", "ssh", "runtime tflm"}
    assert next(one for one in found if one["name"] == "tensorflow")["ok"]
    assert all(one["ok"] or one["remedy"] for one in found)


def test_table_for_people_and_progress_go_to_different_streams(deployed: Deployed) -> None:
    done = deployed.again("deploy", "cnn", "--device", "rpi")
    assert done.code == 0
    for word in ("accuracy", "p50", "litert", "stand-in", "RAM", "train", "--host"):
        assert word in done.stdout
    assert "measure: already done" in done.stderr
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.stdout)


def test_check_answers_before_any_training(edgearch: Callable[..., Done]) -> None:
    done = edgearch("check", "mlp", "--device", "mcu", "--json")
    document = done.document
    assert done.code == 0, done.stderr
    assert document["fit"]["ok"]
    assert document["fit"]["where"] == "simulated"
    assert document["artifacts"][0]["ops"]["FULLY_CONNECTED"] == 3
    assert "score" not in document


def test_check_reads_an_existing_file(deployed: Deployed) -> None:
    path = str(deployed.bundle / "model.tflite")
    done = deployed.again("check", path, "--device", "mcu", "--json")
    assert done.code == 0, done.stderr
    assert done.document["precision"] == "int8"
    assert done.document["fit"]["arena_bytes"] > 0


def test_run_measures_an_existing_file_and_saves_its_outputs(deployed: Deployed) -> None:
    import numpy as np

    path = deployed.bundle / "model.tflite"
    with np.load(path.parent / "inputs.npz") as arrays:
        np.savez(deployed.folder / "five.npz", image=arrays["model/image"][:5])
    done = deployed.again("run", str(path), "--device", "rpi", "--inputs", "five.npz", "--json")
    document = done.document
    assert done.code == 0, done.stderr
    assert document["where"] == "stand-in"
    assert document["output_shapes"] == {"logits": [5, 10]}
    assert any(runtime["chosen"] for runtime in document["runtimes"])
    with np.load(deployed.folder / document["outputs"]) as outputs:
        assert outputs["logits"].shape == (5, 10)
