"""Rewrites: the same values as Keras's own layers, or how far from them; made of the promised operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgearch import models, profiles, records
from edgearch.models import _blocks
from edgearch.work import Spec

IMAGE, SEQUENCE = Spec({"image": (8, 8, 1)}, 10), Spec({"sequence": (8, 8)}, 10)
REWRITTEN = sorted(
    variant
    for variants in models.families().values()
    for variant in variants
    if models.find(variant).rewrites
)


def built(block: Any, spec: Spec, shape: tuple[int, ...]) -> Any:
    from edgearch.framework import keras

    x = keras.Input(shape, name="x")
    return keras.Model(x, block(x, spec))


def both(block: Any, rewrite: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return what Keras's own layer and the rewritten one, with its weights, make of random values."""
    from edgearch.stages import _rewriting

    random = np.random.default_rng(0)
    original = built(block, Spec({}, 0), shape)
    rewritten = built(block, Spec({}, 0, (rewrite,)), shape)
    for weight in original.weights:
        weight.assign(random.normal(size=weight.shape).astype(np.float32))
    _rewriting.copy_weights(original, rewritten)
    x = random.normal(3.0, 2.0, size=(16, *shape)).astype(np.float32)
    return original(x).numpy(), rewritten(x).numpy()


def test_layer_norm_by_mul_equals_layer_normalization() -> None:
    expected, found = both(lambda x, spec: _blocks.layer_norm(x, spec, "n"), _blocks.LAYER_NORM, (7, 48))
    # float32 sums of 48 values in another order
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_by_dense_equals_multi_head_attention(causal: bool) -> None:
    def block(x: Any, spec: Spec) -> Any:
        # scaled as a norm before it would: scores in the tens make any two softmaxes differ
        return _blocks.attention(0.1 * x, 4, spec, "a", causal)

    expected, found = both(block, _blocks.ATTENTION, (9, 12))
    # exp(-16) of a masked step leaks where Keras's mask of -1e9 lets nothing through
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 if causal else 1e-5)


def test_sigmoid_gelu_is_within_its_known_distance_of_gelu() -> None:
    from edgearch.framework import keras

    x = np.linspace(-8, 8, 20_001).astype(np.float32)
    difference = np.abs(_blocks.sigmoid_gelu(x).numpy() - keras.activations.gelu(x).numpy())
    # the largest distance of x σ(1.702 x) from x Φ(x), near |x| = 2.2
    assert difference.max() == pytest.approx(0.0203, abs=2e-4)
    assert abs(x[difference.argmax()]) == pytest.approx(2.2, abs=0.2)


def test_causal_transformer_never_lets_an_earlier_step_see_a_later_one() -> None:
    from edgearch.framework import keras, tf

    model = models.find("transformer-causal").builder(Spec({"sequence": (8, 8)}, 10, (_blocks.ATTENTION,)))
    steps = keras.Model(model.train.inputs, model.train.get_layer("norm").output)
    x = np.random.default_rng(0).random((1, 8, 8), dtype=np.float32)
    changed = x.copy()
    changed[:, 5:] += 1
    before, after = steps(tf.constant(x)).numpy(), steps(tf.constant(changed)).numpy()
    # a masked step keeps exp(-16) of its weight
    np.testing.assert_allclose(after[:, :5], before[:, :5], atol=1e-5)
    assert np.abs(after[:, 5:] - before[:, 5:]).min(axis=-1).max() > 1e-4


@pytest.mark.parametrize("variant", REWRITTEN)
def test_every_rewrite_leaves_weights_that_fit_the_variant_without_it(variant: str) -> None:
    from edgearch.stages import _rewriting

    found = models.find(variant)
    spec = IMAGE if found.purpose.dataset == "digits" else SEQUENCE
    rewritten = found.builder(Spec(spec.inputs, spec.classes, found.rewrites)).train
    original = found.builder(spec).train
    kinds = {type(layer).__name__ for layer in original.layers}
    assert kinds & {"LayerNormalization", "MultiHeadAttention"}
    assert not {type(layer).__name__ for layer in rewritten.layers} & {
        "LayerNormalization",
        "MultiHeadAttention",
    }
    assert original.count_params() == rewritten.count_params()
    _rewriting.copy_weights(rewritten, original)


def test_every_rewrite_that_a_variant_or_a_profile_names_exists() -> None:
    known = set(models.rewrites())
    assert {name for variant in REWRITTEN for name in models.find(variant).rewrites} <= known
    for name in records.data_files("devices"):
        assert set(profiles.device(name).rewrites) <= known
