"""The judge of a pair: what it reads, what is made of its answer, and what it costs."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from limner.agents.colophon import INCOMPLETE
from limner.agents.drawing import Drawing
from limner.errors import BudgetExceededError
from limner.records import Interaction, Usage
from limner.sections import BudgetSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]

USUAL = 52 / 12 + (5 - 52 / 12) * 2 / 7
"""Everybody gave ten fives and two ones; bo and cleo gave the item two fives, damped by 2 / (2 + 5)."""


def says(shares: Mapping[str, float]) -> ChatResult:
    """An answer with these probabilities for its first token."""
    return ChatResult(
        text=max(shares, key=lambda token: shares[token]),
        finish_reason="stop",
        model="scripted",
        usage=Usage(),
        first_token={token: math.log(share) for token, share in shares.items()},
    )


def judged_by(paint: Script, answers: Sequence[Scripted]) -> Script:
    """A model that writes pairs and gives these verdicts in turn."""
    left = iter(answers)

    def answer(request: ChatRequest) -> Scripted:
        return next(left) if request.purpose == "judge_pair" else paint(request)

    return answer


def asked(chat: ScriptedChat) -> list[ChatRequest]:
    return [request for request in chat.requests if request.purpose == "judge_pair"]


SURE = {"1": 0.05, " 2": 0.05, "3": 0.1, "4": 0.5, "5": 0.3}


async def test_the_judge_reads_the_two_profiles_and_nothing_else(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    [request] = asked(chat)
    content = request.messages[-1].content
    assert pair.user.profile in content and pair.item.profile in content
    spoken = content.replace(pair.user.profile, "").replace(pair.item.profile, "")
    assert pair.user.instruction not in spoken and "Complete" not in spoken and "liked" not in spoken


async def test_the_bare_word_of_the_judge_is_a_distribution_a_mean_and_an_interval(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(judged_by(paint, [says(SURE)]))
    drawing = await open_drawing(chat, pairing={"calibrated": False})

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    # 1 * .05 + 2 * .05 + 3 * .1 + 4 * .5 + 5 * .3 = 3.95; .05 and .10 are reached at 1 and 2, .70 and 1.0 at 4, 5.
    assert pair.judged
    assert pair.expected_rating == pytest.approx(3.95)
    assert pair.rating_interval == (2.0, 5.0)
    assert pair.fit == pytest.approx((3.95 - 1) / 4)
    logged = [r async for batch in drawing.deps.store.rollouts() for r in batch]
    told = [rollout.judgement for rollout in logged if rollout.judgement]
    assert told
    assert all(judged.shares == judged.bare == (0.05, 0.05, 0.1, 0.5, 0.3) for judged in told)
    assert len(asked(chat)) == 1


async def test_a_judge_that_says_the_same_of_blank_profiles_leaves_the_usual_rating(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(judged_by(paint, [says(SURE), says(SURE)]))
    drawing = await open_drawing(chat)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert pair.judged
    assert pair.expected_rating == pytest.approx(USUAL)
    blank = asked(chat)[1].messages[-1].content
    assert pair.user.profile not in blank and pair.item.profile not in blank


async def test_what_speaks_against_blank_profiles_moves_the_usual_rating(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    sour = {"1": 0.5, "2": 0.2, "3": 0.1, "4": 0.1, "5": 0.1}
    chat = ScriptedChat(judged_by(paint, [says(sour), says(SURE)]))
    drawing = await open_drawing(chat)
    worse = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())
    other = await open_drawing(
        ScriptedChat(judged_by(paint, [says(SURE), says(sour)]), name="second"), drafting={"seed": 1}
    )
    better = await other.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert worse.expected_rating is not None and better.expected_rating is not None
    assert worse.expected_rating < USUAL < better.expected_rating <= 5.0


async def test_the_blank_profiles_are_paid_for_once(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(judged_by(paint, [says(SURE)] * 3))
    drawing = await open_drawing(chat)

    await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())
    await drawing.pair("ada", "sailing-1", as_of=later, budget=Budget())

    assert len(asked(chat)) == 3


async def test_without_log_probabilities_the_said_rating_counts_and_there_is_no_interval(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(judged_by(paint, ["3"])))

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert (pair.judged, pair.expected_rating, pair.rating_interval, pair.fit) == (True, 3.0, None, 0.5)


async def test_a_judge_that_names_no_rating_leaves_the_mean_and_says_so(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(judged_by(paint, ["Hard to say."])))

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert not pair.judged and pair.rating_interval is None
    assert pair.expected_rating == pytest.approx(USUAL)
    assert pair.fit == pytest.approx((1 + pair.affinity) / 2)
    assert "judge_pair: the judge named no rating" in pair.notes


async def test_a_weight_of_zero_asks_no_judge(open_drawing: Open, paint: Script, later: datetime) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, reward={"rating": 0.0})

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert asked(chat) == [] and not pair.judged
    assert "judge_pair" not in pair.prompt_versions


async def test_where_nothing_was_rated_only_the_fit_is_told(
    open_drawing: Open, paint: Script, events: list[Interaction], later: datetime
) -> None:
    unrated = [event.model_copy(update={"rating": None}) for event in events]
    drawing = await open_drawing(ScriptedChat(judged_by(paint, ["5"])), events=unrated)

    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert (pair.judged, pair.fit) == (True, 1.0)
    assert pair.expected_rating is None and pair.rating_interval is None


async def test_a_budget_that_ends_before_the_verdict_leaves_a_pair_to_be_finished(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"drafts": 4, "rounds": 0})
    # Notes on nine own and two others' entries are 2 + 1 calls, one draft and a verdict on it and on blank profiles
    # make 6: a pass fits, but three of the four drafts come before the verdict.
    short = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget(BudgetSettings(calls=6)))
    whole = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())

    assert short.fingerprint == f"{INCOMPLETE}{whole.fingerprint}"
    assert not short.judged and whole.judged
    assert short.usage.calls <= 6


async def test_a_budget_without_room_for_the_verdict_on_blank_profiles_is_refused_before_any_call(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(judged_by(paint, [says(SURE), says(SURE)]))
    drawing = await open_drawing(chat, drafting={"drafts": 1, "rounds": 0})

    with pytest.raises(BudgetExceededError, match="calls"):
        await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget(BudgetSettings(calls=5)))
    assert chat.requests == []
    pair = await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget(BudgetSettings(calls=6)))

    assert pair.judged and len(chat.requests) == 6


async def test_a_talkative_judge_is_asked_about_blank_profiles_once(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    talks = replace(says(SURE), text="The person", finish_reason="length")
    chat = ScriptedChat(judged_by(paint, [talks] * 4))
    drawing = await open_drawing(chat, drafting={"drafts": 1, "rounds": 0})

    for item_id in ("sailing-0", "chess-0"):
        assert (await drawing.pair("ada", item_id, as_of=later, budget=Budget())).judged

    # Two pairs, and nobody beside.
    assert len(asked(chat)) == 3


async def test_blank_profiles_that_were_judged_need_no_room_in_a_budget(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(judged_by(paint, [says(SURE), says(SURE), says({"2": 1.0})]))
    drawing = await open_drawing(chat, drafting={"drafts": 1, "rounds": 0})
    await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())
    await vars(drawing)["_chat"].flush()  # answers become durable a moment after they are used

    # Notes on the item, a draft and its verdict.
    pair = await drawing.pair("ada", "chess-0", as_of=later, budget=Budget(BudgetSettings(calls=3)))

    assert pair.judged and pair.usage.calls == 3


async def test_the_judge_counts_towards_the_version_of_pairs_and_not_of_profiles(
    open_drawing: Open, later: datetime
) -> None:
    for_profiles, for_pairs = set[str](), set[str]()
    for weight in (0.0, 1.0):
        drawing = await open_drawing(None)
        settings = drawing.deps.settings
        reward = settings.reward.model_copy(update={"rating": weight})
        drawing.deps = replace(drawing.deps, settings=settings.model_copy(update={"reward": reward}))
        for_profiles.add((await drawing.profile("ada", as_of=later, budget=Budget())).fingerprint)
        for_pairs.add((await drawing.pair("ada", "sailing-0", as_of=later, budget=Budget())).fingerprint)

    assert (len(for_profiles), len(for_pairs)) == (1, 2)
