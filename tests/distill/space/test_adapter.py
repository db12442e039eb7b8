"""Teaching a space: the loss's parts against oracles, and what is learned."""

import numpy as np
import pytest
from numpy.typing import NDArray

from limner.distill.space.adapter import excluded, join, pool_late, teach, teach_adapter
from limner.distill.space.questions import Moments
from limner.distill.space.settings import TeachSettings
from limner.errors import TooFewLessonsError
from limner.evals.pooling import share_late
from limner.tools.embedder import FloatArray
from limner.tools.late_interaction import score_items
from limner.tools.lessons import Lessons, PastPortrait
from limner.tools.space import Space

torch = pytest.importorskip("torch")

ITEMS, DIMENSION = 60, 12
QUICK = TeachSettings(steps=120, batch=64, portraits=16, negatives=32, look=40, held=40, rate=1e-2)


def unit(matrix: NDArray[np.float64]) -> FloatArray:
    found: FloatArray = (matrix / np.linalg.norm(matrix, axis=-1, keepdims=True)).astype(np.float32)
    return found


def lessons(*, users: int = 300, portraits: bool = False) -> Lessons:
    """Every item is followed by the next number, whose vector says nothing of it: only a map can tell."""
    rng = np.random.default_rng(1)
    items = unit(rng.normal(size=(ITEMS, DIMENSION)))
    sequences = [(start + np.arange(5)) % ITEMS for start in rng.integers(ITEMS, size=users)]
    drawn = [
        # What is said of a user points at the last item before the cut, from another side.
        PastPortrait(user, 4, np.stack([np.roll(items[int(sequence[3])], 1), items[int(sequence[0])]]))
        for user, sequence in enumerate(sequences[: users // 2])
    ]
    return Lessons(
        encoder="hashing-v1",
        items=items,
        sequences=sequences,
        portraits=drawn if portraits else (),
        source="ring",
    )


def test_portraits_are_pooled_as_everywhere_else() -> None:
    rng = np.random.default_rng(0)
    facets, items = unit(rng.normal(size=(2, 3, 8))), unit(rng.normal(size=(5, 8)))
    real = np.array([[True, True, True], [True, True, False]])

    found = pool_late(torch.from_numpy(facets @ items.T), torch.from_numpy(real), torch.tensor(0.07)).numpy()

    assert np.allclose(found[0], score_items(facets[0], items, temperature=0.07), atol=1e-6)
    assert np.allclose(found[1], score_items(facets[1, :2], items, temperature=0.07), atol=1e-6)


def test_history_and_portrait_are_joined_as_in_the_harness() -> None:
    one, two = np.array([[0.3, -0.2]], dtype=np.float32), np.array([[0.1, 0.4]], dtype=np.float32)

    found = join(torch.from_numpy(one), torch.from_numpy(two), torch.tensor(0.3), torch.tensor(0.05)).numpy()

    assert np.allclose(found, share_late(one, two, weight=0.3, temperature=0.05), atol=1e-6)


def test_what_a_user_had_and_a_second_copy_of_the_answer_are_no_negatives() -> None:
    moments = Moments(newest=np.array([[4, -1], [7, 5]]), answer=np.array([5, 6]))

    found = excluded(moments, np.array([5, 6, 4, 5, 7, 9]), np.array([0, 1]))

    # The first asks for 5 and had 4; the second asks for 6 and had 7 and 5.
    assert found.astype(int).tolist() == [[0, 0, 1, 1, 0, 0], [1, 0, 0, 1, 1, 0]]


def test_what_follows_is_learned_by_both_maps_and_held_back_users_see_it() -> None:
    taught = teach_adapter(lessons(), seed=0, settings=QUICK)

    assert taught.before["history"] < 0.3
    assert taught.after["history"] > taught.before["history"] + 0.15
    assert taught.steps > 0
    user, item = taught.space.user, taught.space.item
    assert user is not None and item is not None
    assert np.abs(user.weights.astype(np.float32) - np.eye(DIMENSION)).max() > 0.05
    assert np.abs(item.weights.astype(np.float32) - np.eye(DIMENSION)).max() > 0.05
    assert (taught.space.temperature, taught.space.share) == (None, None)  # nothing was said of anybody
    assert taught.space.taught["source"] == "ring"


def test_sentences_are_learned_from_portraits() -> None:
    with_words = QUICK.model_copy(update={"portrait_weight": 1.0})
    taught = teach_adapter(lessons(portraits=True), seed=0, settings=with_words)
    unheard = teach_adapter(
        lessons(portraits=True), seed=0, settings=QUICK.model_copy(update={"portrait_weight": 0.0})
    )

    assert taught.after["profile"] > taught.before["profile"] + 0.1
    assert taught.after["profile"] > unheard.after["profile"]
    assert taught.space.temperature is not None and taught.space.share is not None


def test_a_seed_decides_everything() -> None:
    short = QUICK.model_copy(update={"steps": 10, "look": 5})

    names = [teach(lessons(), seed=seed, notice=lambda line: None, settings=short).name for seed in (0, 0, 1)]

    assert names[0] == names[1] != names[2]


def test_if_nothing_helps_the_frozen_maps_stay() -> None:
    rng = np.random.default_rng(1)
    items = unit(rng.normal(size=(ITEMS, DIMENSION)))
    # The next item is always the nearest, so that every step away from the identity can only harm.
    nearest = np.argsort(-(items @ items.T), axis=1)[:, 1]
    sequences = [np.array([start, nearest[start]]) for start in rng.integers(ITEMS, size=100)]
    frozen = Lessons(encoder="e", items=items, sequences=sequences)

    taught = teach_adapter(
        frozen, seed=0, settings=QUICK.model_copy(update={"rate": 10.0, "steps": 5, "look": 5})
    )

    assert taught.steps == 0 and taught.after == taught.before
    assert np.allclose(taught.space.users(items), Space().users(items), atol=1e-3)


def test_too_few_users_are_refused_before_anything_is_trained() -> None:
    with pytest.raises(TooFewLessonsError, match=r"^3 users have two or more interactions"):
        teach(lessons(users=3), seed=0, notice=lambda line: None)
