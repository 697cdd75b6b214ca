"""Arm's Ethos-U, as its compiler Vela places a model on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgearch.stages import _vela
from tests.conftest import Deployed


def test_int8_convolutions_run_on_the_npu_as_a_whole(int8_model: Path) -> None:
    places = _vela.places(int8_model, "ethos-u55-128", "mcu")
    assert len(places) == 14
    assert {place.on for place in places} == {"npu"}


def test_floats_stay_on_the_processor_with_the_reason(deployed: Deployed) -> None:
    places = _vela.places(deployed.converted("float32"), "ethos-u55-128", "mcu")
    assert {place.on for place in places} == {"mcu"}
    assert all("float32; an Ethos-U computes on 8- and 16-bit integers" in place.reason for place in places)
    assert all("int8" in place.remedy for place in places)


def test_larger_npu_takes_fewer_cycles(int8_model: Path) -> None:
    small, large = (_vela.figures([int8_model], name) for name in ("ethos-u55-128", "ethos-u65-256"))
    for figures in (small, large):
        assert figures["inference_ms"] == pytest.approx(figures["cycles"] / figures["clock_hz"] * 1000)
        assert figures["flash_bytes"] + figures["dram_bytes"] > 70_000  # the weights alone
        assert figures["sram_bytes"] > 1_000
    assert large["cycles"] < small["cycles"]


def test_deployment_bundles_the_compiled_model_and_labels_its_figures_estimated(deployed: Deployed) -> None:
    done = deployed.again("deploy", "cnn", "--device", "ethos-u55", "--json")
    assert done.code == 0, done.stderr
    accelerator = done.document["accelerator"]
    assert accelerator["where"] == "estimated"
    assert accelerator["mapped"] == accelerator["compiled"] == accelerator["operators"] == 14
    assert done.document["where"] == "simulated"
    assert (deployed.folder / done.document["bundle"] / "model_vela.tflite").exists()
