"""What each variant reaches when it is trained fully: minutes each, so only on request (pytest -m slow)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Done

pytestmark = pytest.mark.slow
REACHED = {
    "mlp-swiglu": 0.96,
    "cnn-convnext": 0.97,
    "vit": 0.94,
    "transformer": 0.96,
    "transformer-causal": 0.96,
    "transformer-layernorm": 0.96,
}


@pytest.mark.parametrize(("variant", "least"), REACHED.items())
def test_variant_reaches_its_accuracy_and_int8_stays_within_a_point_on_rpi_and_mcu(
    edgearch: Callable[..., Done], variant: str, least: float
) -> None:
    float_correct, int8_correct = {"rpi": 0.0, "mcu": 0.0}, {"rpi": 0.0, "mcu": 0.0}
    seeds = (0, 1, 2)
    for seed in seeds:
        for device in ("rpi", "mcu"):
            done = edgearch("deploy", variant, "--device", device, "--seed", str(seed), "--json")
            assert done.code == 0, done.stderr
            score = done.document["score"]
            print(f"{variant} {device} seed {seed}: {score['float']:.4f} → {score['deployed']:.4f}")
            float_correct[device] += score["float"] / len(seeds)
            int8_correct[device] += score["deployed"] / len(seeds)
    for device in ("rpi", "mcu"):
        assert float_correct[device] >= least
        assert int8_correct[device] >= float_correct[device] - 0.01


@pytest.mark.parametrize("variant", REACHED)
def test_every_precision_of_the_ladder_passes(edgearch: Callable[..., Done], variant: str) -> None:
    done = edgearch("compare", variant, "--device", "rpi", "--json")
    assert done.code == 0, done.stderr
    assert {row["pipeline"]: row["failures"] for row in done.document["precisions"] if row["failures"]} == {}
