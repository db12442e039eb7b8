"""Cues beside their evidence, drawn and planted."""

from collections.abc import Callable

from limner.evals.junk.exhibits import Exhibit, draw_exhibits, exhibits_of, plant
from limner.models import Cue

MakeExhibit = Callable[..., Exhibit]


def test_a_larger_sample_begins_with_the_smaller_one_in_whatever_order_cues_are_read(
    make_exhibit: MakeExhibit,
) -> None:
    exhibits = [make_exhibit(f"note {ix}", "x", user_id=f"u{ix}") for ix in range(9)]

    few = draw_exhibits(exhibits, 4, seed=1)

    assert draw_exhibits(exhibits[::-1], 9, seed=1)[:4] == few
    assert draw_exhibits(exhibits, 4, seed=2) != few


def test_planted_cues_keep_their_words_and_get_another_users_evidence(make_exhibit: MakeExhibit) -> None:
    mine, yours = (
        make_exhibit("tea", "I want tea", user_id="a"),
        make_exhibit("jazz", "only jazz", user_id="b"),
    )

    [first, second] = plant([mine, yours], 10, seed=0)

    assert (first.cue, first.texts, first.lines) == (mine.cue, ("only jazz",), ('wrote: "only jazz"',))
    assert (second.cue.text, second.texts) == ("jazz", ("I want tea",))


def test_nothing_is_planted_on_the_same_user_or_the_same_words(make_exhibit: MakeExhibit) -> None:
    same_user = [make_exhibit("tea", "tea"), make_exhibit("jazz", "jazz")]
    same_words = [make_exhibit("tea", "tea", user_id="a"), make_exhibit("Tea", "tea!", user_id="b")]

    assert plant(same_user, 10, seed=0) == []
    assert plant(same_words, 10, seed=0) == []


def test_a_cue_that_says_the_same_as_another_of_its_user_is_told(make_exhibit: MakeExhibit) -> None:
    def cue(number: int, text: str) -> Cue:
        return Cue(cue_id=f"c{number}", text=text, polarity="like", facet="x", evidence=("e",))

    found = exhibits_of("u", [cue(1, "Tea"), cue(2, "tea "), cue(3, "jazz")], [], {}, None)

    assert [exhibit.repeated for exhibit in found] == [True, True, False]
    assert [exhibit.texts for exhibit in found] == [(), (), ()]


def test_a_judge_sees_which_side_a_note_is_on(make_exhibit: MakeExhibit) -> None:
    assert make_exhibit("tea", "x", polarity="dislike").note() == "Dislikes: tea"
    assert make_exhibit("tea", "x").note() == "Said: tea"
