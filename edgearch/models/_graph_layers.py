"""Spektral's layers as they are trained here, and the dense twins that export those which do not convert.

Made on first use, for they need TensorFlow. Each names its kernels to tfmot, which knows Keras's layers only.
"""

from __future__ import annotations

import functools
from typing import Any

from edgearch.framework import keras, spektral_layers, tf, tfmot

SLOPE = 0.2  # of the leaky ReLU in arXiv:1710.10903


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


def glorot(shape: Any, dtype: Any = None, **options: Any) -> Any:
    """Draw Glorot's uniform values anew at each call.

    One initializer gives the same values twice, and spektral asks one for both attention kernels: a node and
    its neighbours would begin with the same weights.
    """
    return keras.initializers.GlorotUniform()(shape, dtype, **options)


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
    """Return spektral's GraphSAGE layer over (nodes, edges), without the division by each output's length.

    Spektral wants a sparse matrix, which is made here. The division is left out because int8 has few steps
    for sums of squares: the kernels of different runtimes then disagree.
    """

    class Mean(spektral_layers.GraphSageConv):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            x, adjacency, _ = self.get_inputs(inputs)
            both = tf.concat([x, self.propagate(x, adjacency)], axis=-1)
            return self.activation(tf.matmul(both, self.kernel) + self.bias)

    class SAGE(keras.layers.Layer, tfmot.sparsity.keras.PrunableLayer):  # type: ignore[misc]
        def __init__(self, channels: int, activation: str | None = None, **options: Any) -> None:
            super().__init__(**options)
            self.inner = Mean(channels, activation=activation)

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
    """Return all graphs of a batch as one sparse matrix, each node joined to itself too.

    Graph g's nodes begin at g × ``nodes``.
    """
    shifted = edges + tf.range(graphs)[:, None, None] * nodes
    own = tf.tile(tf.range(graphs * nodes)[:, None], (1, 2))
    pairs = tf.concat([tf.boolean_mask(shifted, edges[..., 0] >= 0), own], axis=0)
    size = tf.cast(tf.stack([graphs * nodes] * 2), tf.int64)
    return tf.SparseTensor(tf.cast(pairs, tf.int64), tf.ones(tf.shape(pairs)[0]), size)


def sage_twin(layer: Any, own: Any, others: Any, weights: Any) -> Any:
    """Return what the SAGE ``layer`` makes of nodes whose neighbours are at hand.

    Args:
        layer: A trained SAGE layer.
        own: (groups, 1, features).
        others: (groups, fan-out, features): each node's sample of neighbours, itself first.
        weights: (groups, 1, fan-out): their shares of the mean, 0 where the sample is not filled.
    """
    both = tf.concat([own, tf.matmul(weights, others)], axis=-1)
    return layer.inner.activation(tf.tensordot(both, layer.inner.kernel, 1) + layer.inner.bias)
