"""Recurrent networks: their exports are the trained network, and their state is fed back."""

from __future__ import annotations

import numpy as np
import pytest

from edgearch import data, models
from edgearch.errors import RequestError
from edgearch.models import Architecture, rnn
from edgearch.work import Spec

STEPPED = {"rnn-lstm": ["hidden", "cell"], "rnn-gru": ["hidden"], "rnn-simple": ["hidden"]}
EXAMPLES = data.source("digits_rows").load(None).test.first(3)


def built(variant: str) -> Architecture:
    return models.find(variant).builder(Spec({"sequence": (8, 8)}, 10))


def test_plain_names_are_variants() -> None:
    assert [models.find(name).name for name in ("rnn", "lstm", "gru")] == ["rnn-lstm", "rnn-lstm", "rnn-gru"]
    with pytest.raises(RequestError, match="gru, lstm"):
        models.find("grru")


@pytest.mark.parametrize("variant", rnn.VARIANTS)
def test_exports_are_those_that_convert(variant: str) -> None:
    architecture = built(variant)
    expected = {"rnn-lstm": ["sequence", "step"], "rnn-bilstm": ["sequence"]}.get(variant, ["step"])
    assert list(architecture.exports) == expected
    assert architecture.predicts == expected[0]
    assert models.find(variant).purpose == models.Purpose("classify", "digits_rows")


@pytest.mark.parametrize("variant", ["rnn-lstm", "rnn-bilstm"])
def test_sequence_is_the_trained_model(variant: str) -> None:
    from edgearch.framework import tf

    architecture = built(variant)
    sequence = EXAMPLES.inputs["sequence"]
    found = architecture.exports["sequence"].function(sequence=tf.constant(sequence[:1]))["logits"]
    np.testing.assert_allclose(found, architecture.train(sequence[:1], training=False), atol=1e-6)


@pytest.mark.parametrize("variant", STEPPED)
def test_step_driven_over_a_sequence_gives_what_the_trained_model_gives_for_it(variant: str) -> None:
    architecture = built(variant)
    export = architecture.exports["step"]
    for layer in architecture.train.layers:  # as training would: other weights, in the same variables
        layer.set_weights([value + 0.1 for value in layer.get_weights()])
    last = [list(example)[-1][1]["logits"] for example in export.driven(EXAMPLES, {})]
    expected = architecture.train(EXAMPLES.inputs["sequence"], training=False)
    # float32 sums over 8 steps in another order
    np.testing.assert_allclose(np.concatenate(last), expected, atol=1e-5)
    assert export.whole is not None
    np.testing.assert_allclose(export.whole(EXAMPLES)["logits"], expected, atol=1e-5)


@pytest.mark.parametrize("variant", STEPPED)
def test_step_is_calibrated_on_the_states_that_real_sequences_lead_to(variant: str) -> None:
    export = built(variant).exports["step"]
    assert list(export.inputs) == ["features", *STEPPED[variant]]
    assert export.state == {f"next_{name}": name for name in STEPPED[variant]}
    fed = list(export.calibration(EXAMPLES, {}))
    assert len(fed) == 3 * 8
    for name in STEPPED[variant]:
        states = np.stack([one[name] for one in fed]).reshape(3, 8, -1)
        assert not states[:, 0].any(), "a sequence begins with a state of zeros"
        assert states[:, 1:].any(axis=-1).all()
    rows = np.stack([one["features"][0] for one in fed]).reshape(3, 8, 8)
    np.testing.assert_array_equal(rows, EXAMPLES.inputs["sequence"])


def test_dataset_without_sequences_is_refused_with_those_that_have_them() -> None:
    with pytest.raises(RequestError, match=r"sequence \(steps, features\).*image.*digits_rows"):
        models.find("gru").builder(Spec({"image": (8, 8, 1)}, 10))
