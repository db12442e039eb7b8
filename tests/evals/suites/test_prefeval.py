"""PrefEval: files, forms, portraits of chats, and the probe for places."""

import asyncio
import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limner.errors import BadRowError, UnknownFormatError
from limner.evals.bench.loopback_server import Json, LoopbackServer
from limner.evals.questions.prefeval import Form, load_prefeval, prefeval_card, sample_prefeval
from limner.evals.suite import Task
from limner.evals.suites.prefeval import constant_letter, prefeval_questions
from limner.evals.suites.qa import Qa
from limner.evals.workspace import RunBudget
from limner.sections import BudgetSettings

MakeTask = Callable[..., Task]
LIKES = ("tea", "trains", "snow", "jazz", "moss", "kites", "soup", "clay")


def reading(request: Json) -> str:
    """Answer with the option whose thing is named before the question; with C where none is."""
    told, found, asked = str(request["messages"][-1]["content"]).partition("The person asks")
    assert found
    options = dict(re.findall(r"^([A-D])\. Try (\w+)\.$", asked, re.MULTILINE))
    return next((letter for letter, thing in options.items() if thing in told), "C")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("persona", ["Hello, I would like to find a pastime.", "By the way, tea is what I love most."]),
        ("choice", ["What is there?", "The one with tea."]),
        ("explicit", ["I only care for tea."]),
    ],
)
def test_each_form_reads_what_the_person_said_in_order(advice: Path, form: Form, said: list[str]) -> None:
    first = next(load_prefeval(advice, form))

    assert [turn.text for turn in first.chatter().turns] == said
    moments = [turn.at for turn in first.chatter().turns]
    assert moments == sorted(set(moments))
    assert first.question.options[first.question.right] == "Try tea."
    assert first.question.group == "food"


def test_the_conversation_shows_both_sides_and_the_portrait_only_one(advice: Path) -> None:
    first = next(load_prefeval(advice, "persona"))

    assert "Assistant: Noted." in first.conversation()
    assert not any("Noted" in turn.text for turn in first.chatter().turns)


def test_a_larger_sample_begins_with_the_smaller_one(advice: Path) -> None:
    few = sample_prefeval(advice, "persona", count=3, seed=5)

    assert sample_prefeval(advice, "persona", count=None, seed=5)[:3] == few
    assert sample_prefeval(advice, "persona", count=3, seed=6) != few


def test_files_that_do_not_go_together_are_refused(advice: Path) -> None:
    path = advice / "implicit_choice.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:2] + lines[3:])))

    with pytest.raises(BadRowError, match=r"implicit_choice.jsonl.gz:3: `index`"):
        list(load_prefeval(advice, "choice"))


def test_a_missing_file_and_a_missing_field_are_named(advice: Path) -> None:
    path = advice / "explicit.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"topic": "food", "index": 0}\n'))
    with pytest.raises(BadRowError, match=r"explicit.jsonl.gz:1: `row`: lacks 'preference'"):
        next(load_prefeval(advice, "explicit"))

    path.unlink()
    with pytest.raises(UnknownFormatError, match="is missing"):
        next(load_prefeval(advice, "explicit"))


async def test_one_budget_holds_for_portraits_of_chats_and_questions(
    advice: Path, make_task: MakeTask
) -> None:
    async with LoopbackServer("B") as server:
        task = make_task(advice, "profile:writer=model", server.url)
        limited = replace(task.workspace, budget=RunBudget(BudgetSettings(calls=5)))
        [written] = await asyncio.to_thread(Qa().measure, replace(task, workspace=limited))
        [by_rule] = await asyncio.to_thread(Qa().measure, replace(task, system="profile", workspace=limited))

    assert server.count == 5
    assert (written.complete, by_rule.complete) == (False, False)
    assert any("portraits fell back to the extractive one" in note for note in written.notes)
    assert not any("no portrait" in note for note in by_rule.notes)  # rules need no budget


async def test_who_reads_the_context_is_right_and_who_is_told_nothing_guesses(
    advice: Path, make_task: MakeTask
) -> None:
    found: dict[str, float] = {}
    async with LoopbackServer(reading) as server:
        for condition in ("nothing", "history", "profile"):
            [measured] = await asyncio.to_thread(Qa().measure, make_task(advice, condition, server.url))
            found[condition] = float(measured.per_query["accuracy"].mean())
            assert measured.dataset == "prefeval-persona"

    assert found["nothing"] == 0.25
    assert found["history"] == 1.0
    assert found["profile"] > 0.25  # what the extractive portrait keeps of eight people


async def test_topics_are_columns_of_their_own(advice: Path, make_task: MakeTask) -> None:
    async with LoopbackServer(reading) as server:
        [measured] = await asyncio.to_thread(
            Qa().measure, make_task(advice, "history", server.url, options={"form": "choice"})
        )

    assert np.nanmean(measured.per_query["accuracy | food"]) == 1.0
    assert np.count_nonzero(~np.isnan(measured.per_query["accuracy | travel"])) == 4
    assert len(measured.users) == 8


def test_the_probe_for_places_fails_on_the_files_order_and_passes_on_ours(advice: Path) -> None:
    sample = sample_prefeval(advice, "persona", count=None, seed=0)

    as_in_the_files = constant_letter([preference.question for preference in sample], "prefeval")
    ours = constant_letter(prefeval_questions(sample, seed=0), "prefeval")

    assert (as_in_the_files.passed, as_in_the_files.value) == (False, 1.0)
    assert (ours.passed, ours.value) == (True, 0.25)


def test_the_card_says_that_a_model_wrote_it_and_how_long_right_answers_are(advice: Path) -> None:
    card = prefeval_card(advice, "persona")

    assert card.text_by_model
    assert (card.users, card.events) == (8, 16)
    # Longest of the four: "trains" alone, and "kites" shares no length with its three (tea, trains, snow).
    assert any("longest in" in note for note in card.notes)


def test_the_guard_carries_card_and_probe(advice: Path, make_task: MakeTask) -> None:
    [data], [probe] = Qa().guard(make_task(advice, "nothing"))

    assert data.card.name == "prefeval-persona"
    assert "mcq.jsonl.gz" in data.files
    assert probe.passed
