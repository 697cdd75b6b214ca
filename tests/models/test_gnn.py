"""Graph networks: what is exported computes what was trained, to 1e-4, and spektral's layers agree."""

from __future__ import annotations

import numpy as np
import pytest

from edgearch import models
from edgearch.data import Dataset, _graphs
from edgearch.errors import RequestError
from edgearch.models import _graph, _graph_layers
from edgearch.work import Spec

TOLERANCE = 1e-4  # sums in another order stay far below


def small(nodes: int = 12, features: int = 8) -> Dataset:
    """Return two random graphs whose splits are every fourth node."""
    random = np.random.default_rng(0)
    graphs = [
        _graphs.Graph(
            random.random((nodes, features)),
            _graphs.undirected(random.integers(0, nodes, (nodes + 4, 2))),
            np.arange(nodes) * 3 // nodes,
        )
        for _ in range(2)
    ]
    masks = {split: [np.arange(nodes) % 4 == i] * 2 for i, split in enumerate(_graphs.SPLITS)}
    return _graphs.nodes_dataset("small", graphs, masks, ["a", "b", "c"])


@pytest.mark.parametrize("variant", ["gnn-gcn", "gnn-gat", "gnn-sage"])
def test_export_computes_what_was_trained(variant: str) -> None:
    from edgearch.framework import make_repeatable, tf

    make_repeatable(0)
    test = small().test
    architecture = models.find(variant).builder(small().spec)
    for weight in architecture.train.trainable_weights:  # biases begin as zeros and would hide a mistake
        weight.assign_add(0.2 * tf.random.normal(weight.shape))
    whole = architecture.train(dict(architecture.prepare(test).inputs), training=False).numpy()
    export = architecture.exports["model"]
    found = [
        export.function(**{name: tf.constant(value) for name, value in one.items()})["logits"].numpy()
        for one in export.calibration(test, {})
    ]
    together = np.concatenate(found)
    expected = whole if together.ndim == 3 else whole[test.mask]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(together, expected, atol=TOLERANCE)


def test_attention_is_spektrals_own_where_the_mask_is_as_low_as_spektrals() -> None:
    from spektral.layers import GATConv

    from edgearch.framework import tf

    test = small().test
    nodes, links = tf.constant(test.inputs["nodes"]), tf.constant(_graph.links(test))
    layer = GATConv(4, attn_heads=2, attn_kernel_initializer=_graph_layers.glorot)
    expected = layer([nodes, links], training=False).numpy()
    ours = _graph_layers.gat()(4, attn_heads=2, attn_kernel_initializer=_graph_layers.glorot)
    low = (1 - links) * -1e9
    ours([nodes, low])
    ours.set_weights(layer.get_weights())
    np.testing.assert_allclose(ours([nodes, low], training=False).numpy(), expected, atol=TOLERANCE)
    np.testing.assert_allclose(_graph_layers.gat_twin(ours, nodes, low).numpy(), expected, atol=TOLERANCE)


def test_attention_to_oneself_and_to_neighbours_begins_with_different_weights() -> None:
    layer = models.find("gnn-gat").builder(small().spec).train.get_layer("hidden")
    own, others = layer.attn_kernel_self.numpy(), layer.attn_kernel_neighs.numpy()
    assert own.shape == others.shape
    assert not np.array_equal(own, others)


def test_sage_is_spektrals_own_before_it_divides_by_the_length() -> None:
    from spektral.layers import GraphSageConv

    from edgearch.framework import tf

    test = small().test.first(1)
    nodes, links = test.inputs["nodes"], _graph.links(test)[0]
    layer = GraphSageConv(4)
    expected = layer([tf.constant(nodes[0]), tf.sparse.from_dense(links - np.eye(len(links)))]).numpy()
    ours = _graph_layers.sage()(4)
    ours([tf.constant(nodes), tf.constant(test.inputs["edges"])])
    ours.set_weights(layer.get_weights())
    found = ours([tf.constant(nodes), tf.constant(test.inputs["edges"])])[0]
    np.testing.assert_allclose(tf.math.l2_normalize(found, axis=-1).numpy(), expected, atol=TOLERANCE)


def test_adjacency_is_normalized_as_spektral_does_it() -> None:
    from spektral.utils import gcn_filter

    test = small().test
    bare = _graph.links(test)[0] - np.eye(12, dtype=np.float32)
    np.testing.assert_allclose(_graph.normalized(test)["adjacency"][0], gcn_filter(bare), atol=1e-6)


def test_neighbourhood_of_a_node_costs_the_same_in_a_graph_of_any_size() -> None:
    sizes = [
        models.find("gnn-sage").builder(small(nodes).spec).exports["model"].inputs for nodes in (12, 400)
    ]
    assert sizes[0] == sizes[1] == {"features": (1, 10, 10, 8), "weights": (1, 10, 10)}


def test_sample_has_the_node_itself_first_and_shares_that_sum_to_one() -> None:
    found = _graph.neighbourhoods(small(features=8).test, fan_out=3)
    assert found["features"].shape == (6, 3, 3, 8)
    own = small().test.inputs["nodes"][small().test.mask]
    np.testing.assert_array_equal(found["features"][:, 0, 0], own)
    np.testing.assert_allclose(found["weights"].sum(axis=-1), 1, atol=1e-6)


def test_isolated_node_keeps_its_own_features() -> None:
    lone = _graphs.Graph(np.ones((2, 3)), _graphs.undirected(np.zeros((0, 2))), np.zeros(2))
    examples = _graphs.stacked([lone])
    np.testing.assert_array_equal(_graph.normalized(examples)["adjacency"][0], np.eye(2))
    assert _graph.masked(examples)["mask"][0].tolist() == [[0, -10], [-10, 0]]


@pytest.mark.parametrize("variant", ["gnn-gcn", "gnn-gat", "gnn-sage", "gnn-pool"])
def test_images_without_edges_are_refused(variant: str) -> None:
    with pytest.raises(RequestError, match="takes a graph"):
        models.find(variant).builder(Spec({"image": (8, 8, 1)}, 10))


def test_whole_graphs_get_one_answer_each_from_a_pooled_network() -> None:
    from edgearch.framework import tf

    export = models.find("gnn-pool").builder(small().spec).exports["model"]
    found = export.function(nodes=tf.zeros((1, 12, 8)), adjacency=tf.zeros((1, 12, 12)))
    assert found["logits"].shape == (1, 3)
