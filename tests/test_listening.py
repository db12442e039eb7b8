"""`listen`: chats as behaviour, on a real store in a folder; only the model is scripted."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner import BadRowError, Heard, InputError, Limner
from limner.errors import ModelUnavailableError
from limner.models import Cue
from limner.settings import load_settings
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.scripted import Script, Scripted, ScriptedChat

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SMALL_TALK = (
    "Hi there!",
    "Thanks a lot, that helps.",
    "What is the weather in Oslo?",
    "Can you give me five recipes for pasta?",
    "Please summarise this text: the harbour opened in 1904.",
    "I need help with this code:\n```python\nI_like = 'jazz'\n```",
    "> I love jazz, she wrote.\nWhat does it mean?",
    "Hallo!",
)


def user(*texts: str) -> list[dict[str, Any]]:
    """A conversation in which the assistant says nothing much."""
    turns: list[dict[str, Any]] = [{"role": "system", "content": "I love being helpful."}]
    for text in texts:
        turns += [{"role": "user", "content": text}, {"role": "assistant", "content": "I prefer to agree."}]
    return turns


def note(ref: str, theme: str, polarity: str, text: str) -> dict[str, str]:
    return {"ref": ref, "theme": theme, "polarity": polarity, "note": text}


Open = Callable[..., AbstractAsyncContextManager[Limner]]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Open a Limner whose clock stands still; without a script there is no model."""

    @asynccontextmanager
    async def open_it(chat: ScriptedChat | None = None, **settings: Any) -> AsyncGenerator[Limner]:
        model = {} if chat else {"model": "none"}
        chosen = load_settings(store=tmp_path / "store", embedder="hashing", **model, **settings)
        async with Limner(chosen, chat=chat, clock=ManualClock(NOW)) as limner:
            yield limner

    return open_it


def told(heard: Heard) -> list[tuple[str, str]]:
    return [(cue.polarity, cue.text) for cue in heard.cues]


async def texts_of(limner: Limner) -> list[str | None]:
    """What is stored of ada."""
    later = NOW + timedelta(days=1)
    return [event.text for event in await limner.doors.store.history("ada", as_of=later)]


async def test_turns_that_tell_nothing_are_kept_and_cost_no_call(opened: Open) -> None:
    chat = ScriptedChat()  # no answers: any request would fail
    async with opened(chat) as limner:
        heard = await limner.listen("ada", user(*SMALL_TALK))

    assert (heard.recorded, heard.repeated, heard.cues, heard.usage.calls) == (8, 0, (), 0)
    assert chat.requests == []


async def test_what_a_model_notes_of_a_telling_turn_is_a_cue_with_its_evidence(opened: Open) -> None:
    chat = ScriptedChat([{"cues": [note("t1", "Nuts", "dislike", "cannot eat nuts")]}])
    async with opened(chat) as limner:
        heard = await limner.listen("ada", user("Hi there!", "Nuts make me ill, I fear."))
        [first, second] = await limner.doors.store.history("ada", as_of=NOW + timedelta(days=1))

    assert [(cue.polarity, cue.facet, cue.text, cue.evidence) for cue in heard.cues] == [
        ("dislike", "nuts", "cannot eat nuts", (second.event_id,))
    ]
    assert (first.text, second.text) == ("Hi there!", "Nuts make me ill, I fear.")
    assert {first.kind, second.kind} == {"message"} and first.at < second.at == NOW
    assert heard.usage.calls == len(chat.requests) == 1
    shown = chat.requests[0].messages[-1].content
    assert "Nuts make me ill" in shown and "Hi there" not in shown and "helpful" not in shown


async def test_hearing_a_growing_conversation_reads_each_turn_once(opened: Open) -> None:
    chat = ScriptedChat(lambda request: {"cues": []})
    turns = ("I play the cello.", "Yes.", "I live by the sea.", "Yes.")
    async with opened(chat) as limner:
        heard = [await limner.listen("ada", user(*turns[:count])) for count in (1, 2, 3, 4, 4)]
        stored = await texts_of(limner)

    assert [(each.recorded, each.repeated) for each in heard] == [(1, 0), (1, 1), (1, 2), (1, 3), (0, 4)]
    assert sorted(filter(None, stored)) == sorted(turns)
    assert len(chat.requests) == 2


async def test_conversations_are_told_apart(opened: Open) -> None:
    async with opened() as limner:
        counts = [
            (await limner.listen("ada", user("Yes."), conversation_id=talk)).recorded
            for talk in ("a", "b", "a")
        ]

        assert counts == [1, 1, 0]


async def test_a_model_that_fails_is_asked_again_the_next_time(opened: Open) -> None:
    answers: list[Scripted] = [
        ModelUnavailableError("m", 1, "down"),
        {"cues": [note("t1", "cello", "like", "plays the cello")]},
    ]
    async with opened(ScriptedChat(answers)) as limner:
        failed = await limner.listen("ada", user("I play the cello."))
        heard = await limner.listen("ada", user("I play the cello."))
        again = await limner.listen("ada", user("I play the cello."))

    assert (failed.recorded, failed.cues) == (1, ())
    assert "hear_turns" in failed.notes[0]
    assert (heard.recorded, told(heard)) == (0, [("like", "plays the cello")])
    assert (again.cues, again.usage.calls) == ((), 0)


async def test_a_budget_that_refuses_leaves_the_turn_for_later(opened: Open) -> None:
    chat = ScriptedChat(lambda request: {"cues": []})
    async with opened(chat, budget={"tokens": 1}) as limner:
        heard = await limner.listen("ada", user("I play the cello."))

    assert (heard.recorded, chat.requests) == (1, [])
    assert "budget" in heard.notes[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I never eat fish.", [("dislike", "I never eat fish.")]),
        ("Please never use emojis.", [("dislike", "Please never use emojis.")]),
        ("From now on, keep it short.", [("like", "From now on, keep it short.")]),
        ("My sister lives in Leeds.", []),
        ("Ich esse kein Fleisch.", [("dislike", "Ich esse kein Fleisch.")]),
        ("Je préfère le train.", [("like", "Je préfère le train.")]),
    ],
)
async def test_without_a_model_sides_and_lasting_wishes_are_quoted(
    opened: Open, text: str, expected: list[tuple[str, str]]
) -> None:
    async with opened() as limner:
        assert told(await limner.listen("ada", user(text))) == expected


def choose(request: ChatRequest) -> Scripted:
    """Take the last theme of each passage, and `dislike` where a side is to be chosen."""
    assert request.json_schema is not None
    branches: list[Mapping[str, Any]] = request.json_schema["properties"]["cues"]["items"]["anyOf"]
    chosen: list[dict[str, str]] = []
    for branch in branches:
        fields = branch["properties"]
        cue = {"ref": fields["ref"]["const"], "theme": fields["theme"]["enum"][-1]}
        chosen.append({**cue, "note": "dislike"} if "note" in fields else cue)
    return {"cues": chosen}


async def test_a_small_model_chooses_a_theme_and_never_the_side_of_plain_words(opened: Open) -> None:
    chat = ScriptedChat(choose)
    turns = ("I love quiet evenings with old records.", "My sister lives in Leeds.", "I never drink.")
    async with opened(chat, drafting={"style": "lexicon"}) as limner:
        heard = await limner.listen("ada", user(*turns))

    # The side is the user's own, the quotation is the sentence, and there is nothing to choose for the last turn.
    assert told(heard) == [("like", turns[0]), ("dislike", turns[2])]
    assert heard.cues[0].facet == "records"
    assert len(chat.requests) == 1


async def test_in_a_language_without_a_table_a_small_model_says_the_side(opened: Open) -> None:
    chat = ScriptedChat(choose)
    text = "Nigdy nie jem ryb ani owoców morza, bo od dziecka mam na nie bardzo silną alergię."
    async with opened(chat, drafting={"style": "lexicon"}) as limner:
        heard = await limner.listen("ada", user(text))

    assert told(heard) == [("dislike", text)]


async def test_a_later_statement_takes_back_what_was_noted_and_both_stay(opened: Open) -> None:
    async with opened() as limner:
        first = await limner.listen("ada", user("I love horror films."), conversation_id="a")
        second = await limner.listen(
            "ada",
            user("I don't like horror films any more."),
            conversation_id="b",
            at=NOW + timedelta(hours=1),
        )
        told_now = await limner.context("ada", "horror films", as_of=NOW + timedelta(days=1))
        told_then = await limner.context("ada", "horror films", as_of=NOW + timedelta(minutes=1))

    assert [cue.cue_id for cue in second.retracted] == [cue.cue_id for cue in first.cues]
    assert second.retracted[0].evidence == first.cues[0].evidence
    assert "any more" in told_now.volatile.split("\n")[3]  # it comes first
    assert "any more" not in told_then.volatile and "I love horror films." in told_then.volatile


async def test_the_next_portrait_says_nothing_against_the_last_word(opened: Open) -> None:
    def answer(request: ChatRequest) -> Scripted:
        if request.purpose in ("extract_cues", "hear_turns"):
            return {"cues": []}
        return {"likes": [{"evidence": ["e1"], "theme": "horror", "sentence": "Enjoys horror tales."}]}

    async with opened(ScriptedChat(answer), drafting={"drafts": 1, "rounds": 0}) as limner:
        await limner.add_items(
            [{"item_id": f"h{n}", "title": f"Horror tales {n}", "categories": ["horror"]} for n in range(9)]
        )
        await limner.record(
            "ada",
            [{"item_id": f"h{n}", "kind": "purchase", "at": NOW - timedelta(days=20 - n)} for n in range(6)],
        )
        before = await limner.profile("ada")
        await limner.listen("ada", user("I can't stand horror tales."), at=NOW - timedelta(hours=1))
        after = await limner.profile("ada")

    quote = 'Said: "I can\'t stand horror tales."'
    assert "horror" in before.text.casefold() and before.dislikes == ()
    assert after.dislikes == (quote,)
    assert not any("horror" in text.casefold() for text in after.likes)
    [claim] = [claim for claim in after.claims if claim.text == quote]
    [spoken] = [event for event in after.recent if event.kind == "message"]
    assert claim.evidence == (spoken.event_id,)


@pytest.mark.parametrize(
    ("request_", "left"),
    [
        ("Forget that.", ["I love fish.", "I prefer trains."]),
        ("Please forget that, and what time is it?", ["I love fish.", "I prefer trains."]),
        ("Could you forget what I said about fish?", ["I prefer trains.", "I never drink."]),
        ("Don't forget that I like fish!", ["I love fish.", "I prefer trains.", "I never drink."]),
        ("I forget that all the time.", ["I love fish.", "I prefer trains.", "I never drink."]),
    ],
)
async def test_what_is_to_be_forgotten_goes_and_the_request_is_not_kept(
    opened: Open, request_: str, left: list[str]
) -> None:
    turns = ("I love fish.", "I prefer trains.", "I never drink.")
    async with opened() as limner:
        await limner.listen("ada", user(*turns), conversation_id="c")
        heard = await limner.listen("ada", user(*turns, request_), conversation_id="c")
        again = await limner.listen("ada", user(*turns, request_), conversation_id="c")
        stored = [text for text in await texts_of(limner) if text != request_]
        shown = (await limner.context("ada", "fish, trains, drink", as_of=NOW + timedelta(days=1))).text

    assert stored == left
    assert len(heard.forgotten) == 3 - len(left)
    assert (again.recorded, again.cues, again.forgotten) == (0, (), ())
    for text in turns:
        assert (text in shown) is (text in left)


async def test_forgetting_reaches_earlier_conversations_once(opened: Open) -> None:
    async with opened() as limner:
        await limner.listen("ada", user("I love fish."), conversation_id="a", at=NOW - timedelta(hours=2))
        await limner.listen("ada", user("I prefer trains."), conversation_id="b", at=NOW - timedelta(hours=1))
        first = await limner.listen("ada", user("Forget that."), conversation_id="c")
        second = await limner.listen("ada", user("Forget that."), conversation_id="c")
        stored = await texts_of(limner)

    assert (len(first.forgotten), len(second.forgotten)) == (1, 0)
    assert stored == ["I love fish."]


async def test_to_forget_everything_is_left_to_the_verb_for_it(opened: Open) -> None:
    async with opened() as limner:
        await limner.listen("ada", user("I love fish."), conversation_id="a")
        heard = await limner.listen(
            "ada", user("Please forget everything you know about me."), conversation_id="b"
        )
        stored = await texts_of(limner)

    assert any("nothing was deleted" in note and "limner.forget('ada')" in note for note in heard.notes)
    assert stored == ["I love fish."]


@pytest.mark.parametrize("request_", ["Forget me.", "Lösche bitte alle meine Daten.", "Oublie-moi."])
async def test_who_wants_to_be_forgotten_is_not_forgotten_without_a_word(opened: Open, request_: str) -> None:
    async with opened() as limner:
        await limner.listen("ada", user("I love fish."), conversation_id="a")
        heard = await limner.listen("ada", user(request_), conversation_id="b")
        stored = await texts_of(limner)

    assert heard.forgotten == () and "I love fish." in stored
    assert any("limner.forget('ada')" in note for note in heard.notes)


@pytest.mark.parametrize(
    "request_",
    [
        "Forget that, how do I get to Oslo by train?",
        "Vergiss das, wie komme ich mit dem Zug nach Oslo?",
        "Oublie ça, comment aller à Oslo en train ?",
    ],
)
async def test_a_change_of_subject_forgets_nothing_and_is_told(opened: Open, request_: str) -> None:
    async with opened() as limner:
        await limner.listen("ada", user("I love fish."), conversation_id="a")
        heard = await limner.listen("ada", user(request_), conversation_id="b")
        stored = await texts_of(limner)

    assert sorted(filter(None, stored)) == sorted(["I love fish.", request_])
    assert heard.forgotten == ()
    assert any("change the subject" in note and "event_id=" in note for note in heard.notes)


async def test_what_a_turn_takes_back_of_itself_costs_no_earlier_turn(opened: Open) -> None:
    async with opened() as limner:
        await limner.listen("ada", user("I love fish."), conversation_id="a")
        heard = await limner.listen("ada", user("I hate jazz. No, forget that."), conversation_id="b")
        stored = await texts_of(limner)

    assert (stored, heard.cues, heard.forgotten) == (["I love fish."], (), ())


@pytest.mark.parametrize(
    ("text", "facet", "polarity"),
    [
        ("Keep answers short.", "short", "like"),
        ("please answer in German", "german", "like"),
        ("Could you please call me Sam?", "sam", "like"),
        ("Bitte duze mich.", "duze", "like"),
        ("No emojis please!", "emojis", "dislike"),
        ("私は猫が好きです。", "猫", "like"),
        ("肉は食べません。", "肉", "dislike"),
        ("我不吃肉。", "肉", "dislike"),
        ("고기를 못 먹어요.", "고기", "dislike"),
    ],
)
async def test_a_wish_or_a_side_in_any_covered_language_is_a_cue_of_its_own(
    opened: Open, text: str, facet: str, polarity: str
) -> None:
    async with opened() as limner:
        heard = await limner.listen("ada", user(f"Ok. {text}"))

    assert [(cue.text, cue.facet, cue.polarity) for cue in heard.cues] == [(text, facet, polarity)]


async def test_what_a_model_passes_over_of_limits_and_wishes_is_quoted_beside_its_notes(opened: Open) -> None:
    chat = ScriptedChat([{"cues": [note("t1", "jazz", "like", "loves jazz")]}])
    async with opened(chat) as limner:
        heard = await limner.listen(
            "ada", user("I love jazz. I'm allergic to nuts. Please answer in German.")
        )

    assert told(heard) == [
        ("like", "loves jazz"),
        ("dislike", "I'm allergic to nuts."),
        ("like", "Please answer in German."),
    ]


async def test_the_last_of_two_wishes_of_a_kind_holds(opened: Open) -> None:
    async with opened() as limner:
        first = await limner.listen("ada", user("Call me Sam."), at=NOW - timedelta(hours=2))
        second = await limner.listen("ada", user("Call me Alex."), at=NOW - timedelta(hours=1))
        shown = (await limner.context("ada", "Who am I?")).text

    assert [cue.cue_id for cue in second.retracted] == [cue.cue_id for cue in first.cues]
    assert "Alex" in shown and "Sam" not in shown


LIKES = ("I love jazz.", "I really enjoy old maps.", "I prefer window seats.", "I love quiet gardens.")
LIMITS = ("I never eat meat.", "I'm allergic to nuts.")
WISHES = ("Keep answers short.", "Please answer in German.")


async def test_limits_and_wishes_are_in_the_stable_part_before_likes_whatever_came_later(
    opened: Open,
) -> None:
    async with opened() as limner:
        talk = user(*LIMITS, *WISHES, *LIKES, *LIKES)
        await limner.listen("ada", talk, at=NOW - timedelta(hours=1))
        before = await limner.context("ada", "What shall I cook?", max_tokens=300)
        drawn = await limner.profile("ada")
        wide = await limner.context("ada", "What shall I cook?", max_tokens=300)
        narrow = await limner.context("ada", "Which jazz tonight?", max_tokens=100, model="gpt-4o-mini")

    # Without a portrait the volatile part begins with them; a portrait tells them first, beside its four sentences.
    first = before.volatile.split("\n")[2:8]
    assert (first[0], first[3]) == ("Limits:", "Wishes:")
    assert {*first[1:3]} == {f'- "{said}"' for said in LIMITS}
    assert len(drawn.facets) == len(LIMITS) + len(WISHES) + 4
    assert [line for line in wide.stable.split("\n") if line.endswith(":")] == [
        "Limits:",
        "Wishes:",
        "Likes:",
    ]
    assert not {*drawn.likes, *drawn.dislikes} & {
        facet.text for facet in drawn.facets if facet.polarity == "neutral"
    }
    for said in (*LIMITS, *WISHES):
        assert said in wide.stable and said not in wide.volatile
    assert narrow.tokens <= 100
    for said in LIMITS:
        assert said in narrow.text


async def test_a_portrait_that_a_model_wrote_tells_limits_and_wishes_too(opened: Open) -> None:
    def answer(request: ChatRequest) -> Scripted:
        if request.purpose in ("extract_cues", "hear_turns"):
            return {"cues": []}
        return {"likes": [{"evidence": ["e1"], "theme": "horror", "sentence": "Enjoys horror tales."}]}

    async with opened(ScriptedChat(answer), drafting={"drafts": 1, "rounds": 0}) as limner:
        await limner.add_items(
            [{"item_id": f"h{n}", "title": f"Horror tales {n}", "categories": ["horror"]} for n in range(9)]
        )
        await limner.record(
            "ada",
            [{"item_id": f"h{n}", "kind": "purchase", "at": NOW - timedelta(days=20 - n)} for n in range(6)],
        )
        await limner.listen("ada", user("I never eat meat.", "Bitte duze mich."), at=NOW - timedelta(hours=1))
        drawn = await limner.profile("ada")

    assert drawn.facets[0].text == 'Said: "I never eat meat."'
    assert all(claim.evidence for claim in drawn.claims)


async def test_what_somebody_chose_states_no_limit(opened: Open) -> None:
    async with opened() as limner:
        books = [f"Vegan cooking for beginners {n}" for n in range(6)]
        await limner.add_items(
            [{"item_id": title, "title": title, "categories": ["vegan"]} for title in books]
        )
        await limner.record(
            "ada",
            [
                {"item_id": title, "kind": "purchase", "at": NOW - timedelta(days=20 - n)}
                for n, title in enumerate(books)
            ],
        )
        before = await limner.context("ada", "Which vegan book?")
        drawn = await limner.profile("ada")
        after = await limner.context("ada", "Which vegan book?")

    assert "vegan" in drawn.text.casefold()
    assert "Limits:" not in before.text + after.text


async def test_no_sentence_is_told_in_both_parts(opened: Open) -> None:
    async with opened() as limner:
        turn = 'I love Thai food. I never eat "peanuts". My sister lives in Leeds.'
        await limner.listen("ada", user(turn), at=NOW - timedelta(hours=1))
        await limner.profile("ada")
        asked = await limner.context("ada", "What Thai food shall I cook for my sister in Leeds?")
        unasked = await limner.context("ada")

    for told_ in (asked, unasked):
        assert "I love Thai food." in told_.stable and "peanuts" in told_.stable
        assert "Thai food" not in told_.volatile and "peanuts" not in told_.volatile
        assert "My sister lives in Leeds." in told_.volatile


async def test_bad_messages_are_typed_errors_and_nothing_is_kept(opened: Open) -> None:
    async with opened() as limner:
        for bad in ("text", {"content": "no role"}, {"role": 7}):
            with pytest.raises(BadRowError, match=r"^messages:2: "):
                await limner.listen("ada", [{"role": "user", "content": "I love fish."}, bad])  # type: ignore[list-item]  # the point
        with pytest.raises(InputError, match="`user_id`"):
            await limner.listen("", user("I love fish."))
        assert await texts_of(limner) == []


async def test_turns_without_text_are_passed_over(opened: Open) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:"}}]
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": parts},
        {"role": "user", "content": None},
        {"role": "tool", "content": "x"},
    ]
    async with opened() as limner:
        heard = await limner.listen("ada", turns)

    assert (heard.recorded, heard.repeated) == (0, 0)


async def test_cues_of_a_turn_are_not_read_again_by_the_next_drawing(opened: Open) -> None:
    asked: list[str] = []

    def answer(request: ChatRequest) -> Scripted:
        asked.append(request.purpose)
        return {"cues": []} if "cue" in request.purpose or "turn" in request.purpose else {"likes": []}

    script: Script = answer
    async with opened(ScriptedChat(script), drafting={"drafts": 1, "rounds": 0}) as limner:
        await limner.listen("ada", user("I play the cello.", "Hi!"), at=NOW - timedelta(hours=1))
        await limner.profile("ada")

    assert asked.count("hear_turns") == 1
    assert "extract_cues" not in asked


def test_a_cue_of_a_chat_is_a_cue_like_any_other() -> None:
    assert set(Heard.model_fields) >= {
        "recorded",
        "repeated",
        "cues",
        "retracted",
        "forgotten",
        "usage",
        "notes",
    }
    assert Heard(user_id="u", recorded=0, repeated=0).cues == ()
    assert Cue.model_fields["evidence"].is_required()


async def test_a_small_model_does_not_retell_a_chat_but_quotes_it(opened: Open) -> None:
    def answer(request: ChatRequest) -> Scripted:
        if request.purpose == "hear_turns":
            return choose(request)
        assert request.json_schema is not None
        return dict.fromkeys(request.json_schema["properties"], "Enjoys nuts.")

    settings = {"drafting": {"style": "lexicon", "drafts": 1, "rounds": 0}}
    async with opened(ScriptedChat(answer), **settings) as limner:
        await limner.listen(
            "ada", user("I'm allergic to nuts.", "I prefer trains."), at=NOW - timedelta(hours=1)
        )
        drawn = await limner.profile("ada")

    assert drawn.text == 'Said: "I\'m allergic to nuts." Said: "I prefer trains."'
    assert drawn.source == "extractive"
    assert "quoted" in drawn.notes[0]
