"""Groups as arrays: who belongs where, how groups are found, and how individuals and groups guide each other."""

import math
from dataclasses import replace

import numpy as np
import pytest

from limner.tools.embedder import FloatArray
from limner.tools.grouping.group_fitting import (
    GroupPlan,
    advance,
    dissolve,
    fit_groups,
    groups_along_graph,
    seeds_of,
)
from limner.tools.grouping.group_gain import HeldBack, fit_with_gain
from limner.tools.grouping.grouping import (
    Groups,
    assign,
    drawn_in,
    group_items,
    group_vectors,
    item_scores,
    primary,
    rebase,
)
from limner.tools.grouping.interest_graph import edge_matrix, unit
from limner.tools.matrices import sparse
from limner.tools.spans import IntArray

EYE = np.eye(3, dtype=np.float32)


def _f32(values: object) -> FloatArray:
    return np.array(values, dtype=np.float32)


def _groups(**fields: float) -> Groups:
    """Return three groups, one on each axis, that have nothing in common to take away."""
    return Groups(vectors=EYE, centre=np.zeros(3, dtype=np.float32), **fields)  # type: ignore[arg-type]  # numbers


def _planted(sizes: tuple[int, ...], *, width: int = 16, noise: float = 0.15) -> tuple[FloatArray, IntArray]:
    """Return users around far-apart centres, and the number of each one's centre."""
    rng = np.random.default_rng(5)
    centres = np.linalg.qr(rng.standard_normal((width, width)))[0][: len(sizes)]
    of_user = np.repeat(np.arange(len(sizes)), sizes)
    vectors = centres[of_user] + noise * rng.standard_normal((len(of_user), width))
    order = rng.permutation(len(of_user))
    return unit(vectors[order].astype(np.float32)), of_user[order]


def test_weights_are_the_softmax_of_cosines() -> None:
    weights = assign(_groups(temperature=0.5), _f32([[3, 4, 0]])).toarray()

    # Cosines .6, .8, 0 over .5: e^1.2 = 3.3201, e^1.6 = 4.9530, e^0 = 1, sum 9.2731.
    np.testing.assert_allclose(weights, [[0.3580, 0.5341, 0.1078]], atol=1e-4)


def test_a_user_belongs_to_the_nearest_groups_only_and_weights_sum_to_one() -> None:
    weights = assign(_groups(temperature=0.5, most=2), _f32([[3, 4, 0], [0, 0, 2]]))

    # 3.3201 and 4.9530 alone: shares .4013 and .5987.
    np.testing.assert_allclose(weights.toarray()[0], [0.4013, 0.5987, 0.0], atol=1e-4)
    np.testing.assert_allclose(weights.sum(axis=1), [1.0, 1.0], atol=1e-6)
    assert primary(weights).tolist() == [1, 2]


def test_a_user_without_a_vector_belongs_nowhere() -> None:
    weights = assign(_groups(), np.zeros((2, 3), dtype=np.float32))

    assert weights.nnz == 0
    assert primary(weights).tolist() == [-1, -1]
    assert group_vectors(_groups(), np.zeros((1, 3), dtype=np.float32)).tolist() == [[0.0, 0.0, 0.0]]
    assert assign(_groups(), np.zeros((0, 3), dtype=np.float32)).shape == (0, 3)


def test_what_all_users_share_is_taken_away_before_they_are_compared() -> None:
    centre = _f32([0.9, 0.0, 0.0])
    groups = Groups(vectors=EYE[1:], centre=centre, temperature=0.1)

    # Unit vectors (.98, .2, 0) and (.98, 0, .2) differ in nothing but what is left without the centre.
    weights = assign(groups, _f32([[0.98, 0.2, 0.0], [0.98, 0.0, 0.2]]))

    assert primary(weights).tolist() == [0, 1]
    assert weights.toarray().max() > 0.99


def test_a_round_draws_a_user_towards_the_groups_by_the_blend() -> None:
    own = _f32([[0.6, 0.8, 0]])

    weights = assign(_groups(temperature=0.5, rounds=1, blend=0.25), own).toarray()

    # Drawn: .75 * (.6, .8, 0) + .25 * (.3580, .5341, .1078) = (.5395, .7335, .0270), length .9109,
    # so (.5922, .8052, .0296); over .5 and softmax: e^1.1845 = 3.2690, e^1.6105 = 5.0052, e^.0592 = 1.0610.
    np.testing.assert_allclose(weights, [[0.3502, 0.5362, 0.1137]], atol=1e-4)


def test_a_round_moves_groups_to_the_means_of_their_drawn_members() -> None:
    own = _f32([[1, 0], [0.8, 0.6], [0, 1], [0, 1]])
    groups = Groups(
        vectors=np.eye(2, dtype=np.float32), centre=np.zeros(2, np.float32), temperature=1e-3, blend=0.5
    )

    moved = advance(groups, own, GroupPlan(minimum=1))

    # So sharp a softmax is 0 or 1: users 0 and 1 are of group 0. Drawn: (1, 0) stays; (.8, .6) becomes the unit
    # of (.9, .3) = (.9487, .3162). Their mean's direction: (1.9487, .3162), length 1.9742.
    np.testing.assert_allclose(moved.vectors, [[0.9871, 0.1602], [0.0, 1.0]], atol=1e-4)
    assert moved.rounds == 1


def test_planted_groups_are_found_again() -> None:
    vectors, of_user = _planted((20, 20, 20, 20))

    fitted = fit_groups(vectors, GroupPlan(size=20, neighbours=12))

    labels = primary(fitted.weights)
    assert len(fitted.groups) == 4
    assert len(set(zip(labels.tolist(), of_user.tolist(), strict=True))) == 4
    assert [entry.round for entry in fitted.log] == [0]


def test_users_who_came_later_are_taken_in_where_their_like_are() -> None:
    vectors, of_user = _planted((20, 20, 20, 20))
    late = np.arange(len(vectors)) % 5 == 0

    fitted = fit_groups(vectors[~late], GroupPlan(size=16, neighbours=12))

    group_of = dict(zip(of_user[~late].tolist(), primary(fitted.weights).tolist(), strict=True))
    taken_in = primary(assign(fitted.groups, vectors[late])).tolist()
    assert taken_in == [group_of[number] for number in of_user[late].tolist()]


def test_groups_that_are_too_small_are_dissolved_into_their_neighbours() -> None:
    vectors, _ = _planted((25, 25, 3))

    fitted = fit_groups(vectors, GroupPlan(size=10, minimum=5, neighbours=8))

    sizes = np.bincount(primary(fitted.weights))
    assert sizes.sum() == 53
    assert sizes.min() >= 5


@pytest.mark.parametrize("rounds", [1, 3])
def test_no_group_is_too_small_after_rounds_either(rounds: int) -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((150, 8)).astype(np.float32))

    fitted = fit_groups(vectors, GroupPlan(size=6, minimum=5, neighbours=8, rounds=rounds))

    assert np.bincount(primary(fitted.weights), minlength=len(fitted.groups)).min() >= 5
    assert fitted.groups.rounds == rounds


def test_the_same_users_give_the_same_groups() -> None:
    vectors, _ = _planted((30, 30, 30), noise=0.4)

    one, two = (fit_groups(vectors, GroupPlan(size=10, rounds=2)) for _ in range(2))

    assert (one.groups.vectors == two.groups.vectors).all()


def test_users_without_a_vector_are_left_out_of_the_fit() -> None:
    vectors, _ = _planted((20, 20))
    with_blanks = np.concatenate([np.zeros((3, 16), dtype=np.float32), vectors])

    fitted = fit_groups(with_blanks, GroupPlan(size=20, neighbours=12))

    np.testing.assert_allclose(
        fitted.groups.vectors, fit_groups(vectors, GroupPlan(size=20, neighbours=12)).groups.vectors
    )
    assert primary(fitted.weights)[:3].tolist() == [-1, -1, -1]


def test_fewer_users_than_a_group_needs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^2 users have a vector, a group needs 5"):
        fit_groups(np.concatenate([EYE[:2], np.zeros((4, 3), np.float32)]), GroupPlan(minimum=5))


def test_rounds_stop_when_they_gain_nothing_and_the_best_is_kept() -> None:
    vectors, _ = _planted((20, 20, 20), noise=0.3)
    values = {0: 0.50, 1: 0.60, 2: 0.60, 3: 0.90}

    fitted = fit_groups(vectors, GroupPlan(size=20), gain=lambda groups: values[groups.rounds])

    assert [(entry.round, entry.gain) for entry in fitted.log] == [(0, 0.50), (1, 0.60), (2, 0.60)]
    assert fitted.groups.rounds == 1


def test_rounds_that_are_given_are_all_made_and_measured() -> None:
    vectors, _ = _planted((20, 20, 20), noise=0.3)

    fitted = fit_groups(vectors, GroupPlan(size=20, rounds=2), gain=lambda groups: -float(groups.rounds))

    assert [entry.gain for entry in fitted.log] == [0.0, -1.0, -2.0]
    assert fitted.groups.rounds == 2


def test_seeds_cover_everybody_and_the_most_connected_come_first() -> None:
    # A star of 0 with 1, 2, 3, and a pair 4, 5: the star's centre covers three, then 4 covers 5.
    rows, columns = np.array([0, 0, 0, 4]), np.array([1, 2, 3, 5])
    half = sparse.csr_array((np.ones(4, dtype=np.float32), (rows, columns)), shape=(6, 6))

    assert seeds_of(sparse.csr_array(half + half.T), 3).tolist() == [0, 4]


def test_groups_found_along_the_graph_take_in_plain_vectors() -> None:
    vectors, of_user = _planted((20, 20, 20))
    items = np.stack([vectors[of_user == number].mean(axis=0) for number in range(3)])
    edges = edge_matrix(np.arange(60), of_user.astype(np.int64), shape=(60, 3))

    groups = groups_along_graph(vectors, edges, items, GroupPlan(size=20, neighbours=12), layers=2)

    labels = primary(assign(groups, vectors))
    assert len(set(zip(labels.tolist(), of_user.tolist(), strict=True))) == 3


def test_rebased_groups_are_the_means_of_other_vectors_of_their_members() -> None:
    weights = sparse.csr_array(_f32([[1, 0], [1, 0], [0, 1]]))
    vectors = _f32([[1, 0], [0.6, 0.8], [-1, 0]])

    groups = rebase(Groups(vectors=EYE[:2, :2], centre=np.zeros(2, np.float32)), weights, vectors)

    # The centre is (.2, .2667). Without it: (.8, -.2667) -> (.9487, -.3162); (.4, .5333) -> (.6, .8), whose sum
    # (1.5487, .4838) has length 1.6225; (-1.2, -.2667) -> (-.9762, -.2169).
    np.testing.assert_allclose(groups.vectors, [[0.9545, 0.2982], [-0.9762, -0.2169]], atol=1e-4)


def test_items_are_scored_by_what_the_members_of_ones_groups_had() -> None:
    weights = sparse.csr_array(_f32([[1, 0], [1, 0], [0, 1]]))
    edges = edge_matrix(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2]), shape=(3, 3))

    scores = item_scores(sparse.csr_array(_f32([[1, 0], [0.5, 0.5], [0, 0]])), group_items(weights, edges))

    # Shares of everybody: 2/4, 1/4, 1/4. Group 0 had 2, 1, 0 of 3; with 5 more: (4.5, 2.25, 1.25) / 8. Group 1 had
    # 0, 0, 1 of 1; with 5 more: (2.5, 1.25, 2.25) / 6.
    np.testing.assert_allclose(scores[0], [0.5625, 0.28125, 0.15625], atol=1e-6)
    np.testing.assert_allclose(
        scores[1], [(0.5625 + 2.5 / 6) / 2, (0.28125 + 1.25 / 6) / 2, (0.15625 + 2.25 / 6) / 2], atol=1e-6
    )
    assert scores[2].tolist() == [0.0, 0.0, 0.0]


def test_the_gain_is_the_ndcg_of_the_held_back_item_among_what_the_user_had_not() -> None:
    groups = Groups(vectors=EYE[:1], centre=np.zeros(3, np.float32))
    edges = edge_matrix(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 1]), shape=(3, 4))
    held = HeldBack(
        vectors=np.tile(EYE[:1], (3, 1)), edges=edges, users=np.array([0]), items=np.array([2]), seed=0
    )

    # One group of all: it had item 0 once (masked: user 0 had it), 1 twice, 2 once, 3 never. Item 2 ranks second.
    assert held.gain(groups) == pytest.approx(1 / math.log2(3))


def test_a_group_that_tells_nothing_ranks_the_held_back_item_in_the_middle() -> None:
    groups = Groups(vectors=EYE[:1], centre=np.zeros(3, np.float32))
    held = HeldBack(
        vectors=np.zeros((1, 3), np.float32),
        edges=sparse.csr_array((1, 3), dtype=np.float32),
        users=np.array([0]),
        items=np.array([1]),
        seed=0,
    )

    # Three items share one place: rank 2.
    assert held.gain(groups) == pytest.approx(1 / math.log2(3))


def test_rounds_are_chosen_on_the_past_without_what_was_held_back() -> None:
    vectors, of_user = _planted((20, 20, 20), noise=0.3)
    whole = edge_matrix(
        np.tile(np.arange(60), 2), np.concatenate([of_user, of_user + 3]).astype(np.int64), shape=(60, 6)
    )
    users = np.arange(0, 60, 4)
    rest = whole.tolil()
    rest[users, of_user[users] + 3] = 0
    held = HeldBack(
        vectors=vectors,
        edges=sparse.csr_array(rest, dtype=np.float32),
        users=users,
        items=(of_user[users] + 3).astype(np.int64),
        seed=0,
    )
    told: list[str] = []

    fitted = fit_with_gain(vectors, GroupPlan(size=20, neighbours=12), held=held, notice=told.append)

    # Everybody of a planted group had two items of their own; the one left unseen is the best that remains.
    assert fitted.log[0].gain == pytest.approx(1.0)
    assert fitted.groups.rounds == 0
    assert told[0].startswith("round 0: 3 groups, NDCG 1.0000")
    assert fit_with_gain(vectors, GroupPlan(size=20), held=None).log[0].gain is None


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_dissolving_places_only_who_moves_and_finds_what_placing_everybody_finds(rounds: int) -> None:
    rng = np.random.default_rng(5)
    own = unit(rng.standard_normal((400, 6)).astype(np.float32))
    own[7] = 0  # just what all share: belongs nowhere
    vectors = unit(rng.standard_normal((60, 6)).astype(np.float32))
    groups = Groups(vectors=vectors, centre=np.zeros(6, dtype=np.float32), rounds=rounds, most=4)

    left = vectors
    while True:  # everybody is placed anew each time
        held = replace(groups, vectors=left)
        drawn = drawn_in(held, own)
        drawn = drawn[np.any(drawn != 0, axis=1)]
        counts = np.bincount(np.argmax(drawn @ left.T, axis=1), minlength=len(left))
        small = np.flatnonzero(counts < 8)
        if not len(small):
            break
        left = np.delete(left, small[np.argsort(counts[small], kind="stable")][: -(-len(small) // 2)], axis=0)

    assert 1 < len(left) < 60
    assert dissolve(own, groups, 8).tolist() == left.tolist()
