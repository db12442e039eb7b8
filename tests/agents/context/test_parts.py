"""The two parts of a context stay within their room and leave out whole sentences, the least important first."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.agents.context.frame import languages, tame, words_of
from limner.agents.context.material import Material
from limner.agents.context.place_context import last_question, place_context
from limner.agents.context.stable_part import Part, nothing_known, stable_part
from limner.agents.context.volatile_part import Scored, volatile_part
from limner.agents.phrasing import openings
from limner.agents.standing import Weighed
from limner.contexts import Context
from limner.models import Claim, Cue, Facet, Profile
from limner.records import Interaction
from limner.tools.tokens import EstimatedTokens, TokenCounter

START = datetime(2026, 3, 1, tzinfo=UTC)


class WordTokens:
    """A double: a token a word, which can be counted by eye."""

    name = "words"

    def count(self, text: str) -> int:
        """Return the number of words."""
        return len(text.split())


class JealousTokens:
    """A double whose whole is more than its parts: texts beyond a few words get dearer than their lines."""

    name = "jealous"

    def count(self, text: str) -> int:
        """Return more than a letter each."""
        return len(text) + len(text) // 10


COUNTERS: tuple[Callable[[], TokenCounter], ...] = (WordTokens, EstimatedTokens, JealousTokens)

words = st.text(alphabet=st.characters(codec="utf-8"), min_size=0, max_size=60)
lists = st.lists(words, max_size=6)


def portrait(likes: list[str], dislikes: list[str], text: str | None = None) -> Profile:
    sentences = [*likes, *dislikes]
    return Profile(
        user_id="ada",
        version=1,
        as_of=START,
        text=" ".join(sentences) if text is None else text,
        likes=tuple(likes),
        dislikes=tuple(dislikes),
        facets=tuple(Facet(name="f", text=sentence) for sentence in sentences),
        claims=tuple(
            Claim(text=sentence, evidence=(f"e{number}",), confidence=1.0)
            for number, sentence in enumerate(sentences, start=1)
        ),
        language="en",
        source="extractive",
        critic_version="c",
        fingerprint="f",
        created_at=START,
    )


def material(profile: Profile | None, texts: list[str], cues: list[str] | None = None) -> Material:
    events = tuple(
        Interaction(
            event_id=f"m{day}", user_id="ada", kind="message", at=START + timedelta(days=day), text=text
        )
        for day, text in enumerate(texts)
    )
    noted = [
        Cue(cue_id=f"c{number}", text=text, polarity="like", facet="f", evidence=("m0",))
        for number, text in enumerate(cues or [])
    ]
    return Material(profile=profile, events=events, items={}, cues=Weighed(noted, []), language="en")


def scored(known: Material) -> Scored:
    """Everything fits the question alike."""
    return Scored(
        {cue.cue_id: 1.0 for cue in known.cues.standing}, {event.event_id: 1.0 for event in known.events}
    )


def stable(likes: list[str], dislikes: list[str], *, max_tokens: int) -> Part:
    return stable_part(portrait(likes, dislikes), words_of("en"), WordTokens(), max_tokens=max_tokens)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    likes=lists,
    dislikes=lists,
    text=words,
    said=lists,
    cues=lists,
    room=st.one_of(st.integers(1, 30), st.integers(31, 400)),
    which=st.integers(0, len(COUNTERS) - 1),
    asked=st.booleans(),
)
def test_no_part_nor_both_together_ever_exceed_the_room(
    likes: list[str],
    dislikes: list[str],
    text: str,
    said: list[str],
    cues: list[str],
    room: int,
    which: int,
    asked: bool,
) -> None:
    counter, fixed = COUNTERS[which](), words_of("en")
    profile = portrait(likes, dislikes, text)
    known = material(profile, said, cues)

    first = stable_part(profile, fixed, counter, max_tokens=room)
    second = volatile_part(
        known, scored(known) if asked else None, fixed, counter, stable=first.text, max_tokens=room
    )
    unknown = nothing_known(fixed, counter, max_tokens=room)

    together = "\n".join(part for part in (first.text, second.text) if part)
    for part in (first.text, second.text, unknown.text, together):
        assert counter.count(part) <= room or part == ""
    assert first.tokens + second.tokens <= room
    for part, name in ((first.text, "user_profile"), (second.text, "user_recent")):
        lines = part.split("\n")
        assert part == "" or (lines[0], lines[-1]) == (f"<{name}>", f"</{name}>")
        assert part.count("<") <= 2
    told = {tame(sentence) for sentence in (*likes, *dislikes)}
    listed = {line.removeprefix("- ") for line in first.text.split("\n") if line.startswith("- ")}
    assert listed <= told  # whole, or not at all


def test_the_frame_is_as_long_as_the_numbers_below_say() -> None:
    fixed = words_of("en")

    assert (len(fixed.about.split()), len(fixed.brief.split())) == (10, 3)
    assert (fixed.likes.split(), fixed.dislikes.split()) == (["Likes:"], ["Dislikes:"])


def test_the_first_like_and_the_first_dislike_come_before_all_others() -> None:
    likes, dislikes = ["one two three.", "four five six."], ["seven eight nine."]

    # A line costs its words and one for its end. Frame: 2 + 4 + 1 + 2; the first like with its heading 5 + 2: 16.
    least = stable(likes, dislikes, max_tokens=32)  # half is 16
    # The second like would take 5 more, the dislike with its heading 7: 23.
    more = stable(likes, dislikes, max_tokens=46)  # half is 23

    assert "one two three." in least.text and least.text.count("\n- ") == 1
    assert "seven eight nine." in more.text and "four five six." not in more.text
    assert more.evidence == ("e1", "e3")


def test_a_sentence_that_does_not_fit_makes_room_for_a_shorter_one() -> None:
    long = "a " * 40 + "end."

    told = stable(["one two.", long, "three four."], [], max_tokens=50)

    assert "one two." in told.text and "three four." in told.text and "end." not in told.text


def test_where_nothing_fits_beside_it_the_line_about_it_gives_way_and_then_the_share() -> None:
    whole, brief, bare, all_of_it, nothing = (
        stable(["one two three."], [], max_tokens=room).text for room in (80, 79, 24, 12, 6)
    )

    assert f"\n{words_of('en').about}\n" in whole  # 10 words are an eighth of 80
    assert f"\n{words_of('en').brief}\n" in brief
    assert bare == all_of_it == "<user_profile>\nLikes:\n- one two three.\n</user_profile>"
    assert nothing == ""


@pytest.mark.parametrize(("room", "most"), [(100, 50), (150, 90), (400, 280)])
def test_the_stable_part_leaves_room_for_a_question(room: int, most: int) -> None:
    # Half of a small room, all but 60 tokens of a larger one, 70 % of what is left over from there.
    told = stable([f"one{number}." for number in range(200)], [], max_tokens=room)

    # A line costs its end too, and up to 4 are left: less than the next, the last line's own, and an empty one.
    assert most - 4 <= told.tokens + told.text.count("\n") <= most


def test_the_portraits_own_words_are_told_where_its_lists_lack_them() -> None:
    profile = portrait(["Enjoys maps."], [], text="A quiet reader. Enjoys maps. Sleeps late.")

    told = stable_part(profile, words_of("en"), WordTokens(), max_tokens=200).text

    assert "\nA quiet reader.\nSleeps late.\nLikes:\n- Enjoys maps.\n" in told


def test_a_sentence_is_told_once() -> None:
    told = stable(["Enjoys maps.", "enjoys  maps."], [], max_tokens=200)

    assert told.text.casefold().count("enjoys") == 1


def test_lines_that_say_the_same_are_told_once_and_parts_of_words_are_not_the_same() -> None:
    known = material(None, ["I love art.", "I love art.", "We go to a party of artists."])

    told = volatile_part(known, None, words_of("en"), WordTokens(), stable="", max_tokens=300).text

    assert told.count("I love art.") == 1
    assert "party of artists" in told


def test_a_question_is_answered_first_and_the_newest_comes_after() -> None:
    known = material(portrait([], []), [f"I own thing number {n}." for n in range(20)], ["owns a boat"])
    fitting = Scored({"c0": 0.9}, {event.event_id: 0.0 for event in known.events} | {"m3": 0.8})

    told = volatile_part(known, fitting, words_of("en"), WordTokens(), stable="", max_tokens=60).text

    lines = [line for line in told.split("\n") if line.startswith("- ")]
    assert lines[0] == "- likes: owns a boat"
    assert lines[1] == '- 2026-03-04 said: "I own thing number 3."'
    assert "number 19" in lines[2]
    assert "number 5." not in told


def test_what_answers_a_question_comes_before_what_was_said_last() -> None:
    known = material(portrait([], []), ["I can't eat gluten at all.", "I love owls.", "I like chess."])
    fitting = Scored({}, {"m0": 0.9, "m1": 0.0, "m2": 0.1})

    # A line costs its words and one for its end: the stable part 2, the frame 5, the heading 12, the answer 8: 27 of
    # 28. One of the others would take 5, and would have left too little for the answer.
    tight, roomy = (
        volatile_part(known, fitting, words_of("en"), WordTokens(), stable="-", max_tokens=room).text
        for room in (28, 40)
    )

    assert [line for line in tight.split("\n") if line.startswith("- ")] == [
        '- "I can\'t eat gluten at all."'
    ]
    assert [line[3:9] for line in roomy.split("\n") if line.startswith("- ")] == [
        "I can'",
        "I like",
        "I love",
    ]


def test_what_the_portrait_speaks_of_and_was_said_since_comes_first_whatever_is_asked() -> None:
    known = material(portrait(["Enjoys chess."], []), ["I hate chess by now.", "My boat is made of oak."])
    fitting = Scored({}, {"m0": 0.0, "m1": 0.9})

    told = volatile_part(known, fitting, words_of("en"), WordTokens(), stable="Enjoys chess.", max_tokens=32)

    assert "I hate chess by now." in told.text and "oak" not in told.text


def test_a_moment_that_only_counts_an_order_is_no_date() -> None:
    event = Interaction(user_id="ada", item_id="x", kind="view", at=datetime(1970, 1, 1, tzinfo=UTC))
    known = Material(profile=None, events=(event,), items={}, cues=Weighed([], []), language="en")

    told = volatile_part(known, None, words_of("en"), WordTokens(), stable="", max_tokens=100).text

    assert "\n- viewed: x\n" in told


def test_every_language_of_the_openers_has_words_of_its_own() -> None:
    for language in languages():
        assert openings(language, "like"), language
    assert {language for language in ("en", "de", "fr", "es", "it", "pt", "nl")} == set(languages())
    assert words_of("xx") == words_of("en")


def placed(volatile: str = "now", stable_: str = "always") -> Context:
    return Context(
        user_id="ada",
        stable=stable_,
        volatile=volatile,
        known=True,
        language="en",
        tokens=2,
        stable_tokens=1,
        version=1,
        evidence=(),
    )


ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
chats = st.lists(st.fixed_dictionaries({"role": ROLES, "content": st.text(max_size=5)}), max_size=8)


@given(chats)
def test_placing_adds_two_messages_and_changes_none(messages: list[dict[str, str]]) -> None:
    before = [dict(message) for message in messages]

    found = place_context(messages, placed("NOW NOW", "ALWAYS ALWAYS"))

    added = [message for message in found if message["content"] in ("NOW NOW", "ALWAYS ALWAYS")]
    assert messages == before
    assert [message["content"] for message in added] == ["ALWAYS ALWAYS", "NOW NOW"]
    assert [message for message in found if message not in added] == before
    if any(message["role"] == "user" for message in before):
        asked = max(place for place, message in enumerate(found) if message["role"] == "user")
        assert found[asked - 1]["content"] == "NOW NOW"


def test_empty_parts_add_nothing() -> None:
    assert place_context([{"role": "user", "content": "Hi"}], placed("", "")) == [
        {"role": "user", "content": "Hi"}
    ]
    assert place_context([], placed()) == [
        {"role": "system", "content": "always"},
        {"role": "system", "content": "now"},
    ]


@pytest.mark.parametrize(
    ("messages", "question"),
    [
        ([{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}], "A"),
        ([{"role": "user", "content": "A"}, {"role": "user", "content": "  "}], None),
        ([{"role": "assistant", "content": "B"}], None),
        ([], None),
    ],
)
def test_the_question_is_the_last_message_of_the_users(
    messages: list[dict[str, str]], question: str | None
) -> None:
    assert last_question(messages) == question
