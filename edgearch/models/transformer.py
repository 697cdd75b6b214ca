"""Transformer for sequences: every step looks at every other, or, if causal, at the earlier ones.

What a developer brings over: a sequence goes in at once, training needs no loop over time. What does not:
the length is fixed when the model is exported, memory grows with its square, and Keras's causal mask of -1e9
leaves int8 a single step for all real scores.

Sources: A. Vaswani et al., arXiv:1706.03762; pre-norm: R. Xiong et al., arXiv:2002.04745.
"""

from __future__ import annotations

from typing import Any

from edgearch.errors import RequestError
from edgearch.framework import keras
from edgearch.models import Architecture, Purpose, Recipe, _blocks, logits_export
from edgearch.work import Spec

WIDTH, HEADS, BLOCKS, HIDDEN, DROPOUT = 48, 4, 3, 96, 0.2
NOISE = 0.15  # while training, beside features of 0 to 1: attention learns a small dataset by heart


def transformer(spec: Spec) -> Architecture:
    """Build three pre-norm blocks of 48 features: RMSNorm, SwiGLU, the mean over steps answers."""
    return _transformer(spec, norm="rms", causal=False)


def causal(spec: Spec) -> Architecture:
    """Build the same three blocks with steps that see earlier ones only; the last step answers."""
    return _transformer(spec, norm="rms", causal=True)


def layernorm(spec: Spec) -> Architecture:
    """Build the same three blocks with LayerNormalization, as transformers had it first."""
    return _transformer(spec, norm="layer", causal=False)


VARIANTS = {"transformer": transformer, "transformer-causal": causal, "transformer-layernorm": layernorm}
PURPOSES = {name: Purpose(dataset="digits_rows") for name in VARIANTS}
REWRITES = {
    "transformer": (_blocks.ATTENTION,),
    "transformer-causal": (_blocks.ATTENTION,),
    "transformer-layernorm": (_blocks.LAYER_NORM, _blocks.ATTENTION),
}


def _transformer(spec: Spec, norm: str, causal: bool) -> Architecture:
    from edgearch.models import _layers

    sequence = _sequence(spec)
    x = keras.layers.GaussianNoise(NOISE, name="noise")(sequence)
    x = keras.layers.Dense(WIDTH, name="embed")(x)
    x = _layers.Positions(name="positions")(x)
    for index in range(BLOCKS):
        x = _block(x, spec, norm, causal, name=f"block_{index}")
    x = _normalized(x, spec, norm, "norm")
    # Only the last step has seen the whole sequence where steps see earlier ones only.
    x = x[:, -1] if causal else keras.layers.GlobalAveragePooling1D(name="pool")(x)
    logits = keras.layers.Dense(spec.classes, name="logits")(x)
    model = keras.Model({"sequence": sequence}, logits, name="transformer")
    recipe = Recipe(epochs=60, weight_decay=0.3, patience=25)
    return Architecture(model, logits_export(model, spec), recipe)


def _block(x: Any, spec: Spec, norm: str, causal: bool, name: str) -> Any:
    """Look at the other steps, then think about what was seen; each adds to what was there before."""
    seen = _blocks.attention(
        _normalized(x, spec, norm, f"{name}_norm_1"), HEADS, spec, f"{name}_attention", causal
    )
    seen = keras.layers.Dropout(DROPOUT, name=f"{name}_dropout_1")(seen)
    x = keras.layers.Add(name=f"{name}_add_1")([x, seen])
    thought = _blocks.swiglu(_normalized(x, spec, norm, f"{name}_norm_2"), HIDDEN, WIDTH, f"{name}_swiglu")
    thought = keras.layers.Dropout(DROPOUT, name=f"{name}_dropout_2")(thought)
    return keras.layers.Add(name=f"{name}_add_2")([x, thought])


def _normalized(x: Any, spec: Spec, norm: str, name: str) -> Any:
    return _blocks.rms_norm(x, name) if norm == "rms" else _blocks.layer_norm(x, spec, name)


def _sequence(spec: Spec) -> Any:
    if list(spec.inputs) != ["sequence"] or len(spec.inputs["sequence"]) != 2:
        raise RequestError(
            "A transformer takes one input, sequence (steps, features); "
            f"this dataset has {dict(spec.inputs)}."
        )
    return keras.Input(spec.inputs["sequence"], name="sequence")
