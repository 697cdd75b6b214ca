"""Keras layers that more than one family uses. Importing this imports TensorFlow: do it inside a builder.

Only operators that TensorFlow Lite Micro has too: MUL, SUB, MEAN, RSQRT, BATCH_MATMUL, SOFTMAX, and tensors
of at most four dimensions.
"""

from __future__ import annotations

from typing import Any

from edgearch.framework import keras, tf

# What a masked score is lowered by. Keras takes 1e9, and a tensor that reaches from -1e9 to 10 has one int8
# step for all real scores. exp(-16) is 1e-7: less than a step of any precision's softmax.
MASKED = 16.0


class LayerNormByMul(keras.layers.Layer):  # type: ignore[misc]
    """Layer normalization over the last axis without SQUARED_DIFFERENCE: the variance is a MEAN of a MUL.

    Source: J. Ba et al., arXiv:1607.06450. Weights are named and shaped as LayerNormalization's.
    """

    def __init__(self, epsilon: float, name: str) -> None:
        super().__init__(name=name)
        self._epsilon = epsilon

    def build(self, shape: Any) -> None:
        """Make scale and shift, (features,) each."""
        self.gamma = self.add_weight("gamma", (shape[-1],), initializer="ones")
        self.beta = self.add_weight("beta", (shape[-1],), initializer="zeros")

    def call(self, x: Any) -> Any:
        """Return ``x``, (..., features), with mean 0 and variance 1 in each place, scaled and shifted."""
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(centred * centred, -1, keepdims=True)
        return centred * tf.math.rsqrt(variance + self._epsilon) * self.gamma + self.beta


class RMSNorm(keras.layers.Layer):  # type: ignore[misc]
    """Root mean square normalization: no mean to subtract, no shift. Source: B. Zhang, R. Sennrich, 2019."""

    def __init__(self, epsilon: float, name: str) -> None:
        super().__init__(name=name)
        self._epsilon = epsilon

    def build(self, shape: Any) -> None:
        """Make the scale, (features,)."""
        self.gamma = self.add_weight("gamma", (shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        """Return ``x``, (..., features), divided by its root mean square in each place."""
        return x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + self._epsilon) * self.gamma


class Positions(keras.layers.Layer):  # type: ignore[misc]
    """Add a learned vector to each place of a sequence: attention itself does not know the order."""

    def build(self, shape: Any) -> None:
        """Make the table, (1, steps, width)."""
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        self.table = self.add_weight("table", (1, *shape[1:]), initializer=initializer)

    def call(self, x: Any) -> Any:
        """Return ``x``, (batch, steps, width), plus the table."""
        return x + self.table


class Attend(keras.layers.Layer):  # type: ignore[misc]
    """Scaled dot-product attention of several heads: softmax(q kᵀ / √d) v. It has no weights.

    Source: A. Vaswani et al., arXiv:1706.03762, section 3.2.
    """

    def __init__(self, heads: int, causal: bool, name: str) -> None:
        super().__init__(name=name)
        self._heads, self._causal = heads, causal

    def call(self, inputs: Any) -> Any:
        """Take queries, keys and values, (batch, steps, width) each, and return (batch, steps, width)."""
        _, steps, width = inputs[0].shape
        query, key, value = (self._split(one, steps, width) for one in inputs)
        scores = tf.matmul(query * (width // self._heads) ** -0.5, key, transpose_b=True)
        if self._causal:
            earlier = tf.linalg.band_part(tf.ones((steps, steps)), -1, 0)
            scores += (earlier - 1.0) * MASKED
        mixed = tf.matmul(tf.nn.softmax(scores), value)
        return tf.reshape(tf.transpose(mixed, (0, 2, 1, 3)), (-1, steps, width))

    def _split(self, x: Any, steps: int, width: int) -> Any:
        """Return (batch, heads, steps, width / heads): four dimensions, never five."""
        heads = tf.reshape(x, (-1, steps, self._heads, width // self._heads))
        return tf.transpose(heads, (0, 2, 1, 3))
