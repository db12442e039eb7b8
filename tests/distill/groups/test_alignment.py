"""The learned form of the rounds: its loss by hand, who learns when, and that it learns."""

import numpy as np
import pytest

from limner.distill.groups.alignment import AlignSettings, align, soft_target_loss
from limner.tools.embedder import FloatArray
from limner.tools.grouping.grouping import Groups, assign, primary
from limner.tools.grouping.interest_graph import unit

torch = pytest.importorskip("torch")


def _groups(vectors: FloatArray, centre: FloatArray | None = None) -> Groups:
    nothing = np.zeros(vectors.shape[1], dtype=np.float32)
    return Groups(vectors=unit(vectors), centre=nothing if centre is None else centre)


def _users(count: int = 60) -> FloatArray:
    rng = np.random.default_rng(1)
    centres = np.linalg.qr(rng.standard_normal((8, 8)))[0][:3]
    noisy = centres[np.arange(count) % 3] + 0.35 * rng.standard_normal((count, 8))
    return unit(noisy.astype(np.float32))


def test_the_loss_of_two_users_is_what_was_worked_out_by_hand() -> None:
    learner = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    fixed = torch.tensor([[1.0, 0.0], [0.0, 1.0]])

    loss = soft_target_loss(learner, fixed, temperature=0.5, target_temperature=1.0)

    # Targets: rows (e, 1) / (e + 1) = (.7311, .2689) and its mirror. Logits: (2, 0), (1.2, 1.6).
    # Row 1: log-softmax (-.1269, -2.1269), loss .6648. Row 2: (-.9130, -.5130), loss .2689 * .9130 + .7311 * .5130
    # = .6206. Columns (2, 1.2): (-.3711, -1.1711), loss .5862; (0, 1.6): (-1.7839, -.1839), loss .6142.
    assert float(loss) == pytest.approx((0.6648 + 0.6206) / 4 + (0.5862 + 0.6142) / 4, abs=1e-4)


def test_sharp_targets_make_it_the_plain_symmetric_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    one, two = (torch.from_numpy(unit(rng.standard_normal((5, 6)).astype(np.float32))) for _ in range(2))

    loss = soft_target_loss(one, two, temperature=0.2, target_temperature=1e-4)

    logits, right = one @ two.T / 0.2, torch.arange(5)
    cross_entropy = torch.nn.functional.cross_entropy
    expected = (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2
    assert float(loss) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("passes", [1, 2])
def test_one_side_learns_while_the_other_is_held_fixed(passes: int) -> None:
    users = _users()
    groups = _groups(users[:3])

    found = align(users, groups, seed=0, settings=AlignSettings(passes=passes, batch=20, rate=0.05))

    moved = not np.allclose(found.side.weights, np.eye(8), atol=1e-3)
    shifted = not np.allclose(found.groups.vectors, groups.vectors, atol=1e-3)
    assert (moved, shifted) == (True, passes == 2)
    assert [entry.side for entry in found.log] == ["individuals", "groups"][:passes]


def test_the_loss_falls() -> None:
    users = _users()

    found = align(users, _groups(users[:3]), seed=0, settings=AlignSettings(passes=8, batch=30, rate=0.02))

    losses = [entry.loss for entry in found.log]
    assert losses[-1] < losses[0] - 0.05


def test_before_anything_is_learned_users_belong_where_they_did() -> None:
    users = _users()
    groups = _groups(users[:3], centre=users.mean(axis=0))

    found = align(users, groups, seed=0, settings=AlignSettings(passes=0))

    np.testing.assert_allclose(
        assign(found.groups, found.side.apply(users)).toarray(),
        assign(groups, users).toarray(),
        atol=2e-2,  # a side keeps its weights in half precision
    )
    assert (primary(assign(found.groups, found.side.apply(users))) == primary(assign(groups, users))).all()


def test_what_served_held_back_choices_best_is_kept_and_no_gain_ends_it() -> None:
    users = _users()
    values = iter([0.5, 0.7, 0.6, 0.6, 0.6, 0.9])

    found = align(
        users,
        _groups(users[:3]),
        seed=0,
        gain=lambda side, groups: next(values),
        settings=AlignSettings(passes=8, batch=30, rate=0.05),
    )

    # Start .5; individuals .7, groups .6: .7 gained. Then .6 and .6 gain nothing, and that is the end.
    assert [entry.gain for entry in found.log] == [0.7, 0.6, 0.6, 0.6]
    one = align(users, _groups(users[:3]), seed=0, settings=AlignSettings(passes=1, batch=30, rate=0.05))
    np.testing.assert_allclose(found.side.weights, one.side.weights, atol=1e-3)


def test_a_seed_decides_everything() -> None:
    users, settings = _users(), AlignSettings(passes=2, batch=16)

    one, two = (align(users, _groups(users[:3]), seed=4, settings=settings) for _ in range(2))

    assert (one.side.weights == two.side.weights).all()
    assert (one.groups.vectors == two.groups.vectors).all()
