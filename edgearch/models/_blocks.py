"""Blocks that more than one family uses: functions that take a tensor and return one.

A block with a rewrite is built from Keras's own layer, or, where the device profile asks for it, in the form
that ``rewrites.toml`` describes. Both forms have the same weights under the same names.
"""

from __future__ import annotations

from typing import Any

from edgearch.framework import keras, tf
from edgearch.work import Spec

LAYER_NORM, GELU, ATTENTION = "layer-norm-by-mul", "sigmoid-gelu", "attention-by-dense"
EPSILON = 1e-5  # a hundred times smaller would be lost in int16, a hundred times larger seen in the output


def layer_norm(x: Any, spec: Spec, name: str) -> Any:
    """Normalize ``x``, (..., features), over its features."""
    if LAYER_NORM not in spec.rewrites:
        return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)(x)
    from edgearch.models import _layers

    return _layers.LayerNormByMul(EPSILON, name=name)(x)


def rms_norm(x: Any, name: str) -> Any:
    """Divide ``x``, (..., features), by its root mean square."""
    from edgearch.models import _layers

    return _layers.RMSNorm(EPSILON, name=name)(x)


def gelu(x: Any, spec: Spec, name: str) -> Any:
    """Apply GELU: x Φ(x), or x σ(1.702 x) (D. Hendrycks, K. Gimpel, arXiv:1606.08415, section 2)."""
    function = sigmoid_gelu if GELU in spec.rewrites else keras.activations.gelu
    return keras.layers.Activation(function, name=name)(x)


def sigmoid_gelu(x: Any) -> Any:
    """Return x σ(1.702 x): MUL and LOGISTIC."""
    return x * tf.sigmoid(1.702 * x)


def swiglu(x: Any, hidden: int, width: int, name: str) -> Any:
    """Gate ``hidden`` features by others of their own input: (swish(x G) · x U) D.

    Source: N. Shazeer, arXiv:2002.05202.
    """
    gate = keras.layers.Dense(hidden, activation="swish", use_bias=False, name=f"{name}_gate")(x)
    up = keras.layers.Dense(hidden, use_bias=False, name=f"{name}_up")(x)
    gated = keras.layers.Multiply(name=f"{name}_gated")([gate, up])
    return keras.layers.Dense(width, use_bias=False, name=f"{name}_down")(gated)


def attention(x: Any, heads: int, spec: Spec, name: str, causal: bool = False) -> Any:
    """Let every step of ``x``, (batch, steps, width), look at the others, or at earlier ones only."""
    width = x.shape[-1]
    if ATTENTION not in spec.rewrites:
        layer = keras.layers.MultiHeadAttention(heads, width // heads, name=name)
        return layer(x, x, use_causal_mask=causal)
    from edgearch.models import _layers

    parts = [keras.layers.Dense(width, name=f"{name}_{part}")(x) for part in ("query", "key", "value")]
    mixed = _layers.Attend(heads, causal, name=f"{name}_attend")(parts)
    return keras.layers.Dense(width, name=f"{name}_attention_output")(mixed)
