"""Every variant trained as its recipe says, three times, and deployed: `make test-models`, about an hour.

Finished deployments are kept in build/ as any other's, so that a run that was ended goes on where it was.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgearch import models
from tests.conftest import ROOT, run_edgearch

pytestmark = pytest.mark.slow
SEEDS = (0, 1, 2)
DEVICES = ("rpi", "desktop", "mcu")
POINTS, SHARE = 0.01, 0.05  # what int8 may lose: of a share of right answers, and of any other metric's value

Score = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """What the float model must come to, in words and as a test of a deployment's score."""

    words: str
    met: Callable[[Score], bool]


def at_least(value: float) -> Goal:
    return Goal(f"at least {value}", lambda score: score["float"] >= value)


def _beats_pca(score: Score) -> bool:
    (baseline,) = score["baselines"].values()
    error = "squared error of a pixel"
    copied = score["details"]["figures"]["float"][error]
    return bool(score["float"] < baseline["negative_elbo"] and copied < baseline[error])


def _covers(score: Score) -> bool:
    return bool(score["details"]["figures"]["float"]["modes covered, of 10"] >= 9)


def _beats_regression(score: Score) -> bool:
    (alone,) = score["baselines"].values()
    return bool(score["float"] >= 0.93 and score["float"] > alone["accuracy"])


GRAPH = Goal("at least 0.93, above logistic regression", _beats_regression)
PCA = Goal("below a PCA's, squared error too", _beats_pca)
MODES = Goal("9 of 10 modes covered", _covers)
GOALS = {
    "mlp": at_least(0.96),
    "mlp-swiglu": at_least(0.96),
    "mlp-autoencoder": at_least(0.95),
    **dict.fromkeys(models.families()["cnn"], at_least(0.97)),
    "vit": at_least(0.94),
    "rnn-lstm": at_least(0.96),
    "rnn-gru": at_least(0.96),
    "rnn-simple": at_least(0.95),
    "rnn-bilstm": at_least(0.96),
    **dict.fromkeys(models.families()["transformer"], at_least(0.96)),
    **dict.fromkeys(models.families()["vae"], PCA),
    **dict.fromkeys(models.families()["gan"], MODES),
    **dict.fromkeys(("gnn-gcn", "gnn-gat", "gnn-sage"), GRAPH),
    "gnn-pool": at_least(0.93),
}


def deployment(variant: str, device: str, seed: int, *more: str) -> Any:
    done = run_edgearch(
        "deploy", variant, "--device", device, "--seed", str(seed), "--build", str(ROOT / "build"), "--json",
        *more, cwd=ROOT,
    )  # fmt: skip
    assert done.code == 0, f"{variant} on {device}, seed {seed}: {done.stderr}"
    return done.document


def pooled(scores: list[Score]) -> tuple[float, float]:
    """Return the mean of paired differences, better being positive, and half of its 95 % interval."""
    sign = 1 if scores[0]["higher_is_better"] else -1
    halves = [(score["ci95"][1] - score["ci95"][0]) / 2 for score in scores]
    mean = sum(sign * score["delta"] for score in scores) / len(scores)
    return mean, math.sqrt(sum(half**2 for half in halves)) / len(scores)


@pytest.mark.parametrize("variant", GOALS)
def test_variant_reaches_its_goal_and_int8_keeps_it(variant: str, capsys: pytest.CaptureFixture[str]) -> None:
    documents = [deployment(variant, DEVICES[0], seed) for seed in SEEDS]
    scores = [one["score"] for one in documents]
    for device in DEVICES[1:]:
        deployment(variant, device, SEEDS[0])
    value = sum(score["float"] for score in scores) / len(scores)
    delta, half = pooled(scores)
    allowed = SHARE * abs(value) if scores[0]["budget"] == "relative" else POINTS
    reached = [GOALS[variant].met(score) for score in scores]
    seconds = max(
        stage["seconds"] for one in documents for stage in one["stages"] if stage["name"] == "train"
    )
    kept = sorted({one["precision"] for document in documents for one in document["artifacts"]})
    found = " ".join(f"{score['float']:.4f}" for score in scores)
    with capsys.disabled():
        print(
            f"\n{variant:21} {scores[0]['title']} {found}"
            f" ({GOALS[variant].words}: {sum(reached)} of {len(SEEDS)} seeds)"
            f"; {', '.join(kept)}: {delta:+.4f} ± {half:.4f} (−{allowed:.4f} allowed)"
            f"; trained in {seconds:.0f} s; {', '.join(DEVICES)}"
        )
    assert all(reached)
    assert delta >= -allowed


def test_lstm_needs_whole_sequences_of_control_charts_and_its_step_keeps_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for device in ("rpi", "mcu"):
        document = deployment("rnn-lstm", device, 0, "--dataset", "control_charts")
        score, kept = document["score"], document.get("mixed", {}).get("step", {})
        with capsys.disabled():
            print(
                f"\nrnn-lstm on control_charts, {device}: {score['float']:.4f}, "
                f"deployed {score['deployed']:.4f}; step {kept.get('precision', 'int8')}"
            )
        assert score["deployed"] >= 0.96
        assert score["delta"] >= -POINTS
        by_length = score["details"]["accuracy_by_length"]["deployed"]
        assert len(by_length) == 60
        assert by_length[0] < 0.6


def test_cora_comes_near_the_paper(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/cora.py", str(shared / "data" / "cora")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    with capsys.disabled():
        print(f"\ngnn-gcn on cora, five seeds: {done.stdout.splitlines()[-1:]}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variant_has_a_goal() -> None:
    assert set(GOALS) == {name for variants in models.families().values() for name in variants}
