"""Graph neural networks: a node is labelled by its own features and its neighbours'.

What a developer brings over: layers, losses and optimizers are Keras's (the layers are spektral's). What
does not carry over: an example is a whole graph, splits are masks of its nodes, and a batch is no stack of
independent rows. On a device there is no sparse matrix: a graph of N nodes is a dense (1, N, N) input, so
memory and time grow with N². All graph math is in three dimensions: relu(A @ H) of two 2-D operands loses
its RELU in the TFLite converter.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgearch.data import Examples
from edgearch.errors import RequestError
from edgearch.framework import keras, tf
from edgearch.models import Architecture, Export, Purpose, Recipe, _graph, _graph_layers
from edgearch.work import Spec

WORDS = 256  # features above this are a sparse bag of words, for which few hidden units are enough


def gcn(spec: Spec) -> Architecture:
    """Build two graph convolutions: each node averages its neighbourhood, then meets a dense kernel.

    Source: T. Kipf, M. Welling, arXiv:1609.02907; for bags of words the paper's 16 hidden units, dropout 0.5,
    Adam with 0.01, L2 of 5e-4 on the first kernel, 200 epochs.
    """
    nodes, features = _shape(spec)
    x = inputs = keras.Input((nodes, features), name="nodes")
    adjacency = keras.Input((nodes, nodes), name="adjacency")
    layer = _graph_layers.gcn()
    decay = keras.regularizers.L2(5e-4)
    x = keras.layers.Dropout(0.5, name="dropout_inputs")(x)
    x = layer(_hidden(features), activation="relu", kernel_regularizer=decay, name="hidden")([x, adjacency])
    x = keras.layers.Dropout(0.5, name="dropout_hidden")(x)
    logits = layer(spec.classes, name="logits")([x, adjacency])
    model = keras.Model({"nodes": inputs, "adjacency": adjacency}, logits, name="gnn_gcn")
    return Architecture(
        model, {"model": _whole(model, _graph.normalized)}, RECIPE, prepare=_prepared(_graph.normalized)
    )


def gat(spec: Spec) -> Architecture:
    """Build graph attention: 4 heads of 8 units, then one; who is no neighbour gets −10 before the softmax.

    Source: P. Veličković et al., arXiv:1710.10903, with ReLU in place of ELU, half of the heads, no dropout
    of attention (with five neighbours there is none to spare), and a mask as an input. The export computes
    one head after the other.
    """
    nodes, features = _shape(spec)
    inputs, mask = keras.Input((nodes, features), name="nodes"), keras.Input((nodes, nodes), name="mask")
    layer, decay = _graph_layers.gat(), keras.regularizers.L2(5e-4)
    options = {
        "dropout_rate": 0.0,
        "attn_kernel_initializer": _graph_layers.glorot,
        "attn_kernel_regularizer": keras.regularizers.L2(5e-3),
    }
    hidden = layer(8, attn_heads=4, activation="relu", kernel_regularizer=decay, name="hidden", **options)
    last = layer(spec.classes, name="logits", **options)
    x = keras.layers.Dropout(0.5, name="dropout_inputs")(inputs)
    x = keras.layers.Dropout(0.5, name="dropout_hidden")(hidden([x, mask]))
    model = keras.Model({"nodes": inputs, "mask": mask}, last([x, mask]), name="gnn_gat")

    def function(nodes: Any, mask: Any) -> dict[str, Any]:
        x = _graph_layers.gat_twin(hidden, nodes, mask)
        return {"logits": _graph_layers.gat_twin(last, x, mask)}

    export = Export(function, _shapes(model), _graph.masked)
    return Architecture(model, {"model": export}, RECIPE, prepare=_prepared(_graph.masked))


def sage(spec: Spec) -> Architecture:
    """Build GraphSAGE: a node beside the mean of its neighbours, twice, then a dense layer.

    It is trained on whole graphs with sparse matrices. The export takes one node with a sample of its
    neighbours and of theirs: what it costs does not grow with the graph.
    Source: W. Hamilton et al., arXiv:1706.02216.
    """
    nodes, features = _shape(spec)
    inputs = keras.Input((nodes, features), name="nodes")
    edges = keras.Input(spec.inputs["edges"], dtype="int32", name="edges")
    layer, units = _graph_layers.sage(), _hidden(features)
    first, second = (layer(units, activation="relu", name=name) for name in ("hidden_0", "hidden_1"))
    head = keras.layers.Dense(spec.classes, name="logits")
    x = keras.layers.Dropout(0.5, name="dropout_inputs")(inputs)
    x = keras.layers.Dropout(0.5, name="dropout_hidden")(first([x, edges]))
    model = keras.Model({"nodes": inputs, "edges": edges}, head(second([x, edges])), name="gnn_sage")
    fan_out = 6 if features > WORDS else 10

    def function(features: Any, weights: Any) -> dict[str, Any]:
        others = tf.reshape(features, (fan_out, fan_out, -1))
        shares = tf.reshape(weights, (fan_out, 1, fan_out))
        x = _graph_layers.sage_twin(first, others[:, :1], others, shares)
        x = _graph_layers.sage_twin(second, x[:1], tf.reshape(x, (1, fan_out, units)), shares[:1])
        return {"logits": head(tf.reshape(x, (1, units)))}

    shapes = {"features": (1, fan_out, fan_out, features), "weights": (1, fan_out, fan_out)}
    feed = functools.partial(_graph.neighbourhoods, fan_out=fan_out)
    return Architecture(model, {"model": Export(function, shapes, feed)}, RECIPE)


def pool(spec: Spec) -> Architecture:
    """Build two graph convolutions and the mean over all nodes: one class for the whole graph."""
    nodes, features = _shape(spec)
    inputs = keras.Input((nodes, features), name="nodes")
    adjacency = keras.Input((nodes, nodes), name="adjacency")
    x, layer = inputs, _graph_layers.gcn()
    for index in range(2):
        x = layer(32, activation="relu", name=f"hidden_{index}")([x, adjacency])
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    x = keras.layers.Dense(32, activation="relu", name="dense")(x)
    logits = keras.layers.Dense(spec.classes, name="logits")(x)
    model = keras.Model({"nodes": inputs, "adjacency": adjacency}, logits, name="gnn_pool")
    recipe = Recipe(epochs=60, learning_rate=5e-3, weight_decay=1e-3)
    return Architecture(
        model, {"model": _whole(model, _graph.normalized)}, recipe, prepare=_prepared(_graph.normalized)
    )


RECIPE = Recipe(epochs=200, batch_size=8, learning_rate=0.01, weight_decay=0.0, patience=200, decay=False)
VARIANTS = {"gnn-gcn": gcn, "gnn-gat": gat, "gnn-sage": sage, "gnn-pool": pool}
_WHOLE = Purpose("label_nodes", "digits_knn", whole_graph=True)
PURPOSES = {
    "gnn-gcn": _WHOLE,
    "gnn-gat": _WHOLE,
    "gnn-sage": Purpose("label_nodes", "digits_knn"),
    "gnn-pool": Purpose("classify", "motifs", whole_graph=True),
}


def _hidden(features: int) -> int:
    return 16 if features > WORDS else 32


def _shape(spec: Spec) -> tuple[int, int]:
    """Return nodes and features of a dataset's graphs.

    Raises:
        RequestError: it has no graphs.
    """
    if set(spec.inputs) != {"nodes", "edges"}:
        raise RequestError(
            f"A gnn takes a graph: nodes (nodes, features) and edges (edges, 2); this dataset has "
            f"{dict(spec.inputs)} and says not who is whose neighbour. digits_knn makes a graph of images."
        )
    nodes, features = spec.inputs["nodes"]
    return nodes, features


def _prepared(feed: Callable[[Examples], Mapping[str, np.ndarray]]) -> Callable[[Examples], Examples]:
    return lambda examples: replace(examples, inputs=feed(examples))


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    return {name: (1, *tensor.shape[1:]) for name, tensor in model.input.items()}


def _whole(model: Any, feed: Callable[[Examples], Mapping[str, np.ndarray]]) -> Export:
    """Export a model of whole graphs as it is."""

    def function(**inputs: Any) -> dict[str, Any]:
        return {"logits": model(inputs, training=False)}

    return Export(function, _shapes(model), feed)
