"""The main job from end to end, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, Deployed, Done, run_edgearch

KEYS = {
    "schema", "model", "variant", "device", "pipeline", "dataset", "where", "artifacts", "fit", "score",
    "parity", "runtimes", "stages", "bundle",
}  # fmt: skip


def test_deploy_ends_in_one_document_with_the_designed_keys(deployed: Deployed) -> None:
    assert deployed.done.code == 0, deployed.done.stderr
    document = deployed.done.document
    assert document["schema"] == "edgearch/deployment@1"
    assert set(document) >= KEYS
    assert document["where"] == "stand-in"
    assert document["variant"] == "cnn-resnet8"
    assert [stage["name"] for stage in document["stages"]] == [
        "train", "convert", "quantize", "mix", "check", "validate", "package", "measure",
    ]  # fmt: skip


def test_float_accuracy_is_at_least_97_percent_and_int8_within_one_point(deployed: Deployed) -> None:
    score = deployed.done.document["score"]
    assert score["examples"] == 360
    assert score["float"] >= 0.97
    assert abs(score["delta"]) <= 0.01
    low, high = score["ci95"]
    assert low <= score["delta"] <= high
    assert low < high
    assert 0 < score["p_value"] <= 1


def test_model_is_int8_inside_and_outside(deployed: Deployed) -> None:
    (artifact,) = deployed.done.document["artifacts"]
    assert artifact["precision"] == "int8"
    assert artifact["ops"]["CONV_2D"] == 9
    assert set(artifact["ops"]) == {"CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED"}
    manifest = json.loads((deployed.bundle / "manifest.json").read_text())
    tensors = [*manifest["roles"]["model"]["inputs"], *manifest["roles"]["model"]["outputs"]]
    assert [tensor["dtype"] for tensor in tensors] == ["int8", "int8"]


def test_every_runtime_of_the_profile_is_measured_and_the_fastest_is_chosen(deployed: Deployed) -> None:
    runtimes = {runtime["name"]: runtime for runtime in deployed.done.document["runtimes"]}
    assert set(runtimes) == {"litert", "tflite-runtime"}
    if sys.version_info >= (3, 12):
        assert "no wheel" in runtimes.pop("tflite-runtime")["set_aside"]
    assert all(runtime["where"] == "stand-in" for runtime in runtimes.values())
    fastest = min(runtimes.values(), key=lambda runtime: runtime["latency_ms"]["p50"])
    assert [name for name, runtime in runtimes.items() if runtime["chosen"]] == [fastest["name"]]
    for runtime in runtimes.values():
        latency = runtime["latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
        assert latency["runs"] >= 30
        assert runtime["parity"]["model"]["ok"]


def test_reports_stand_beside_the_bundle_and_its_sums_hold(deployed: Deployed) -> None:
    folder = deployed.folder / deployed.done.document["bundle"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["sha256"]) == {"model.tflite", "inputs.npz", "expected.npz"}
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    report = json.loads((folder.parent / "report.json").read_text())
    first = deployed.done.document  # a later deployment writes the same, but for what was cached
    assert {**report, "stages": None} == {**first, "stages": None}
    assert (folder.parent / "report.html").read_text().lower().startswith("<!doctype html>")
    assert "cnn-resnet8" in (folder.parent / "report.md").read_text()


def test_user_is_told_how_to_name_a_host(deployed: Deployed) -> None:
    assert any("--host" in note for note in deployed.done.document["notes"])


def test_second_deployment_is_all_cached_and_imports_no_tensorflow(deployed: Deployed) -> None:
    script = (
        "import sys\n"
        "from edgearch.cli import main\n"
        "code = main(['deploy', 'cnn', '--device', 'rpi', '--json'])\n"
        "sys.exit(code or ('tensorflow' in sys.modules and 9))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=deployed.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(stage["cached"] for stage in json.loads(done.stdout)["stages"])


def test_no_variant_needs_tensorflow_to_find_what_is_finished(deployed: Deployed) -> None:
    script = (
        "import sys\n"
        "from edgearch import models, pipeline, profiles\n"
        "from edgearch.work import Request\n"
        "for variants in models.families().values():\n"
        "    for name in variants:\n"
        "        purpose = models.find(name).purpose\n"
        "        request = Request(name, name, purpose.dataset, profiles.device('rpi'), purpose.task)\n"
        "        for step in pipeline.read('prune-int8').steps:\n"
        "            pipeline._key(step, request, '')\n"
        "sys.exit('tensorflow' in sys.modules and 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_changed_setting_runs_its_stage_and_those_after_it_only(deployed: Deployed) -> None:
    done = deployed.again("deploy", "cnn", "--device", "rpi", "--json", "--set", "validate.max_drop=0.5")
    cached = {stage["name"]: stage["cached"] for stage in done.document["stages"]}
    assert cached == {
        "train": True, "convert": True, "quantize": True, "mix": True, "check": True,
        "validate": False, "package": False, "measure": False,
    }  # fmt: skip


def test_another_device_keeps_the_trained_and_quantized_model(deployed: Deployed, tmp_path: Path) -> None:
    copy = shutil.copytree(deployed.folder, tmp_path / "copy")
    for path in copy.glob("build/stages/check-*"):  # other tests may have deployed there already
        shutil.rmtree(path)
    done = run_edgearch("deploy", "cnn", "--device", "mcu", "--json", cwd=copy)
    document = done.document
    assert done.code == 0, done.stderr
    cached = {stage["name"]: stage["cached"] for stage in document["stages"]}
    assert cached["train"] and cached["convert"] and cached["quantize"] and not cached["check"]
    assert document["where"] == document["fit"]["where"] == "simulated"
    (runtime,) = document["runtimes"]
    assert runtime["name"] == "tflm"
    assert runtime["arena_bytes"] == document["fit"]["arena_bytes"] > 4096
    assert document["fit"]["ram_bytes"] < document["fit"]["ram_limit_bytes"]


def test_damaged_stage_is_made_again(deployed: Deployed, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(deployed.folder, copy)
    for path in copy.glob("build/stages/quantize-*/model.int8.tflite"):
        path.write_bytes(path.read_bytes()[:1000])
    done = run_edgearch("deploy", "cnn", "--device", "rpi", "--json", cwd=copy)
    cached = {stage["name"]: stage["cached"] for stage in done.document["stages"]}
    assert done.code == 0
    assert cached["convert"] and not cached["quantize"]
    assert cached["measure"], "the same bytes were made again, so what follows still holds"


FAMILIES = {"EDGEARCH_MODELS": str(ROOT / "tests" / "families")}


def test_operators_that_int8_ruins_are_kept_in_float_and_named(edgearch: Callable[..., Done]) -> None:
    done = edgearch("deploy", "fragile", "--device", "rpi", "--json", **FAMILIES)
    assert done.code == 0, done.stderr
    document = done.document
    kept = document["mixed"]["model"]["kept"]
    # the outlier makes one step of int8 wider than all pixels
    assert {"CONCATENATION", "STRIDED_SLICE"} <= {one["op"] for one in kept}
    steps = {one["op"]: one["step"] for one in kept}
    assert steps["CONCATENATION"] == pytest.approx(1000 / 255, rel=0.1)
    assert document["artifacts"][0]["precision"] == "int8 + float32"
    assert document["score"]["delta"] == pytest.approx(0, abs=0.01)
    assert any("int8 throughout comes to 0.1" in note for note in document["notes"])


def test_device_of_integers_alone_is_told_why_int8_is_not_mended(
    edgearch: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "devices").mkdir()
    profile = (ROOT / "devices" / "rpi.toml").read_text(encoding="utf-8")
    integers = re.sub(r"precisions = \[.*?\]", 'precisions = ["int8"]', profile)
    (tmp_path / "devices" / "integers.toml").write_text(integers)
    done = edgearch("deploy", "fragile", "--device", "integers", "--json", **FAMILIES)
    assert done.code == 1, done.stderr
    assert any("integers runs no float32 that could be mixed in" in note for note in done.document["notes"])


def test_accuracy_below_the_budget_exits_1_and_keeps_the_report(edgearch: Callable[..., Done]) -> None:
    done = edgearch("deploy", "fragile", "--device", "rpi", "--json", "--set", "mix.max_drop=1", **FAMILIES)
    assert done.code == 1, done.stderr
    document = done.document
    assert "the pipeline allows 0.02" in document["failures"][0]
    assert "edgearch compare" in document["failures"][0]
    assert document["stages"][-1]["name"] == "validate"
    assert document["score"]["delta"] < -0.3
    assert document["bundle"] is None


def test_new_board_is_one_file_in_the_users_folder(deployed: Deployed) -> None:
    folder = deployed.folder / "devices"
    folder.mkdir()
    try:
        (folder / "kitchen-pi.toml").write_text(
            'title = "The Pi in the kitchen"\ntransport = "ssh"\nwithout_host = "stand-in"\n'
            'precisions = ["int8"]\ndefault_pipeline = "int8"\nruntimes = ["litert"]\nthreads = 2\n'
            "[memory]\nram_bytes = 500_000_000\nflash_bytes = 1_000_000_000\n"
        )
        listed = deployed.again("devices")
        done = deployed.again("deploy", "cnn", "--device", "kitchen-pi", "--json")
    finally:
        shutil.rmtree(folder)
    assert "kitchen-pi" in listed.stdout and "rpi" in listed.stdout
    assert done.code == 0, done.stderr
    assert done.document["device"] == "kitchen-pi"
    assert [(one["name"], one["threads"]) for one in done.document["runtimes"]] == [("litert", 2)]


def test_model_too_big_for_a_device_exits_1_before_it_is_shipped(deployed: Deployed) -> None:
    folder = deployed.folder / "devices"
    folder.mkdir()
    try:
        mcu = (ROOT / "devices" / "mcu.toml").read_text()
        (folder / "tiny.toml").write_text(mcu.replace("256_000", "20_000").replace("1_000_000", "100_000"))
        done = deployed.again("deploy", "cnn", "--device", "tiny", "--json")
    finally:
        shutil.rmtree(folder)
    assert done.code == 1
    assert not done.document["fit"]["ok"]
    assert "20,000 bytes of RAM" in done.document["failures"][0]
    assert "100,000 bytes of flash" in done.document["failures"][1]
    assert [stage["name"] for stage in done.document["stages"]][-1] == "check"
    assert done.document["bundle"] is None


def test_compare_shows_the_ladder_side_by_side(deployed: Deployed) -> None:
    done = deployed.again("compare", "cnn", "--device", "rpi", "--json")
    assert done.code == 0, done.stderr
    rows = {row["pipeline"]: row for row in done.document["precisions"]}
    assert list(rows) == ["float32", "float16", "dynamic", "int8", "int16x8", "prune-int8"]
    sizes = {name: row["artifacts"][0]["bytes"] for name, row in rows.items()}
    assert sizes["float32"] > sizes["float16"] > sizes["int8"]
    assert rows["prune-int8"]["artifacts"][0]["sparsity"] >= 0.49
    assert all(row["score"]["deployed"] >= 0.95 for row in rows.values())
    assert len({row["score"]["float"] for row in rows.values()}) == 1, "all are compared with the same float"
    medians = {
        name: next(one["latency_ms"]["p50"] for one in row["runtimes"] if one["chosen"])
        for name, row in rows.items()
    }
    assert done.document["recommended"]["pipeline"] == min(medians, key=lambda name: medians[name])
    assert "measured fastest of 6" in done.document["recommended"]["reason"]


def test_pipeline_that_a_device_cannot_run_is_refused_before_training(
    edgearch: Callable[..., Done], tmp_path: Path
) -> None:
    done = edgearch("deploy", "cnn", "--device", "mcu", "--pipeline", "float16")
    assert done.code == 1
    assert "mcu does not run float16" in done.stderr
    assert not (tmp_path / "build").exists()


def test_inputs_of_the_bundle_are_the_test_examples(deployed: Deployed) -> None:
    with np.load(deployed.bundle / "inputs.npz") as arrays:
        assert arrays["model/image"].shape == (360, 8, 8, 1)
        assert 0 <= arrays["model/image"].min() < arrays["model/image"].max() <= 1
