"""The graph of users and items, against numbers by hand and against dense matrices."""

import numpy as np
import pytest

from limner.tools.embedder import FloatArray
from limner.tools.grouping.interest_graph import edge_matrix, interest_graph, unit


def _f32(values: object) -> FloatArray:
    return np.array(values, dtype=np.float32)


def test_one_layer_on_a_path_is_what_was_worked_out_by_hand() -> None:
    # Users a, b; items x, y; edges a-x, a-y, b-y. Degrees: a 2, b 1, x 1, y 2.
    graph = interest_graph(edge_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), shape=(2, 2)))
    users = np.array([[1.0], [2.0]], dtype=np.float32)
    items = np.array([[4.0], [8.0]], dtype=np.float32)

    found = graph.propagate(users, items, layers=1)

    # a gets 4 / sqrt 2 + 8 / sqrt 4 = 6.8284, b gets 8 / sqrt 2 = 5.6569; x gets 1 / sqrt 2 = .7071,
    # y gets 1 / sqrt 4 + 2 / sqrt 2 = 1.9142; each is averaged with what was there.
    np.testing.assert_allclose(found.users, [[3.9142], [3.8284]], atol=1e-4)
    np.testing.assert_allclose(found.items, [[2.3536], [4.9571]], atol=1e-4)


@pytest.mark.parametrize("layer_weights", [None, (0.5, 0.2, 0.2, 0.1)])
def test_propagation_equals_powers_of_the_dense_symmetric_matrix(
    layer_weights: tuple[float, ...] | None,
) -> None:
    rng = np.random.default_rng(0)
    n_users, n_items, width, layers = 7, 5, 3, 3
    edges = (rng.random((n_users, n_items)) < 0.4).astype(np.float32)
    user, item = np.nonzero(edges)
    users = rng.standard_normal((n_users, width)).astype(np.float32)
    items = rng.standard_normal((n_items, width)).astype(np.float32)

    graph = interest_graph(edge_matrix(user, item, shape=(n_users, n_items)))
    found = graph.propagate(users, items, layers=layers, layer_weights=layer_weights)

    whole = np.block([[np.zeros((n_users, n_users)), edges], [edges.T, np.zeros((n_items, n_items))]])
    degree = whole.sum(axis=1)
    root = np.where(degree > 0, np.maximum(degree, 1) ** -0.5, 0)
    step = root[:, None] * whole * root[None, :]
    weights = layer_weights or (0.25,) * 4
    start = np.concatenate([users, items])
    expected = sum(
        weight * np.linalg.matrix_power(step, layer) @ start for layer, weight in enumerate(weights)
    )
    np.testing.assert_allclose(np.concatenate([found.users, found.items]), expected, atol=1e-5)


def test_no_layer_leaves_vectors_where_they_are() -> None:
    graph = interest_graph(edge_matrix(np.array([0]), np.array([0]), shape=(1, 1)))
    users, items = _f32([[1, 2]]), _f32([[3, 4]])

    found = graph.propagate(users, items, layers=0)

    assert found.users.tolist() == users.tolist()
    assert found.items.tolist() == items.tolist()


def test_a_user_folded_in_gets_what_the_graph_gives_a_user_with_the_same_edges() -> None:
    rng = np.random.default_rng(1)
    edges = edge_matrix(np.repeat(np.arange(6), 3), rng.integers(0, 8, 18), shape=(6, 8))
    users = rng.standard_normal((6, 4)).astype(np.float32)
    items = rng.standard_normal((8, 4)).astype(np.float32)
    graph = interest_graph(edges)
    arrived = graph.propagate(users, items, layers=3)

    folded = graph.fold_in(edges, users, arrived)

    np.testing.assert_allclose(folded, arrived.users, atol=1e-5)


def test_what_a_user_had_twice_is_one_edge_with_the_greater_weight() -> None:
    edges = edge_matrix(np.array([0, 0, 1]), np.array([1, 1, 0]), _f32([2.0, 5.0, 1.0]), shape=(2, 2))

    assert edges.toarray().tolist() == [[0.0, 5.0], [1.0, 0.0]]


def test_memory_grows_with_edges_and_not_with_users_times_items() -> None:
    count = 200_000  # a dense matrix of this would need 160 GB
    graph = interest_graph(edge_matrix(np.arange(count), np.arange(count), shape=(count, count)))
    ones = np.ones((count, 1), dtype=np.float32)

    found = graph.propagate(ones, ones, layers=2)

    assert graph.adjacency.nnz == count
    np.testing.assert_allclose(found.users, 1.0)


@pytest.mark.parametrize(("layers", "weights"), [(-1, None), (2, (1.0, 2.0))])
def test_a_wrong_number_of_layers_or_weights_is_refused(
    layers: int, weights: tuple[float, ...] | None
) -> None:
    graph = interest_graph(edge_matrix(np.array([0]), np.array([0]), shape=(1, 1)))

    with pytest.raises(ValueError, match=r"^`layer"):
        graph.propagate(
            np.ones((1, 1), np.float32), np.ones((1, 1), np.float32), layers=layers, layer_weights=weights
        )


def test_a_zero_vector_stays_zero_at_unit_length() -> None:
    assert unit(_f32([[0, 0], [3, 4]])).round(3).tolist() == [
        [0.0, 0.0],
        [0.6000000238418579, 0.800000011920929],
    ]
