"""The suite `junk`: stored cues against their evidence, by words and by a judge on loopback."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.errors import SettingsError
from limner.evals.bench.loopback_server import Json, LoopbackServer
from limner.evals.results import Measured
from limner.evals.suite import Task
from limner.evals.suites.junk import Junk

MakeTask = Callable[..., Task]
LIKES = ("tea", "trains", "snow", "jazz", "moss", "kites", "soup", "clay")


async def measure(task: Task) -> Measured:
    """Run the suite beside the loop that the server lives in."""
    [measured] = await asyncio.to_thread(Junk().measure, task)
    return measured


def careful(request: Json) -> str:
    """Say yes exactly if a thing that the note names stands in the entries too."""
    entries, _, asked = str(request["messages"][-1]["content"]).partition("Note: ")
    note, _, options = asked.partition("Do the entries show")
    shown = any(like in entries for like in LIKES if like in note)
    yes = str(re.findall(r"^([AB])\. Yes", options, re.MULTILINE)[0])
    return yes if shown else "BA"["AB".index(yes)]


async def test_what_people_said_themselves_is_supported_and_what_others_said_is_not(
    advice: Path, make_task: MakeTask
) -> None:
    measured = await measure(make_task(advice, "limner"))

    cues = len(measured.users)
    assert cues >= 8  # everybody states a liking
    assert measured.whole["unsupported"] == 0.0
    # Of none among n, Wilson's interval ends at z² / (n + z²), where z² = 1.96².
    assert measured.whole_ci["unsupported"] == pytest.approx((0.0, 3.8415 / (cues + 3.8415)), abs=1e-4)
    assert measured.whole["planted found"] > 0.5
    assert "unsupported by judge" not in measured.whole
    assert measured.cost.usage.calls == 0
    assert f"{cues} of {cues} cues of 8 people" in measured.notes[0]


async def test_a_judge_is_judged_by_planted_cues_and_by_those_that_stand_there_word_for_word(
    advice: Path, make_task: MakeTask
) -> None:
    options = {"judge": "model", "cues": "8", "planted": "5"}
    async with LoopbackServer(careful) as server:
        measured = await measure(make_task(advice, "limner", server.url, options=options))
        prompts = [str(request["messages"][-1]["content"]) for request in server.requests]

    assert len(measured.users) == 8
    assert sum("A. Yes" in text for text in prompts) == sum("B. Yes" in text for text in prompts) > 0
    assert all("Note: Likes: " in text or "Note: Said: " in text for text in prompts)
    assert measured.whole["planted found by judge"] == 1.0
    assert measured.whole["told apart by judge"] > 0.5
    assert not any("says nothing" in note for note in measured.notes)
    assert measured.whole["unsupported by judge"] == measured.whole["false alarms of judge"]
    # The judge doubts greetings, whose words stand in the evidence; the check takes planted cues for supported
    # where two people use the same turn of phrase. On all else the two agree.
    greetings, alike = 8 * measured.whole["unsupported by judge"], 5 * (1 - measured.whole["planted found"])
    assert measured.whole["agreement"] == pytest.approx((8 + 5 - greetings - alike) / (8 + 5))
    assert measured.complete


async def test_a_judge_that_always_says_yes_is_shown_up(advice: Path, make_task: MakeTask) -> None:
    def agreeable(request: Json) -> str:
        return str(re.findall(r"^([AB])\. Yes", str(request["messages"][-1]["content"]), re.MULTILINE)[0])

    options = {"judge": "model", "planted": "4"}
    async with LoopbackServer(agreeable) as server:
        measured = await measure(make_task(advice, "limner", server.url, users=4, options=options))

    assert measured.whole["unsupported by judge"] == 0.0
    assert measured.whole["planted found by judge"] == 0.0
    assert measured.whole["told apart by judge"] == 0.5  # the same of every cue
    assert "the judge found 0 of 4 planted cues: its share of unsupported ones says nothing" in measured.notes


async def test_a_judge_that_is_down_leaves_the_result_incomplete(advice: Path, make_task: MakeTask) -> None:
    from limner.evals.bench.loopback_server import Reply

    first = ["once"]

    def answer(request: Json) -> Reply | str:
        return Reply(text=first.pop(), status=400) if first else "A"

    options = {"judge": "model", "planted": "2"}
    async with LoopbackServer(answer) as server:
        measured = await measure(make_task(advice, "limner", server.url, users=3, options=options))

    assert not measured.complete


async def test_cues_of_dialogues_and_of_purchases_are_collected_too(
    dialogues: Path, shop: Path, make_task: MakeTask
) -> None:
    bought = await measure(make_task(shop, "limner", users=4))
    talked = await measure(make_task(dialogues, "limner"))

    assert (bought.dataset, talked.dataset) == ("shop", "locomo")
    assert set(bought.users) <= {f"u{ix}" for ix in range(8)} and len(bought.users) > 0
    assert bought.whole["unsupported"] == 0.0  # phrases of the items that were bought
    assert len(talked.users) == 0 or talked.whole["unsupported"] == 0.0


@pytest.mark.parametrize(
    ("system", "options", "match"),
    [
        ("gossip", {}, "gossip"),
        ("limner:drawer=x", {}, "drawer"),
        ("limner", {"cue": "3"}, "did you mean `cues`"),
        ("limner", {"cues": "0"}, "cues"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_runs(
    advice: Path, make_task: MakeTask, system: str, options: dict[str, str], match: str
) -> None:
    with pytest.raises(SettingsError, match=match):
        Junk().check(make_task(advice, system, options=options))


def test_a_bill_counts_the_judges_questions(advice: Path, make_task: MakeTask) -> None:
    judged = Junk().bill(
        make_task(advice, "limner", options={"judge": "some/model", "cues": "30", "planted": "20"})
    )

    assert judged.calls == 2 * (30 + 20)
    assert Junk().bill(make_task(advice, "limner")).calls == 0


def test_the_data_has_its_card(advice: Path, dialogues: Path, make_task: MakeTask) -> None:
    [chats], _ = Junk().guard(make_task(advice, "limner"))
    [talks], _ = Junk().guard(make_task(dialogues, "limner"))

    assert (chats.card.name, talks.card.name) == ("prefeval-persona", "locomo")
