"""What groups share in words: counts, lift, and nothing that too few members have."""

from collections.abc import Sequence

import numpy as np
import pytest

from limner.agents.groups.group_words import (
    Counted,
    interests_of_group,
    item_holdings,
    items_of_group,
    name_of,
    news_for,
    phrase_holdings,
)
from limner.communities import SharedInterest
from limner.records import Item
from limner.tools.grouping.interest_graph import edge_matrix
from limner.tools.spans import IntArray

ITEMS = (
    Item(item_id="a", title="One", categories=("maps",), tags=("old",)),
    Item(item_id="b", title="Two", categories=("maps",), tags=("paper",)),
    Item(item_id="c", title="Three", categories=("tea",), tags=("green",)),
)
LABELS: IntArray = np.array([0, 0, 0, 1, 1, -1])


def _counted(themes: Sequence[Sequence[str]] | None = None) -> Counted:
    """Return six users: three had maps, two had tea, one of whom a map too; the last belongs nowhere."""
    edges = edge_matrix(np.array([0, 1, 2, 2, 3, 4, 4, 5]), np.array([0, 0, 0, 1, 2, 2, 1, 0]), shape=(6, 3))
    return Counted(phrase_holdings(edges, ITEMS, themes or [()] * 6), LABELS, 2)


def test_members_shares_and_lift_are_what_was_worked_out_by_hand() -> None:
    found = interests_of_group(_counted(), 0, minimum=2)

    # Of five placed users four have maps, of the three members all: lift 1 / .8 = 1.25. Three have "old", all
    # members: 1 / .6 = 1.667. "paper" has one member only. 3 log 1.667 > 3 log 1.25.
    assert [(each.phrase, each.members, each.share, each.lift) for each in found] == [
        ("old", 3, 1.0, 1.667),
        ("maps", 3, 1.0, 1.25),
    ]
    assert name_of(found) == "old, maps"


def test_what_everybody_has_alike_tells_nothing() -> None:
    edges = edge_matrix(np.array([0, 1, 2, 3]), np.array([0, 0, 0, 0]), shape=(4, 1))

    counted = Counted(phrase_holdings(edges, ITEMS[:1], [()] * 4), np.array([0, 0, 1, 1]), 2)

    assert interests_of_group(counted, 0, minimum=1) == ()
    assert name_of(()) == "mixed interests"


@pytest.mark.parametrize(("sayers", "told"), [(1, False), (2, True)])
def test_a_theme_of_portraits_is_told_only_if_enough_members_have_it(sayers: int, told: bool) -> None:
    themes = [("Zanzibarian Marmalade",) if user < sayers else () for user in range(6)]

    found = interests_of_group(_counted(themes), 0, minimum=2)

    assert ("zanzibarian marmalade" in {each.phrase for each in found}) == told


def test_users_who_belong_nowhere_count_nowhere() -> None:
    themes = [(), (), ("hats",), (), (), ("hats",)]

    found = interests_of_group(_counted(themes), 0, minimum=1)

    # One of three members, and one of the five who belong anywhere: lift .3333 / .2.
    assert {each.phrase: (each.members, each.lift) for each in found}["hats"] == (1, 1.667)


def test_a_phrase_made_of_the_words_of_a_better_one_is_left_out() -> None:
    themes = [("old",), ("old map",), ("old map",), (), (), ()]

    found = interests_of_group(_counted(themes), 0, minimum=1)

    assert "old map" not in {each.phrase for each in found}


def test_items_are_told_with_their_titles_only_if_enough_members_had_them() -> None:
    edges = edge_matrix(np.array([0, 1, 2, 3]), np.array([0, 0, 1, 2]), shape=(4, 3))
    counted = Counted(item_holdings(edges, ("a", "b", "c")), np.array([0, 0, 0, 1]), 2)

    found = items_of_group(counted, 0, {item.item_id: item for item in ITEMS}, minimum=2)

    # Two of three members, two of all four: lift .6667 / .5.
    assert [(item.item_id, item.title, item.members, item.lift) for item in found] == [("a", "One", 2, 1.333)]


@pytest.mark.parametrize(
    ("own", "news"),
    [
        ([], ["old maps", "tea"]),
        (["tea"], ["old maps"]),
        (["teas"], ["old maps"]),
        (["maps"], ["old maps", "tea"]),
        (["very old map"], ["tea"]),
    ],
)
def test_news_is_what_none_of_the_users_own_phrases_holds(own: list[str], news: list[str]) -> None:
    shared = [SharedInterest(phrase=each, members=5, share=1.0, lift=2.0) for each in ("old maps", "tea")]

    assert [each.phrase for each in news_for(shared, own)] == news


def test_users_without_any_phrase_are_counted_without_one() -> None:
    edges = edge_matrix(np.array([0, 1]), np.array([0, 0]), shape=(2, 1))

    counted = Counted(phrase_holdings(edges, [None], [(), ()]), np.array([0, 0]), 1)

    assert counted.best(0, minimum=1) == []
