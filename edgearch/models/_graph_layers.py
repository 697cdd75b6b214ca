"""Spektral's layers as they are trained here, and the dense twins that export those which do not convert.

Made on first use, for they need TensorFlow. Each names its kernels to tfmot, which knows Keras's layers only.
"""

from __future__ import annotations

import functools
from typing import Any

from edgearch.framework import keras, spektral_layers, tf, tfmot

SLOPE = 0.2  # of the leaky ReLU in arXiv:1710.10903
EPSILON = 1e-12  # the least squared length, as in tf.math.l2_normalize


@functools.cache
def gcn() -> Any:
    """Return spektral's graph convolution."""

    class GCN(spektral_layers.GCNConv, tfmot.sparsity.keras.PrunableLayer):  # type: ignore[misc]
        def get_prunable_weights(self) -> list[Any]:
            return [self.kernel]

    return GCN


@functools.cache
def gat() -> Any:
    """Return spektral's graph attention with an additive mask as its second input.

    Spektral makes the mask itself, of a matrix of zeros and ones: by MATRIX_SET_DIAG and a comparison, which
    microcontrollers lack, and with −10¹⁰, which leaves int8 no steps for the scores.
    """

    class GAT(spektral_layers.GATConv, tfmot.sparsity.keras.PrunableLayer):  # type: ignore[misc]
        def _call_dense(self, x: Any, mask: Any) -> tuple[Any, Any]:
            """Attend from (batch, nodes, features) where ``mask``, (batch, nodes, nodes), is 0."""
            x = tf.einsum("bni,iho->bnho", x, self.kernel)
            own = tf.einsum("bnhi,iho->bnho", x, self.attn_kernel_self)
            others = tf.einsum("bnhi,iho->bohn", x, self.attn_kernel_neighs)
            scores = tf.nn.leaky_relu(own + others, SLOPE) + mask[:, :, None, :]
            shares = self.dropout(tf.nn.softmax(scores, axis=-1))
            return tf.einsum("bnhm,bmhi->bnhi", shares, x), shares

        def get_prunable_weights(self) -> list[Any]:
            return [self.kernel]

    return GAT


def gat_twin(layer: Any, x: Any, mask: Any) -> Any:
    """Return what the GAT ``layer`` makes of (1, nodes, features), one head after the other.

    Heads side by side would need memory for all their (nodes, nodes) scores at once.
    """
    heads = []
    for head in range(layer.attn_heads):
        values = tf.tensordot(x, layer.kernel[:, head], 1)
        own = tf.tensordot(values, layer.attn_kernel_self[:, head], 1)
        others = tf.tensordot(values, layer.attn_kernel_neighs[:, head], 1)
        scores = tf.nn.leaky_relu(own + tf.transpose(others, (0, 2, 1)), SLOPE) + mask
        heads.append(tf.matmul(tf.nn.softmax(scores), values))
    joined = heads[0] if len(heads) == 1 else tf.concat(heads, axis=-1)
    return layer.activation(joined + layer.bias)


@functools.cache
def sage() -> Any:
    """Return spektral's GraphSAGE layer over (nodes, edges), which makes the sparse matrix it wants."""

    class SAGE(keras.layers.Layer, tfmot.sparsity.keras.PrunableLayer):  # type: ignore[misc]
        def __init__(self, channels: int, activation: str | None = None, **options: Any) -> None:
            super().__init__(**options)
            self.inner = spektral_layers.GraphSageConv(channels, activation=activation)

        def call(self, inputs: Any) -> Any:
            """Take nodes, (batch, nodes, features), and edges, (batch, edges, 2), with −1 for none."""
            x, edges = inputs
            graphs, nodes = tf.shape(x)[0], tf.shape(x)[1]
            flat = tf.reshape(x, (-1, x.shape[-1]))
            joined = self.inner([flat, _one_graph(edges, graphs, nodes)])
            return tf.reshape(joined, (graphs, nodes, joined.shape[-1]))

        def get_prunable_weights(self) -> list[Any]:
            return [self.inner.kernel]

    return SAGE


def _one_graph(edges: Any, graphs: Any, nodes: Any) -> Any:
    """Return all graphs of a batch as one sparse matrix: graph g's nodes begin at g × ``nodes``."""
    shifted = edges + tf.range(graphs)[:, None, None] * nodes
    real = tf.cast(tf.boolean_mask(shifted, edges[..., 0] >= 0), tf.int64)
    size = tf.cast(graphs * nodes, tf.int64)
    return tf.sparse.reorder(tf.SparseTensor(real, tf.ones(tf.shape(real)[0]), tf.stack([size, size])))


def sage_twin(layer: Any, own: Any, others: Any, weights: Any) -> Any:
    """Return what the SAGE ``layer`` makes of nodes whose neighbours are at hand.

    Args:
        layer: A trained SAGE layer.
        own: (groups, 1, features).
        others: (groups, fan-out, features): each node's sample of neighbours, itself first.
        weights: (groups, 1, fan-out): their shares of the mean, 0 where the sample is not filled.
    """
    both = tf.concat([own, tf.matmul(weights, others)], axis=-1)
    values = tf.tensordot(both, layer.inner.kernel, 1) + layer.inner.bias
    # Not tf.math.l2_normalize: its SQUARE has no int8, so float would come back in the middle of the model.
    length = tf.math.rsqrt(tf.maximum(tf.reduce_sum(values * values, axis=-1, keepdims=True), EPSILON))
    return layer.inner.activation(values * length)
