"""What a recommender is built from: who is held back, what is lately chosen, and the file it is kept in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limner.records import Item
from limner.tools.card_scores import CardVectors
from limner.tools.recommender.recommender_build import Choices, Material, fit_weights, hold_back, signals_from
from limner.tools.recommender.recommender_index import IndexFacts, RecommenderIndex, load_index, save_index
from limner.tools.recommender.recommender_portraits import (
    Cards,
    Portrayed,
    card_matrix,
    nobody,
    profile_scores,
)
from limner.tools.recommender.recommender_signals import Words, trend_of
from limner.tools.space import ENCODERS_OWN

WORDS = Words.of(np.eye(4, dtype=np.float32), ENCODERS_OWN)


def choices(*rows: tuple[int, int, int]) -> Choices:
    """Return rows of user, item and moment."""
    table = np.array(rows, dtype=np.int64)
    return Choices(table[:, 0], table[:, 1], table[:, 2])


def test_only_a_new_last_choice_with_something_before_it_is_held_back() -> None:
    held = hold_back(
        choices(
            *((0, 0, 1), (0, 1, 2), (0, 2, 2)),  # 1 and 2 at one moment: neither is history for the other
            *((1, 0, 1), (1, 1, 2), (1, 0, 3)),  # a repeat
            *((2, 3, 5), (2, 1, 5)),  # nothing before the last moment
            *((3, 1, 1), (3, 2, 2)),
        ),
        most=9,
        seed=0,
    )

    assert held.rows.tolist() == [2, 9]
    assert [held.first.tolist(), held.end.tolist(), held.last.tolist()] == [[0, 8], [1, 9], [3, 10]]


def test_no_more_are_held_back_than_asked_for() -> None:
    many = choices(*((user, item, item) for user in range(20) for item in range(3)))

    assert len(hold_back(many, most=7, seed=0).rows) == 7
    assert len(hold_back(choices((0, 0, 0)).take(np.arange(0)), most=7, seed=0).rows) == 0


def test_what_was_chosen_lately_counts_more() -> None:
    # A span of 100: after 10 an event counts half, after 100 a thousandth.
    trend = trend_of(np.array([0, 1, 2]), np.array([0, 10, 100], dtype=np.float32), 4)

    np.testing.assert_allclose(trend, np.log1p([1, 0.5, 2**-10, 0]), rtol=1e-6)
    np.testing.assert_allclose(trend_of(np.array([0, 0]), None, 1), [np.log(3)], rtol=1e-6)


def test_portraits_score_by_late_interaction_and_say_nothing_where_there_is_none() -> None:
    told = Portrayed(np.eye(4, dtype=np.float32)[:1], np.zeros((0, 4), dtype=np.float32))

    scores = profile_scores([told, nobody(4)], WORDS, temperature=0.05)

    np.testing.assert_allclose(scores, [[1, 0, 0, 0], [0, 0, 0, 0]], atol=1e-6)


def test_an_item_without_a_card_gets_the_mean_of_the_others() -> None:
    eye = np.eye(4, dtype=np.float32)
    cards = Cards(np.array([1, 3]), CardVectors(liked_by=eye[:2], disliked_by=eye[2:], feature=eye[:2]))
    starts = np.array([0, 1])

    scores = card_matrix([nobody(4)], np.array([0]), starts, cards, WORDS, last=10, temperature=0.05)

    # Item 0 was had, and the card of item 1 is for those who like it.
    np.testing.assert_allclose(scores, [[0.5, 1, 0.5, 0]], atol=1e-6)


@pytest.fixture
def index() -> RecommenderIndex:
    """An index of eight users who walk through four items."""
    walks = choices(*((user, (user + step) % 4, step) for user in range(8) for step in range(3)))
    items = [Item(item_id=f"i{number}", title=f"title {number}") for number in range(4)]
    material = Material(walks, items, WORDS, None, [], 0.05, 0)
    held = hold_back(walks, 100, 0)
    options, calibration = fit_weights(material, held)
    return RecommenderIndex(
        facts=IndexFacts(
            name="index-x",
            as_of=9,
            events=24,
            held_back=0,
            catalogue="c",
            cards="",
            encoder="e",
            space=ENCODERS_OWN.name,
            temperature=0.05,
        ),
        item_ids=[item.item_id for item in items],
        counts=np.bincount(walks.item, minlength=4).astype(np.float32),
        signals=signals_from(material, walks, options),
        cards=None,
        calibration=calibration,
    )


def test_an_index_is_read_back_as_it_was_written(index: RecommenderIndex, tmp_path: Path) -> None:
    save_index(index, tmp_path / "index.npz")

    found = load_index(tmp_path / "index.npz", ENCODERS_OWN)

    assert found is not None and found.facts == index.facts and found.item_ids == index.item_ids
    items, starts = np.array([0, 1]), np.array([0, 2])
    expected = index.scores(items, starts)
    assert set(found.scores(items, starts)) == set(expected) >= {"sequence", "text", "group"}
    for name, scores in found.scores(items, starts).items():
        np.testing.assert_allclose(scores, expected[name], rtol=1e-5, atol=1e-6)


def test_a_file_that_is_no_index_or_of_another_space_is_not_read(
    index: RecommenderIndex, tmp_path: Path
) -> None:
    path = tmp_path / "index.npz"
    assert load_index(path, ENCODERS_OWN) is None
    path.write_bytes(b"PK no index")
    assert load_index(path, ENCODERS_OWN) is None
    other = index.facts.model_copy(update={"space": "space-of-others"})
    save_index(replace(index, facts=other), path)
    assert load_index(path, ENCODERS_OWN) is None
