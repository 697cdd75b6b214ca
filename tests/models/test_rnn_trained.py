"""Every recurrent variant trained in full: takes minutes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Done

REACHES = {"rnn-lstm": 0.96, "rnn-gru": 0.96, "rnn-simple": 0.95, "rnn-bilstm": 0.96}
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("variant", REACHES)
def test_variant_reaches_its_accuracy_and_keeps_it_in_int8(
    edgearch: Callable[..., Done], variant: str
) -> None:
    for device in ("rpi", "mcu"):
        done = edgearch("deploy", variant, "--device", device, "--json")
        assert done.code == 0, done.stderr
        score = done.document["score"]
        assert score["float"] >= REACHES[variant]
        assert score["delta"] >= -0.01


@pytest.mark.parametrize("variant", REACHES)
def test_every_precision_of_the_ladder_works(edgearch: Callable[..., Done], variant: str) -> None:
    done = edgearch("compare", variant, "--device", "rpi", "--json")
    assert done.code == 0, done.stderr
    assert [row["failures"] for row in done.document["precisions"]] == [[]] * 5


def test_sequences_are_needed_to_tell_control_charts_apart(edgearch: Callable[..., Done]) -> None:
    done = edgearch("deploy", "lstm", "--device", "rpi", "--dataset", "control_charts", "--json")
    assert done.code == 0, done.stderr
    score = done.document["score"]
    assert score["deployed"] >= 0.96
    by_length = score["details"]["accuracy_by_length"]["deployed"]
    assert len(by_length) == 60
    assert by_length[0] < 0.6
