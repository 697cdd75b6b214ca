"""Graph neural networks: a node is labelled by its own features and its neighbours'.

What a developer brings over: layers, losses and optimizers are Keras's (the layers are spektral's). What
does not carry over: an example is a whole graph, splits are masks of its nodes, and a batch is no stack of
independent rows. On a device there is no sparse matrix: a graph of N nodes is a dense (1, N, N) input, so
memory and time grow with N². All graph math is in three dimensions: relu(A @ H) of two 2-D operands loses
its RELU in the TFLite converter.
"""

from __future__ import annotations

from typing import Any

from edgearch.data import Examples
from edgearch.errors import RequestError
from edgearch.framework import keras
from edgearch.models import Architecture, Export, Purpose, Recipe, _graph, _graph_layers
from edgearch.work import Spec

SUMMARY = "graph networks for nodes and whole graphs: GCN, GAT, GraphSAGE"
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


RECIPE = Recipe(epochs=200, batch_size=8, learning_rate=0.01, weight_decay=0.0, patience=200, decay=False)
VARIANTS = {"gnn-gcn": gcn}
_NODES = Purpose("label_nodes", "digits_knn", whole_graph=True)
PURPOSES = {"gnn-gcn": _NODES}


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


def _prepared(feed: Any) -> Any:
    return lambda examples: Examples(feed(examples), examples.labels, examples.mask)


def _whole(model: Any, feed: Any) -> Export:
    """Export a model of whole graphs as it is."""

    def function(**inputs: Any) -> dict[str, Any]:
        return {"logits": model(inputs, training=False)}

    shapes = {name: (1, *tensor.shape[1:]) for name, tensor in model.input.items()}
    return Export(function, shapes, feed)
