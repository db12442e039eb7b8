"""The suite `cards`, from files to values: a server on loopback writes and judges."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.bench.loopback_server import LoopbackServer, Reply
from limner.evals.cards.judging import embedding_agreement
from limner.evals.encoding import Encoding
from limner.evals.suite import Task
from limner.evals.suites.cards import Cards

MakeTask = Callable[..., Task]

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")

PARTS = ("liked_by", "disliked_by", "reasoning", "feature")


def replying(prefers: str) -> Callable[[Mapping[str, Any]], str]:
    """Write parts in the words shown; prefer the description that is called A, or B, or says `prefers`."""

    def reply(body: Mapping[str, Any]) -> str:
        shown = body["messages"][-1]["content"]
        if "Which description fits" in shown:
            if prefers in ("A", "B"):
                return prefers
            first = shown.partition("A. ")[2].partition("B. ")[0]
            return "A" if prefers in first else "B"
        refs = re.findall(r"^(i\d+): (.*)$", shown, re.MULTILINE)
        if refs:
            return json.dumps({ref: dict.fromkeys(PARTS, f"Batch {text}.") for ref, text in refs})
        return json.dumps(dict.fromkeys(PARTS, f"Chain {shown.splitlines()[0]}."))

    return reply


async def measured(task_of: Callable[[str], Task], prefers: str) -> tuple[Any, Any]:
    async with LoopbackServer(replying(prefers)) as server:
        batched, chain = await asyncio.to_thread(Cards().measure, task_of(server.url))
    return batched, chain


async def test_both_forms_are_written_counted_and_compared(shop: Path, make_task: MakeTask) -> None:
    def task_of(url: str) -> Task:
        return make_task(shop, "batched", url, options={"items": "6"})

    batched, chain = await measured(task_of, "A")

    assert (batched.system, chain.system) == ("batched:per_call=8", "chain")
    assert batched.users == chain.users and len(batched.users) == 6
    # Six items: one call, or three each.
    assert (batched.whole["calls an item"], chain.whole["calls an item"]) == (pytest.approx(1 / 6), 3.0)
    assert batched.whole["calls against three an item"] == pytest.approx(1 / 18)
    assert batched.per_query["judge prefers"].tolist() == [0.5] * 6
    # One who always says A says nothing, of the two forms and of two items.
    assert batched.per_query["judge's probability"].tolist() == [0.5] * 6
    assert batched.per_query["judge tells items apart"].tolist() == [0.5] * 6
    assert set(batched.per_query) > set(chain.per_query) >= {"grounding", "words", "by model"}
    assert batched.complete and batched.cost.usage.calls == 1 and chain.cost.usage.calls == 18
    assert any("24 calls beside the cost" in note for note in batched.notes)


@pytest.mark.parametrize(("prefers", "points"), [("A", 0.5), ("B", 0.5), ("Batch", 1.0), ("Chain", 0.0)])
async def test_what_a_judge_thinks_of_a_place_is_averaged_away(
    shop: Path, make_task: MakeTask, prefers: str, points: float
) -> None:
    batched, _ = await measured(lambda url: make_task(shop, "batched", url, options={"items": "3"}), prefers)

    assert batched.per_query["judge prefers"].tolist() == [points] * 3


async def test_a_judge_who_reads_tells_an_items_card_from_anothers(shop: Path, make_task: MakeTask) -> None:
    def reply(body: Mapping[str, Any]) -> str:
        shown = body["messages"][-1]["content"]
        if "Which description fits" not in shown:
            return replying("A")(body)
        first = shown.partition("A. ")[2].partition("B. ")[0]
        return "A" if shown.splitlines()[0] in first else "B"

    async with LoopbackServer(reply) as server:
        task = make_task(shop, "batched", server.url, options={"items": "3"})
        batched, _ = await asyncio.to_thread(Cards().measure, task)

    assert batched.per_query["judge tells items apart"].tolist() == [1.0] * 3


async def test_no_judge_is_asked_where_none_is_wanted(shop: Path, make_task: MakeTask) -> None:
    batched, _ = await measured(
        lambda url: make_task(shop, "batched", url, options={"items": "3", "judge": "none"}), "A"
    )

    assert "judge prefers" not in batched.per_query
    assert np.isfinite(batched.per_query["cosine with the full form"]).all()


async def test_a_model_that_is_down_leaves_the_result_incomplete(shop: Path, make_task: MakeTask) -> None:
    async with LoopbackServer(Reply(text="down", status=400)) as server:
        task = make_task(shop, "batched", server.url, options={"items": "2"})
        batched, chain = await asyncio.to_thread(Cards().measure, task)

    assert not batched.complete and not chain.complete
    assert batched.per_query["by model"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("system", "url", "options", "match"),
    [
        ("chain", "http://localhost", {}, "no form to hold against `chain`; batched and extractive are"),
        ("batched", "", {}, "name a model"),
        ("batched", "http://localhost", {"item": "3"}, "items"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_runs(
    shop: Path, make_task: MakeTask, system: str, url: str, options: dict[str, str], match: str
) -> None:
    with pytest.raises(SettingsError, match=match):
        Cards().check(make_task(shop, system, url, options=options))


def test_the_other_forms_card_of_an_item_is_ranked_among_those_of_all_items(
    shop: Path, make_task: MakeTask
) -> None:
    from limner.cards import ItemCard

    encoding = Encoding("hashing", make_task(shop, "batched").workspace)

    def cards(*words: str) -> list[ItemCard]:
        moment = "2026-01-01T00:00:00Z"
        return [
            ItemCard.model_validate(
                {
                    "item_id": word,
                    "liked_by": word,
                    "disliked_by": "x",
                    "feature": word,
                    "as_of": moment,
                    "language": "en",
                    "source": "model",
                    "fingerprint": word,
                    "created_at": moment,
                }
            )
            for word in words
        ]

    cosine, rank = embedding_agreement(cards("roses", "comets"), cards("roses", "roses"), encoding)

    # Roses are as near to one card as to the other: half-way. Comets are equally far from both.
    assert rank.tolist() == [1.5, 1.5]
    assert cosine[0] == pytest.approx(1.0) and cosine[1] < 0.5
