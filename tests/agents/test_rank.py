"""Ranking by pairs: a scorer for everybody, model calls only where they can change the top."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.agents.drawing import Drawing
from limner.agents.extract_cues import shelf_of
from limner.agents.ranking.rank_estimate import RankEstimate, estimate_rank
from limner.agents.ranking.ranking import question_of, rank_deps, rank_stream
from limner.errors import (
    BudgetExceededError,
    EmptyHistoryError,
    InputError,
    NoTextError,
    UnknownItemError,
    UnknownUserError,
    WrongScorerError,
)
from limner.models import Cue, Rollout
from limner.pairings import Ranking, RankMode
from limner.records import Interaction, Item
from limner.sections import BudgetSettings
from limner.tools.belief import Gauge
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.cross_scorer import CrossScorer, untaught_scorer
from limner.tools.embedder import HashingEmbedder
from limner.tools.pair_features import FEATURES
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]

CANDIDATES = [
    *(f"sailing-{number}" for number in range(6)),
    *(f"baking-{number}" for number in range(6)),
    *(f"plain-{number}" for number in range(4)),
]


def batches(**changes: str) -> Script:
    """A model that writes about whatever each item is, or about what `changes` says of it."""

    def answer(request: ChatRequest) -> Scripted:
        if request.purpose == "judge_pair":
            return str(1 + len(request.messages[-1].content) % 5)
        if request.purpose == "extract_cues":
            return {"cues": []}
        schema = request.json_schema
        assert schema is not None
        return _filled(schema["properties"], "roses", changes)

    return answer


def _filled(properties: Mapping[str, Any], about: str, changes: Mapping[str, str]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for name, part in properties.items():
        if part["type"] == "object":
            written[name] = _filled(part["properties"], changes.get(name, name), changes)
        else:
            written[name] = f"Enjoys gardening with {about}."
    return written


def constant() -> CrossScorer:
    """A scorer that tells nobody apart."""
    prior = untaught_scorer()
    return CrossScorer(
        kind="linear", arrays={**prior.arrays, "weights": np.zeros(len(FEATURES) + 1)}, noise=0.0
    )


def steep(noise: float = 0.01) -> CrossScorer:
    """A scorer that looks at popularity alone and is nearly sure: 0.1 for each step of `log(1 + n)`."""
    weights = np.zeros(len(FEATURES) + 1)
    weights[FEATURES.index("item_events")] = 0.5
    return CrossScorer(kind="linear", arrays={**untaught_scorer().arrays, "weights": weights}, noise=noise**2)


async def rankings(
    drawing: Drawing,
    items: Sequence[str] = CANDIDATES,
    *,
    as_of: datetime,
    user: str = "ada",
    top: int | None = 3,
    mode: RankMode = "factored",
    budget: Budget | None = None,
    scorer: CrossScorer | None = None,
) -> list[Ranking]:
    question = question_of(user, items, as_of=as_of, top=top, mode=mode)
    rank = rank_deps(drawing, scorer or untaught_scorer(), user, budget or Budget())
    async with aclosing(rank_stream(rank, question)) as stream:
        return [ranking async for ranking in stream]


async def estimate(
    drawing: Drawing, as_of: datetime, mode: RankMode = "factored", budget: Budget | None = None
) -> RankEstimate:
    question = question_of("ada", CANDIDATES, as_of=as_of, top=3, mode=mode)
    return await estimate_rank(rank_deps(drawing, untaught_scorer(), "ada", budget or Budget()), question)


async def log_of(drawing: Drawing) -> list[Rollout]:
    return [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]


def calls(limit: int) -> Budget:
    return Budget(BudgetSettings(calls=limit))


async def test_the_first_ranking_comes_without_a_call_and_the_last_is_final(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat)

    found = await rankings(drawing, as_of=later)

    assert found[0].calls == 0 and {item.source for item in found[0].items} == {"scorer"}
    assert [ranking.final for ranking in found] == [False] * (len(found) - 1) + [True]
    assert len(found) > 2
    assert found[-1].calls == len(chat.requests) == found[-1].usage.calls > 0
    for ranking in found:
        assert sorted(item.item_id for item in ranking.items) == sorted(CANDIDATES)


async def test_a_batch_writes_the_user_once_and_a_pair_an_item(open_drawing: Open, later: datetime) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, pairing={"per_call": 4})

    [*_, last] = await rankings(drawing, CANDIDATES[:4], as_of=later)

    [request] = chat.requests
    assert request.purpose == "draft_pairs" and request.json_schema is not None
    assert list(request.json_schema["properties"]) == [
        *("user_cue", "user_instruction", "user_profile"),
        *("item_1", "item_2", "item_3", "item_4"),
    ]
    pairs = [item.pair for item in last.items if item.pair]
    assert len(pairs) == 4
    for pair in pairs:
        assert await drawing.deps.store.pair("ada", pair.item_id) == pair
    written = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    assert {rollout.item_id for rollout in written} == set(CANDIDATES[:4])
    assert {rollout.prompt_id for rollout in written} == {"draft_pairs"}
    assert sum(rollout.usage.calls for rollout in written) == 1
    assert sum(rollout.usage.tokens for rollout in written) == last.usage.tokens


async def test_pairs_that_cannot_enter_the_top_cost_no_call(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    # Everybody buys one lamp, nobody the others: by popularity alone it is alone at the top.
    fans = [
        Interaction(user_id=user, item_id="plain-0", kind="purchase", at=later - timedelta(days=1))
        for user in ("bo", "cleo", "dan", "eve", "fay")
    ]
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, events=[*events, *fans])

    [*_, last] = await rankings(drawing, as_of=later, top=1, scorer=steep())

    assert chat.requests == []
    assert last.items[0].item_id == "plain-0" and last.items[0].rank == 1.0


async def test_only_rivals_of_the_top_are_paired(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    fans = [
        Interaction(user_id=user, item_id=lamp, kind="purchase", at=later - timedelta(days=1))
        for lamp in ("plain-0", "plain-1")
        for user in ("bo", "cleo", "dan", "eve", "fay")
    ]
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, events=[*events, *fans])

    [*_, last] = await rankings(drawing, as_of=later, top=1, scorer=steep())

    assert {item.item_id for item in last.items if item.source == "pair"} == {"plain-0", "plain-1"}
    assert len(chat.requests) == 1


async def test_a_second_ranking_of_the_same_costs_no_call_and_says_the_same(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat)
    [*_, first] = await rankings(drawing, as_of=later)
    asked = len(chat.requests)

    [*_, second] = await rankings(drawing, as_of=later)

    assert len(chat.requests) == asked > 0
    assert (second.calls, second.usage.tokens) == (0, 0)
    assert second.items == first.items


async def test_a_full_pair_that_is_in_the_store_serves_a_batch(open_drawing: Open, later: datetime) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, drafting={"drafts": 1, "rounds": 0})
    full = await drawing.pair("ada", "plain-0", as_of=later, budget=Budget())
    asked = len(chat.requests)

    [*_, last] = await rankings(drawing, ["plain-0", "plain-1"], as_of=later)

    assert [item.pair for item in last.items if item.item_id == "plain-0"] == [full]
    assert [request.purpose for request in chat.requests[asked:]] == ["draft_pair"]  # plain-1, alone


@pytest.mark.parametrize("mode", ["factored", "joint"])
@pytest.mark.parametrize("limit", [2, 3, 5])
async def test_calls_never_exceed_the_budget(
    open_drawing: Open, later: datetime, mode: RankMode, limit: int
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(
        chat,
        pairing={"per_call": 2},
        drafting={"drafts": 1, "rounds": 0, "cue_batch": 99},
        reward={"rating": 0},
    )
    if mode == "joint":  # notes on the user are there, so that a pass fits into two calls
        await drawing.profile("ada", as_of=later, budget=Budget())
    before = len(chat.requests)

    [*_, last] = await rankings(drawing, as_of=later, top=8, budget=calls(limit), mode=mode)

    assert 0 < len(chat.requests) - before == last.calls <= limit
    assert any(note.startswith("the budget left") for note in last.notes)


@pytest.mark.parametrize(
    ("mode", "limits"),
    [
        ("factored", BudgetSettings(tokens=50)),
        ("joint", BudgetSettings(calls=2)),
        ("joint", BudgetSettings(tokens=50)),
    ],
)
async def test_a_budget_below_one_pass_is_refused_before_any_call(
    open_drawing: Open, later: datetime, mode: RankMode, limits: BudgetSettings
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat)

    with pytest.raises(BudgetExceededError):
        await rankings(drawing, as_of=later, mode=mode, budget=Budget(limits))

    assert chat.requests == []


@pytest.mark.parametrize(
    ("user", "asked", "error"),
    [
        ("nobody", ["plain-0"], UnknownUserError),
        ("ada", ["plain-0", "no-such"], UnknownItemError),
        ("ada", [], InputError),
        ("ada", ["plain-0", "mute"], NoTextError),
    ],
)
async def test_bad_input_is_refused_before_any_call(
    open_drawing: Open,
    user: str,
    asked: list[str],
    error: type[Exception],
    later: datetime,
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat)
    await drawing.deps.store.put_items([Item(item_id="mute")])

    with pytest.raises(error):
        await rankings(drawing, asked, as_of=later, user=user)

    assert chat.requests == []


async def test_a_user_without_a_past_is_refused(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(batches()))

    with pytest.raises(EmptyHistoryError):
        await rankings(drawing, as_of=events[0].at)


@pytest.mark.parametrize("top", [0, -1])
async def test_a_top_without_places_is_refused(open_drawing: Open, later: datetime, top: int) -> None:
    drawing = await open_drawing(ScriptedChat(batches()))

    with pytest.raises(InputError, match="`top` must be >= 1"):
        await rankings(drawing, as_of=later, top=top)


async def test_a_candidate_that_is_named_twice_counts_once(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(None)

    [*_, last] = await rankings(drawing, ["plain-0", "plain-1", "plain-0"], as_of=later)

    assert sorted(item.item_id for item in last.items) == ["plain-0", "plain-1"]


async def test_a_scorer_of_another_encoder_is_refused(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(ScriptedChat(batches()))
    prior = untaught_scorer()
    other = CrossScorer(kind="linear", arrays=prior.arrays, noise=1.0, encoder="mpnet", taught={"users": 9})

    with pytest.raises(WrongScorerError):
        await rankings(drawing, as_of=later, scorer=other)


async def test_ties_are_shared_and_not_won_by_order(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(None)

    # Every candidate ties, so each has the middle of 16 places: (1 + 16) / 2.
    firsts: list[int] = []
    for user in ("ada", "bo", "cleo", "dan", "eve", "fay"):
        [*_, last] = await rankings(drawing, as_of=later, user=user, scorer=constant())
        assert {item.rank for item in last.items} == {8.5}
        firsts.append(CANDIDATES.index(last.items[0].item_id))
    assert len(set(firsts)) > 1


async def test_the_order_of_the_question_changes_nothing(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(None)

    [*_, one] = await rankings(drawing, CANDIDATES, as_of=later, scorer=constant())
    [*_, two] = await rankings(drawing, CANDIDATES[::-1], as_of=later, scorer=constant())

    assert one.items == two.items


async def test_the_same_seed_gives_the_same_ranking(
    open_drawing: Open, later: datetime, tmp_path: Path
) -> None:
    found: list[list[tuple[object, ...]]] = []
    for name in ("one", "two"):
        drawing = await open_drawing(ScriptedChat(batches()), folder=tmp_path / name)
        [*_, last] = await rankings(drawing, as_of=later)
        found.append([(item.item_id, item.score, item.low, item.high, item.source) for item in last.items])

    assert found[0] == found[1]


async def test_an_item_that_the_batch_leaves_out_is_asked_for_alone(
    open_drawing: Open, later: datetime
) -> None:
    def forgetful(request: ChatRequest) -> Scripted:
        answer = batches()(request)
        assert isinstance(answer, Mapping)
        return {name: part for name, part in answer.items() if name != "item_2"}

    chat = ScriptedChat(forgetful)
    drawing = await open_drawing(chat)

    [*_, last] = await rankings(drawing, ["plain-0", "plain-1", "plain-2"], as_of=later)

    assert [request.purpose for request in chat.requests] == ["draft_pairs", "draft_pair"]
    assert [item.source for item in last.items] == ["pair"] * 3
    rounds = sorted(
        (r.round, r.prompt_id, r.rewards["total"] > -1.0) for r in await log_of(drawing) if r.round >= 0
    )
    # Three parts of the batch, of which one is malformed, and the pass that was written instead.
    assert [(number, prompt) for number, prompt, _ in rounds] == [(0, "draft_pairs")] * 3 + [
        (1, "draft_pair")
    ]
    assert [good for _, _, good in rounds].count(False) == 1


async def test_a_model_that_does_not_answer_leaves_the_scorers_ranking(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat(lambda request: "no idea")
    drawing = await open_drawing(chat, pairing={"per_call": 2})

    [first, *_, last] = await rankings(drawing, ["plain-0", "plain-1", "plain-2"], as_of=later)

    assert sorted(item.item_id for item in last.items) == sorted(item.item_id for item in first.items)
    assert last.final


async def test_nothing_at_or_after_the_moment_reaches_a_prompt_or_a_score(
    open_drawing: Open,
    events: list[Interaction],
    embedder: HashingEmbedder,
    later: datetime,
    tmp_path: Path,
) -> None:
    moment = later - timedelta(days=50)
    canary = [
        Interaction(
            user_id=user,
            item_id=item,
            kind="review",
            at=moment + timedelta(days=day),
            rating=5.0,
            text="The canaryword thrills me.",
        )
        for day, (user, item) in enumerate(
            [("ada", "plain-1"), ("bo", "plain-0"), ("cleo", "plain-0"), ("ada", "sailing-0")]
        )
    ]
    found: list[Ranking] = []
    for name, known in (("past", events), ("future", [*events, *canary])):
        chat = ScriptedChat(batches())
        drawing = await open_drawing(chat, events=known, folder=tmp_path / name)
        if name == "future":  # somebody has noted what is still to come, too
            shelf, written = shelf_of(drawing.deps, "user:ada"), canary[0].event_id
            note = Cue(cue_id="c", text="canaryword", polarity="like", facet="lamps", evidence=(written,))
            await drawing.deps.store.add_cues(shelf, [note], [written])
        [*_, last] = await rankings(drawing, as_of=moment)
        assert chat.requests
        assert not any("canaryword" in m.content for r in chat.requests for m in r.messages)
        found.append(last)

    assert not any("canaryword" in text for text in embedder.texts)
    assert found[0] == found[1]


async def test_what_the_user_thinks_of_a_candidate_reaches_neither_prompt_nor_score(
    open_drawing: Open, events: list[Interaction], later: datetime, tmp_path: Path
) -> None:
    def told(rating: float) -> list[Interaction]:
        own = Interaction(
            user_id="ada",
            item_id="plain-0",
            kind="review",
            at=later - timedelta(days=60),
            rating=rating,
            text="The canaryword of a lamp.",
        )
        return [own, *events]

    scores: list[float] = []
    for number, rating in enumerate((1.0, 5.0)):
        chat = ScriptedChat(batches())
        drawing = await open_drawing(chat, events=told(rating), folder=tmp_path / str(number))
        [*_, last] = await rankings(drawing, ["plain-0"], as_of=later)
        scores.append(last.items[0].score)
        assert not any("canaryword" in m.content for r in chat.requests for m in r.messages)
    # The tenant's mean knows of the rating, and nothing else does.
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


async def test_without_a_model_the_scorer_ranks(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(None)

    [*_, last] = await rankings(drawing, as_of=later)

    assert {item.source for item in last.items} == {"scorer"}
    assert last.notes == ("ranked without a language model",)


async def test_joint_mode_pairs_every_candidate_alone_and_ranks_by_fit(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, drafting={"drafts": 1, "rounds": 0})

    [*_, last] = await rankings(drawing, CANDIDATES[:6], as_of=later, mode="joint")

    assert {request.purpose for request in chat.requests} <= {"extract_cues", "draft_pair", "judge_pair"}
    fits = [item.pair.fit for item in last.items if item.pair]
    assert len(fits) == 6 and fits == sorted(fits, reverse=True)
    assert [item.score for item in last.items] == pytest.approx(fits)


async def test_an_estimate_costs_nothing_and_bounds_what_is_then_spent(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat)

    said = await estimate(drawing, later)
    assert chat.requests == []
    [*_, last] = await rankings(drawing, as_of=later)

    assert said.candidates == len(CANDIDATES)
    assert said.calls[0] <= last.calls <= said.calls[1]
    assert said.calls[1] == 4  # sixteen candidates, four a call
    again = await estimate(drawing, later)
    assert again.up_to_date > 0


async def test_an_estimate_stays_within_the_budget(open_drawing: Open, later: datetime) -> None:
    drawing = await open_drawing(ScriptedChat(batches()))

    assert (await estimate(drawing, later, budget=calls(2))).calls[1] == 2
    assert (await estimate(drawing, later, "joint", budget=calls(9))).calls == (9, 9)


async def test_a_pass_moves_its_item_and_a_sure_scorer_is_moved_less(
    open_drawing: Open, later: datetime, tmp_path: Path
) -> None:
    def spread(ranking: Ranking, start: Ranking) -> float:
        before = {item.item_id: item.score for item in start.items}
        return max(abs(item.score - before[item.item_id]) for item in ranking.items)

    moved: list[float] = []
    for name, noise in (("wide", 0.25), ("sure", 0.05)):
        trusting = CrossScorer(
            kind="linear",
            arrays=untaught_scorer().arrays,
            noise=noise**2,
            gauges={"judged": Gauge(0, 1, 0, 0.1, 0.1), "unjudged": Gauge(0, 0.5, 0, 0.05, 0.1)},
        )
        drawing = await open_drawing(ScriptedChat(batches(item_1="orchids")), folder=tmp_path / name)
        [first, *_, last] = await rankings(drawing, CANDIDATES[:4], as_of=later, scorer=trusting)
        moved.append(spread(last, first))
    assert moved[0] > moved[1] > 0


async def test_pairs_of_a_batch_are_judged_on_request_and_their_price_is_told(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, pairing={"judge_ranked": True})

    [*_, last] = await rankings(drawing, CANDIDATES[:4], as_of=later)

    # One batch, and a verdict on each of its pairs that differ in their words.
    assert chat.requests[0].purpose == "draft_pairs"
    assert {request.purpose for request in chat.requests[1:]} == {"judge_pair"}
    assert last.calls == last.usage.calls == len(chat.requests) > 1
    assert all(item.pair and item.pair.judged for item in last.items)


async def test_what_is_in_the_store_takes_no_place_in_a_batch(open_drawing: Open, later: datetime) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, pairing={"per_call": 3})
    await rankings(drawing, CANDIDATES[:3], as_of=later)

    await rankings(drawing, CANDIDATES[:6], as_of=later, top=6)

    assert len(chat.requests) == 2  # three known, three in one call


@pytest.mark.parametrize(("limit", "judged"), [(3, 1), (5, 3), (6, 4), (8, 5)])
async def test_a_budget_writes_no_pair_of_a_batch_that_it_cannot_judge(
    open_drawing: Open, later: datetime, limit: int, judged: int
) -> None:
    # A batch of up to four is a call, each verdict is one, and one is set aside for blank profiles.
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, pairing={"judge_ranked": True})

    [*_, last] = await rankings(drawing, as_of=later, budget=calls(limit))

    pairs = [item.pair for item in last.items if item.pair]
    assert len(pairs) == judged and all(pair.judged for pair in pairs)
    assert len(chat.requests) <= limit
    assert any(note.startswith("the budget left") for note in last.notes)


async def test_a_budget_below_one_judged_pass_is_refused_before_any_call(
    open_drawing: Open, later: datetime
) -> None:
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, pairing={"judge_ranked": True})

    with pytest.raises(BudgetExceededError):
        await rankings(drawing, as_of=later, budget=calls(2))

    assert chat.requests == []


async def test_an_estimate_counts_both_sides_that_do_not_see_each_other(
    open_drawing: Open, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(batches()), pairing={"paired": False})

    said = await estimate(drawing, later)

    assert said.calls[1] == 2 * len(CANDIDATES)  # two prompts a pair, of which none is batched


async def test_an_estimate_of_joint_passes_leaves_out_what_costs_nothing(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    # Whoever had one thing alone cannot be described for that thing; the first of the others is written already.
    only = Interaction(user_id="gil", item_id="plain-0", kind="purchase", at=later - timedelta(days=1))
    chat = ScriptedChat(batches())
    drawing = await open_drawing(chat, events=[*events, only], drafting={"drafts": 1, "rounds": 0})
    question = question_of("gil", ["plain-0", "plain-1", "plain-2"], as_of=later, top=3, mode="joint")
    rank = rank_deps(drawing, constant(), "gil", Budget())
    before = await estimate_rank(rank, question)
    for item_id in ("plain-1", "plain-2"):
        await drawing.pair("gil", item_id, as_of=later, budget=Budget())
        left = await estimate_rank(rank, question)

        assert (left.calls[0] < before.calls[0], left.calls[0] > 0) == (True, left.prompt_tokens > 0)
    assert left.calls == (0, 0)
