"""Answers that stand in the question: near duplicates, titles in histories, titles in prompts."""

from collections.abc import Sequence

import numpy as np
import pytest

from limner.evals.dataset import Dataset, Events
from limner.evals.leave_one_out import leave_one_out
from limner.evals.loading.cards import card_of
from limner.evals.splits import Split
from limner.evals.target_texts import near_duplicate_target, target_in_history, target_in_prompts
from limner.records import Item

PLAIN = ("red iron kettle", "wool hat for winter", "garden hose ten metres", "a book about bees")


def _split(titles: Sequence[str], *, text: str = "", users: int = 20) -> Split:
    """Return users who all choose the same four items, one after the other; the last is asked for."""
    dataset = Dataset(
        card=card_of("invented", users=users, items=4, events=4 * users, clock="order"),
        items=tuple(Item(item_id=f"i{ix}", title=title) for ix, title in enumerate(titles)),
        user_ids=tuple(f"u{user}" for user in range(users)),
        events=Events(
            user=np.repeat(np.arange(users), 4),
            item=np.tile(np.arange(4), users),
            at=np.tile(np.arange(4), users),
            rating=np.full(4 * users, np.nan, dtype=np.float32),
            text=(text, "", "", "") * users,
        ),
        seed=0,
    )
    return leave_one_out(dataset)


def test_a_target_unlike_its_history_passes() -> None:
    split = _split(
        PLAIN, text="I like a book, about bees above all"
    )  # other words between are another phrase

    assert near_duplicate_target(split).value == 0.0
    assert near_duplicate_target(split).passed


@pytest.mark.parametrize(
    ("title", "value"),
    [
        ("A BOOK: about bees", 1.0),  # the same words
        ("a book about bees and wasps", 0.0),  # 4 of 6 words
    ],
)
def test_a_target_with_the_words_of_a_history_item_fails(title: str, value: float) -> None:
    probe = near_duplicate_target(_split((title, *PLAIN[1:])))

    assert (probe.value, probe.passed) == (value, not value)


def test_nine_words_of_ten_are_near_enough_and_eight_of_nine_are_not() -> None:
    ten, nine = " ".join("abcdefghij"), " ".join("abcdefghi")

    assert near_duplicate_target(_split((nine, *PLAIN[1:3], ten))).value == 1.0
    assert near_duplicate_target(_split((nine[:-2], *PLAIN[1:3], nine))).value == 0.0


def test_texts_too_short_to_point_at_one_item_do_not_count() -> None:
    split = _split(("blue dress", "hat", "shoe", "blue dress"))

    assert near_duplicate_target(split).value == 0.0
    assert target_in_history(split).value == 0.0


def test_a_title_in_the_words_of_the_user_or_of_a_history_item_fails() -> None:
    own_words = target_in_history(_split(PLAIN, text="Then I shall buy: A book about BEES!"))
    in_a_set = target_in_history(_split(("a book about bees and a jar of honey", *PLAIN[1:])))

    assert (own_words.value, own_words.passed) == (1.0, False)
    assert (in_a_set.value, in_a_set.passed) == (1.0, False)


def test_a_title_in_its_prompt_fails() -> None:
    titles = ["a book about bees"] * 100
    honest = ["They like honey, and a book about beeswax."] * 100
    # Of 100 prompts at a tolerated .02 chance exceeds 7 less than once in a thousand times, and 6 more often.
    some = ["a book about bees"] * 7 + honest[7:]
    more = ["a book about bees"] * 8 + honest[8:]

    assert target_in_prompts(honest, titles).value == 0.0
    assert target_in_prompts(some, titles, dataset="invented").passed
    assert target_in_prompts(more, titles).passed is False
    assert target_in_prompts([], []).passed
