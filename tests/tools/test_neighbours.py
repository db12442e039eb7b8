"""Nearest vectors: exact on small sets, nearly so on large ones, and the graph made of them."""

import numpy as np
import pytest

from limner.tools.embedder import FloatArray
from limner.tools.grouping.interest_graph import unit
from limner.tools.grouping.neighbours import nearest, neighbour_graph


def _f32(values: object) -> FloatArray:
    return np.array(values, dtype=np.float32)


def _clustered(count: int, *, width: int = 32, seed: int = 0) -> FloatArray:
    """Return unit vectors around forty centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((40, width))
    noisy = centres[rng.integers(40, size=count)] + 0.7 * rng.standard_normal((count, width))
    return unit(noisy.astype(np.float32))


def test_small_sets_are_searched_exactly_whatever_the_blocks() -> None:
    base, queries = _clustered(300), _clustered(50, seed=1)

    found = nearest(queries, base, 7)

    expected = np.argsort(-(queries @ base.T), axis=1, kind="stable")[:, :7]
    assert (found.ids == expected).all()
    np.testing.assert_allclose(
        found.cosines, np.take_along_axis(queries @ base.T, expected, axis=1), atol=1e-6
    )


def test_of_equal_vectors_the_first_come_first() -> None:
    base = _f32([[1, 0], [0, 1], [1, 0], [0, 1]])

    assert nearest(base[:1], base, 4).ids.tolist() == [[0, 2, 1, 3]]


def test_the_approximate_search_finds_nearly_all_that_the_exact_one_finds() -> None:
    base = _clustered(3000)

    exact = nearest(base[:300], base, 10)
    approximate = nearest(base[:300], base, 10, exact_below=0)

    hits = [
        len(set(one) & set(two))
        for one, two in zip(exact.ids.tolist(), approximate.ids.tolist(), strict=True)
    ]
    assert np.mean(hits) / 10 >= 0.95
    assert (np.diff(approximate.cosines, axis=1) <= 1e-6).all()


def test_the_approximate_search_is_the_same_every_time() -> None:
    base = _clustered(1500)

    one = nearest(base, base, 5, exact_below=0, seed=3)
    two = nearest(base, base, 5, exact_below=0, seed=3)

    assert (one.ids == two.ids).all()
    assert (one.cosines == two.cosines).all()


def test_many_equal_vectors_are_searched_too() -> None:
    base = np.tile(_f32([[1, 0, 0, 0]]), (500, 1))

    assert nearest(base[:3], base, 20, exact_below=0).cosines.tolist() == [[1.0] * 20] * 3


def test_a_mutual_edge_needs_both_and_any_other_only_one() -> None:
    # On a circle at 0, 10, 30 and 45 degrees the nearest of each: 0 -> 10, 10 -> 0, 30 -> 45, 45 -> 30; with two
    # neighbours: 0 -> {10, 30}, 10 -> {0, 30}, 30 -> {45, 10}, 45 -> {30, 10}. One-sided: 0 -> 30 and 45 -> 10.
    angles = np.deg2rad([0, 10, 30, 45])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    mutual = neighbour_graph(vectors, 2)
    either = neighbour_graph(vectors, 2, mutual=False)

    def pairs(matrix: FloatArray) -> set[tuple[int, int]]:
        rows, columns = np.nonzero(np.triu(matrix))
        return set(zip(rows.tolist(), columns.tolist(), strict=True))

    assert pairs(mutual.toarray()) == {(0, 1), (1, 2), (2, 3)}
    assert pairs(either.toarray()) == {(0, 1), (1, 2), (2, 3), (0, 2), (1, 3)}
    np.testing.assert_allclose(mutual.toarray()[0, 1], np.cos(np.deg2rad(10)), atol=1e-6)
    assert (mutual.toarray() == mutual.toarray().T).all()


def test_nobody_is_alone_worth_a_graph() -> None:
    assert neighbour_graph(_f32([[1, 0]]), 5).nnz == 0


@pytest.mark.parametrize(("rows", "k", "named"), [(0, 1, "base"), (3, 0, "k")])
def test_an_empty_base_or_no_neighbour_is_refused(rows: int, k: int, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^`{named}`"):
        nearest(np.ones((1, 2), np.float32), np.ones((rows, 2), np.float32), k)
