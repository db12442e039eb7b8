"""LoCoMo: dialogues, room, answers compared word by word."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limner.errors import BadRowError, UnknownFormatError
from limner.evals.bench.loopback_server import Json, LoopbackServer
from limner.evals.questions.locomo import load_locomo, locomo_card, sample_locomo, token_f1
from limner.evals.suite import Task
from limner.evals.suites.qa import Qa

MakeTask = Callable[..., Task]


def reading(request: Json) -> str:
    """Answer both questions if the dialogue is there, else with words that are not in the gold."""
    text = str(request["messages"][-1]["content"])
    if "red canoe" not in text.partition("What did Ann buy?")[0] or "Ann buy" not in text:
        return "nobody knows"
    return "The red canoe.\nShe said so."


def test_a_dialogue_has_its_meetings_in_order_and_no_question_without_an_answer(dialogues: Path) -> None:
    [dialogue] = load_locomo(dialogues)

    assert [f"{session.at:%Y-%m-%d %H:%M}" for session in dialogue.sessions] == [
        "2023-05-08 13:56",
        "2023-06-10 09:05",
    ]
    assert [(asked.answer, asked.category) for asked in dialogue.questions] == [
        ("a red canoe", "single-hop"),
        ("2023", "temporal"),
    ]
    ann, bob = dialogue.chatters()
    assert [turn.text for turn in ann.turns] == [
        "I bought a red canoe yesterday.",
        "I paddled my canoe across the lake.",
    ]
    assert (ann.user_id, len(bob.turns)) == ("conv-1/Ann", 2)


def test_the_conversation_is_cut_from_its_beginning(dialogues: Path) -> None:
    [dialogue] = load_locomo(dialogues)

    whole, end = dialogue.conversation(), dialogue.conversation(72, len)  # 72 characters

    assert whole.startswith("[08 May 2023]\nAnn: I bought a red canoe yesterday.\nBob:")
    assert whole == dialogue.conversation(1000, len)
    assert end == "[10 June 2023]\nAnn: I paddled my canoe across the lake."
    assert len(end) <= 72


def test_what_the_other_side_said_next_goes_with_a_turn(dialogues: Path) -> None:
    [dialogue] = load_locomo(dialogues)

    ann, bob = dialogue.chatters()

    assert [(turn.answer, turn.talk) for turn in ann.turns] == [
        ("Lovely. My garden is full of beans.", "conv-1/0"),
        ("", "conv-1/1"),  # she has the last word of the second meeting
    ]
    assert [turn.answer for turn in bob.turns] == ["", "I paddled my canoe across the lake."]


@pytest.mark.parametrize(
    ("said", "gold", "f1"),
    [
        ("a red canoe", "The red canoe!", 1.0),
        ("red canoe and paddle", "red canoe", 2 * 2 / (4 + 2)),
        ("canoe canoe", "canoe", 2 * 1 / (2 + 1)),  # a word counts as often as both have it
        ("drum", "red canoe", 0.0),
        ("", "red canoe", 0.0),
    ],
)
def test_f1_counts_shared_words(said: str, gold: str, f1: float) -> None:
    assert token_f1(said, gold) == pytest.approx(f1)


async def test_answers_are_compared_with_gold(dialogues: Path, make_task: MakeTask) -> None:
    async with LoopbackServer(reading) as server:
        task = make_task(dialogues, "history", server.url)
        [told] = await asyncio.to_thread(Qa().measure, task)
        [untold] = await asyncio.to_thread(Qa().measure, make_task(dialogues, "nothing", server.url))

    assert told.per_query["f1 | single-hop"].tolist()[0] == 1.0
    assert told.per_query["exact_match"].tolist() == [1.0, 0.0]
    assert untold.per_query["f1"].tolist() == [0.0, 0.0]
    assert np.isnan(told.per_query["f1 | temporal"][0])


async def test_a_portrait_of_both_stands_before_the_question(dialogues: Path, make_task: MakeTask) -> None:
    async with LoopbackServer("x") as server:
        await asyncio.to_thread(Qa().measure, make_task(dialogues, "profile", server.url))

        contents = [request["messages"][-1]["content"] for request in server.requests]

    assert len(contents) == 2
    assert all("\nAnn: " in content and "\nBob: " in content for content in contents)


def test_a_sample_keeps_questions_of_a_dialogue_together(dialogues: Path) -> None:
    [(dialogue, asked)] = sample_locomo(dialogues, count=1, seed=0)

    assert len(asked) == 1
    assert asked[0] in dialogue.questions


def test_the_card_warns_of_wrong_answers(dialogues: Path, make_task: MakeTask) -> None:
    card = locomo_card(dialogues)

    assert (card.users, card.events) == (2, 4)
    assert any("6 %" in note for note in card.notes)
    [data], probes = Qa().guard(make_task(dialogues, "nothing"))
    assert (data.card, list(probes)) == (card, [])


def test_what_is_no_dialogue_is_refused(tmp_path: Path, dialogues: Path) -> None:
    (dialogues / "locomo.json.gz").write_bytes(b"no gzip")
    with pytest.raises(UnknownFormatError, match="cannot be read"):
        list(load_locomo(dialogues))

    import gzip

    (dialogues / "locomo.json.gz").write_bytes(gzip.compress(b'[{"sample_id": "c"}]'))
    with pytest.raises(BadRowError, match="conversation"):
        list(load_locomo(dialogues))
