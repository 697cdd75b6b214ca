"""Which layers are pruned, and which are named as left out."""

from __future__ import annotations

from edgearch import models
from edgearch.stages import prune
from edgearch.work import Spec

SEQUENCE = Spec({"sequence": (8, 8)}, 10)


def schedule() -> object:
    from edgearch.framework import tfmot

    return tfmot.sparsity.keras.ConstantSparsity(0.5, begin_step=0)


def wrapped(model: object) -> set[str]:
    return {
        layer.layer.name
        for layer in model.layers  # type: ignore[attr-defined]
        if type(layer).__name__ == "PruneLowMagnitude"
    }


def test_attention_by_dense_is_pruned_layer_by_layer() -> None:
    spec = Spec(SEQUENCE.inputs, 10, models.find("transformer").rewrites)
    pruned, _, left_out = prune._wrapped(models.find("transformer").builder(spec), schedule())
    assert {"embed", "block_0_attention_query", "block_2_swiglu_down", "logits"} <= wrapped(pruned)
    assert [one["layer"] for one in left_out] == ["positions"]
    assert left_out[0]["parameters"] == 8 * 48


def test_layers_that_cannot_be_pruned_are_named_and_left_as_they_are() -> None:
    architecture = models.find("transformer").builder(SEQUENCE)
    pruned, _, left_out = prune._wrapped(architecture, schedule())
    kinds = {one["kind"] for one in left_out}
    assert kinds == {"MultiHeadAttention", "Positions"}
    assert "logits" in wrapped(pruned)
    (note,) = prune._said(left_out)
    assert "block_0_attention (MultiHeadAttention, 9,216 parameters)" in note


def test_depthwise_convolutions_are_left_out_of_which_tfmot_prunes_nothing() -> None:
    architecture = models.find("cnn-dscnn").builder(Spec({"image": (8, 8, 1)}, 10))
    _, _, left_out = prune._wrapped(architecture, schedule())
    assert {one["kind"] for one in left_out} == {"DepthwiseConv2D"}
    assert len(left_out) == 4
