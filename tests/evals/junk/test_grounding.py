"""Whether a cue's words stand in its evidence."""

from collections.abc import Callable

import pytest

from limner.evals.junk.exhibits import Exhibit
from limner.evals.junk.grounding import GROUNDED, grounded_share, is_unsupported

MakeExhibit = Callable[..., Exhibit]


@pytest.mark.parametrize(
    ("text", "said", "share"),
    [
        ("I never fly.", ["Well, I never fly. Trains are fine."], 1.0),
        ("loves night trains", ["Night trains, please!"], 2 / 3),  # `loves` is not there
        ("train", ["training every day"], 1.0),  # one form of a word stands for another
        ("car", ["a cart full of hay"], 0.0),  # three letters are no stem
        ("rock climbing; opera", ["rock climbing", "and the opera"], 1.0),  # evidence counts together
        ("moss", [], 0.0),
        ("我喜欢茶", ["其实我喜欢茶。"], 1.0),  # no blanks between words
    ],
)
def test_the_share_of_content_words_in_the_evidence(
    make_exhibit: MakeExhibit, text: str, said: list[str], share: float
) -> None:
    assert grounded_share(make_exhibit(text, *said)) == pytest.approx(share)


def test_the_items_own_words_are_evidence(make_exhibit: MakeExhibit) -> None:
    assert grounded_share(make_exhibit("brass lantern", "", item="A lantern of brass")) == 1.0


def test_too_few_words_no_evidence_and_the_opposite_rating_are_unsupported(make_exhibit: MakeExhibit) -> None:
    half = make_exhibit("night trains", "a quiet night")
    third = make_exhibit("night trains north", "a quiet night")
    disliked = make_exhibit("lantern", "", item="A lantern", rating=1.0, polarity="like")
    liked = make_exhibit("lantern", "", item="A lantern", rating=5.0, polarity="like")

    assert (grounded_share(half), GROUNDED, is_unsupported(half)) == (0.5, 0.5, False)
    assert is_unsupported(third)
    assert is_unsupported(make_exhibit("moss"))
    assert is_unsupported(disliked)
    assert not is_unsupported(liked)
