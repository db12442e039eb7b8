"""The conditions `limner@N` of the suite `qa`: the product's own contexts, within a number of tokens."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.bench.loopback_server import Json, LoopbackServer
from limner.evals.questions.locomo import load_locomo
from limner.evals.questions.prefeval import sample_prefeval
from limner.evals.results import Measured
from limner.evals.suite import Task
from limner.evals.suites.qa import Qa
from limner.tools.tokens import open_counter

MakeTask = Callable[..., Task]

TOLD = "What is known of the person:\n"


def reading(request: Json) -> str:
    """Answer with the option whose thing is named before the question; with C where none is."""
    told, found, asked = str(request["messages"][-1]["content"]).partition("The person asks")
    assert found
    options = dict(re.findall(r"^([A-D])\. Try (\w+)\.$", asked, re.MULTILINE))
    return next((letter for letter, thing in options.items() if thing in told), "C")


async def measure(task: Task) -> Measured:
    """Run the suite beside the loop that the server lives in."""
    [measured] = await asyncio.to_thread(Qa().measure, task)
    return measured


def told_in(request: Json) -> str:
    """Return what stands before a question."""
    text = str(request["messages"][-1]["content"])
    return text.partition(TOLD)[2].partition("\n\nThe person asks")[0]


async def test_the_products_context_is_told_and_what_it_took_is_counted(
    advice: Path, make_task: MakeTask
) -> None:
    async with LoopbackServer(reading) as server:
        measured = await measure(make_task(advice, "limner@200", server.url))
        told = [told_in(request) for request in server.requests]

    assert measured.system == "limner@200"
    assert measured.per_query["accuracy"].mean() == 1.0  # eight stated likings, each told back
    assert all("<user_profile>" in text or "<user_recent>" in text for text in told)
    assert not any("Noted." in text for text in told)  # the assistant's words are nobody's liking
    assert sorted(measured.per_query["context tokens"].tolist()) != [0.0] * 8
    [probe] = measured.probes
    assert (probe.name, probe.passed, probe.value) == ("context budget", True, 0.0)
    assert measured.cost.usage.calls == 8  # the extractive writer asks nobody


async def test_a_smaller_budget_tells_less_and_never_more_than_it_says(
    advice: Path, make_task: MakeTask
) -> None:
    lengths: list[float] = []
    async with LoopbackServer("A") as server:
        for tokens in (40, 400):
            measured = await measure(make_task(advice, f"limner@{tokens}", server.url, users=3))
            lengths.append(float(measured.per_query["context tokens"].max()))
            assert measured.probes[0].passed
            assert lengths[-1] <= tokens

    assert lengths[0] < lengths[1]


async def test_a_second_run_pays_for_nothing_and_a_larger_one_for_what_is_new(
    advice: Path, make_task: MakeTask
) -> None:
    async with LoopbackServer("B") as server:
        task = make_task(advice, "limner@100", server.url, users=3)
        first, second = await measure(task), await measure(task)
        more = await measure(make_task(advice, "limner@100", server.url, users=5))

    assert (second.cost.usage.calls, more.cost.usage.calls) == (0, 2)
    assert second.per_query["context tokens"].tolist() == first.per_query["context tokens"].tolist()
    assert list(more.users[:3]) == list(first.users)


async def test_a_purchase_history_is_told_as_of_its_question(shop: Path, make_task: MakeTask) -> None:
    async with LoopbackServer("B") as server:
        measured = await measure(make_task(shop, "limner@200", server.url))
        prompts = [str(request["messages"][-1]["content"]) for request in server.requests]

    assert len(prompts) == 16  # a choice and a rating each
    assert all(TOLD in text for text in prompts)
    assert not any("step 5" in text for text in prompts)  # the words of every last event
    assert not any(re.search(r"B0\d|\bu\d\b", text) for text in prompts)
    assert {probe.name: probe.passed for probe in measured.probes} == {
        "target-in-prompt": True,
        "context budget": True,
    }


async def test_of_two_speakers_the_one_that_a_question_names_is_told_about(
    dialogues: Path, make_task: MakeTask
) -> None:
    async with LoopbackServer("x") as server:
        measured = await measure(make_task(dialogues, "limner@200", server.url))
        prompts = [str(request["messages"][-1]["content"]) for request in server.requests]

    [named] = [text for text in prompts if "What did Ann buy?" in text]
    [neither] = [text for text in prompts if "In which year?" in text]
    assert "\nAnn:\n" in named and "\nBob:\n" not in named
    assert "\nAnn:\n" in neither and "\nBob:\n" in neither
    assert measured.per_query["context tokens"].max() <= 200


async def test_the_whole_history_is_told_unless_the_window_ends(advice: Path, make_task: MakeTask) -> None:
    async with LoopbackServer("A") as server:
        whole = await measure(make_task(advice, "history", server.url))
        cut = await measure(make_task(advice, "history", server.url, options={"room": "12"}))
        told = [told_in(request) for request in server.requests]

    assert all(text.startswith("Person: Hello") for text in told[:8])
    assert not any("Hello" in text for text in told[8:])
    assert whole.notes == ("history: letters answered: A 100%",)
    assert cut.notes[0] == (
        "history: 8 of 8 histories were cut to the newest 12 tokens, where the model's window ends"
    )
    # Lengths of whole histories are the same, whatever was told of them.
    assert cut.per_query["history tokens"].tolist() == whole.per_query["history tokens"].tolist()
    assert whole.per_query["context tokens"].tolist() == whole.per_query["history tokens"].tolist()


def test_a_history_of_several_chats_mixes_in_other_topics_only(advice: Path) -> None:
    alone = {one.question.id: one for one in sample_prefeval(advice, "persona", count=None, seed=3)}
    mixed = sample_prefeval(advice, "persona", count=4, seed=3, chats=3)
    topic_of = {one.chats[0]: one.question.group for one in alone.values()}

    for one in mixed:
        own = alone[one.question.id].chats[0]
        assert own in one.chats
        assert len(one.chats) == len(set(one.chats)) == 3
        assert all(topic_of[chat] != one.question.group for chat in one.chats if chat != own)
        moments = [turn.at for turn in one.chatter().turns]
        assert moments == sorted(set(moments))
        assert len({turn.talk for turn in one.chatter().turns}) == 3
    assert len({one.chats.index(alone[one.question.id].chats[0]) for one in mixed}) > 1
    assert sample_prefeval(advice, "persona", count=4, seed=3, chats=3) == mixed


async def test_long_histories_have_a_name_and_a_column_of_their_own(
    advice: Path, make_task: MakeTask
) -> None:
    async with LoopbackServer("A") as server:
        measured = await measure(make_task(advice, "nothing", server.url, options={"chats": "4"}))

    assert measured.dataset == "prefeval-persona-4-chats"
    # Four chats of about 50 tokens each by the estimate: all eight histories are in the same column.
    [column] = [name for name in measured.per_query if name.startswith("accuracy | history")]
    assert np.count_nonzero(~np.isnan(measured.per_query[column])) == 8


@pytest.mark.parametrize("system", ["limner", "limner@", "limner@0", "limner@many", "limner@100:drawer=x"])
def test_a_budget_that_is_none_is_refused(advice: Path, make_task: MakeTask, system: str) -> None:
    with pytest.raises(SettingsError, match="limner"):
        Qa().measure(make_task(advice, system, "http://127.0.0.1:9/v1"))


def test_a_bill_counts_calls_and_tokens_without_asking(
    advice: Path, dialogues: Path, shop: Path, make_task: MakeTask
) -> None:
    nowhere = "http://127.0.0.1:9/v1"

    nothing, told = (
        Qa().bill(make_task(advice, system, nowhere, options={"rotations": "4"}))
        for system in ("nothing", "limner@200")
    )

    assert (nothing.calls, told.calls) == (32, 32)  # eight questions in four turns
    assert told.prompt_tokens - nothing.prompt_tokens == 32 * 200
    assert nothing.completion_tokens == 64
    assert Qa().bill(make_task(dialogues, "nothing", nowhere)).calls == 2
    assert Qa().bill(make_task(shop, "limner@100", nowhere)).calls == 16
    assert "somebody" in Qa().bill(make_task(advice, "limner@100:writer=somebody", nowhere)).left_out


def test_the_bill_of_a_history_counts_it_before_each_question(dialogues: Path, make_task: MakeTask) -> None:
    nowhere = "http://127.0.0.1:9/v1"
    [dialogue] = load_locomo(dialogues)

    nothing, history = (Qa().bill(make_task(dialogues, system, nowhere)) for system in ("nothing", "history"))

    # Two questions, each behind the whole dialogue; heading and blank lines are a few tokens more.
    whole = open_counter("openai/loopback", Path()).count(dialogue.conversation())
    assert 2 * whole < history.prompt_tokens - nothing.prompt_tokens < 2 * whole + 40
