"""Generative networks trained as their recipes say: what each reaches, in float and in int8."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import run_edgearch

pytestmark = pytest.mark.slow

VARIANTS = ["mlp-autoencoder", "vae", "vae-conv", "gan", "gan-wgan-gp"]


@pytest.fixture(scope="module", params=VARIANTS)
def scores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each device's score of one variant."""
    folder, found = tmp_path_factory.mktemp(request.param), {}
    for device in ("rpi", "mcu"):
        done = run_edgearch("deploy", request.param, "--device", device, "--json", cwd=folder)
        assert done.code == 0, done.stderr
        found[device] = done.document["score"]
        print(f"{request.param} {device}: {found[device]['float']:.4f} {found[device]['deployed']:.4f}")
    return found


def test_int8_is_within_5_percent_of_floats_metric_on_both_devices(scores: dict[str, Any]) -> None:
    for score in scores.values():
        worse = -score["delta"] if score["higher_is_better"] else score["delta"]
        assert worse <= 0.05 * score["float"]


def test_float_reaches_what_its_task_asks(scores: dict[str, Any]) -> None:
    score = scores["rpi"]
    (baseline,) = score["baselines"].values()
    figures = score["details"].get("figures", {}).get("float", {})
    if score["metric"] == "auc":
        assert score["float"] >= 0.95
    elif score["metric"] == "negative_elbo":
        assert score["float"] < baseline["negative_elbo"]
        assert figures["squared error of a pixel"] < baseline["squared error of a pixel"]
    else:
        assert figures["modes covered, of 10"] >= 9
        # a digit repeated is some hundreds off; the training images themselves about 2
        assert score["float"] < 10
