"""Pairs whose outcome is known: what is written, what is graded, and what nobody may know before."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import numpy as np
import pytest

from limner.agents.colophon import INCOMPLETE
from limner.agents.drawing import Drawing
from limner.agents.pairing.outcomes import line_up
from limner.agents.pairing.rehearsal import Scene, rehearse, scenes_of
from limner.models import Rollout
from limner.pairings import PairOutcome
from limner.records import Interaction, Item
from limner.sections import BudgetSettings, CriticSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.late_interaction import score_items
from limner.tools.reward import rank_reward, total_reward
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]


async def log_of(drawing: Drawing) -> list[Rollout]:
    return [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]


def at(events: list[Interaction], event_id: str) -> datetime:
    return next(event.at for event in events if event.event_id == event_id)


def newest(rating: float | None = 5.0) -> PairOutcome:
    """What ada did last: day 11, the second theme's item 5."""
    return PairOutcome(event_id="ada-11", item_id="astronomy-5", chosen=True, rating=rating)


async def test_scenes_are_the_newest_choices_with_negatives_that_the_user_never_had(
    open_drawing: Open, events: list[Interaction], later: datetime
) -> None:
    drawing = await open_drawing(None)

    scenes = await scenes_of(drawing.deps, "ada", as_of=later, per_user=2, negatives=3)

    assert [scene.outcome.event_id for scene in scenes] == ["ada-11"] * 4 + ["ada-10"] * 4
    assert [scene.outcome.chosen for scene in scenes] == [True, False, False, False] * 2
    assert [scene.as_of for scene in scenes] == [at(events, s.outcome.event_id) for s in scenes]
    had = {event.item_id for event in events if event.user_id == "ada"}
    for scene in scenes:
        assert (scene.item_id in had) == scene.outcome.chosen
        assert (scene.outcome.rating is None) != scene.outcome.chosen
    assert scenes == await scenes_of(drawing.deps, "ada", as_of=later, per_user=2, negatives=3)


async def test_a_choice_that_was_disliked_has_no_negatives_and_the_first_has_no_past(
    open_drawing: Open, later: datetime
) -> None:
    drawing = await open_drawing(None)

    scenes = await scenes_of(drawing.deps, "ada", as_of=later, per_user=99, negatives=2)

    by_event = {event: [s for s in scenes if s.outcome.event_id == event] for event in ("ada-03", "ada-04")}
    assert {event: len(found) for event, found in by_event.items()} == {"ada-03": 1, "ada-04": 1}
    assert not any(scene.outcome.event_id == "ada-00" for scene in scenes)
    assert len(scenes) == 2 + 9 * 3  # eleven choices with a past, of which nine were liked


async def test_an_item_that_was_had_before_and_one_nobody_knows_are_no_scenes(
    open_drawing: Open, later: datetime
) -> None:
    rows = [("a", "sailing-0", 1), ("b", "sailing-1", 2), ("c", "sailing-0", 3), ("d", "nowhere", 4)]
    events = [
        Interaction(
            event_id=name, user_id="zoe", item_id=item, kind="click", at=later - timedelta(days=9 - day)
        )
        for name, item, day in rows
    ]
    drawing = await open_drawing(None, events=events)

    scenes = await scenes_of(drawing.deps, "zoe", as_of=later, per_user=9, negatives=0)

    assert [scene.outcome.event_id for scene in scenes] == ["b"]


@pytest.mark.parametrize("item_id", ["astronomy-5", "sailing-3"])
async def test_the_outcome_reaches_no_prompt_and_no_choice_between_drafts(
    open_drawing: Open,
    paint: Script,
    events: list[Interaction],
    items: list[Item],
    later: datetime,
    item_id: str,
) -> None:
    moment = at(events, "ada-11")
    canary = Interaction(
        user_id="ada", item_id="canary", kind="review", at=moment, rating=1.0, text="Canary song"
    )
    told = [
        event.model_copy(update={"text": "The canaryreview of planets."})
        if event.event_id == "ada-11"
        else event
        for event in events
    ]
    rare = Item(item_id="canary", title="Canary cage", categories=("canaries",))
    asked: list[list[str]] = []
    drafts: list[list[tuple[object, ...]]] = []
    for name, rating in (("one", 5.0), ("two", 1.0)):
        chat = ScriptedChat(paint, name="same")
        drawing = await open_drawing(chat, events=[*told, canary], items=[*items, rare])
        outcome = newest(rating).model_copy(
            update={"event_id": f"ada-11-{name}"}
            | ({} if item_id == "astronomy-5" else {"chosen": False, "rating": None})
        )
        scene = Scene("ada", item_id, outcome, moment)
        done = await rehearse(drawing, scene, budget=Budget(), logged=())
        assert done.state == "logged"
        trace = json.dumps([[m.content for m in r.messages] + [str(r.json_schema)] for r in chat.requests])
        assert "canary" not in trace.casefold()
        if item_id != "astronomy-5":
            assert "planets" not in trace.casefold()
        found = [r for r in await log_of(drawing) if r.outcome and r.outcome.event_id == f"ada-11-{name}"]
        drafts.append([(r.round, r.draft_ix, r.completion, r.selected, r.critic_rank) for r in found])
        asked.append(sorted(r.messages[-1].content for r in chat.requests if r.purpose == "draft_pair"))
    assert drafts[0] == drafts[1] and drafts[0]
    assert asked[0] and asked[1] in ([], asked[0])  # the second time they come from the cache


async def test_drafts_are_graded_by_the_rating_and_by_the_place_of_the_chosen_item(
    open_drawing: Open, paint: Script, events: list[Interaction]
) -> None:
    critic = CriticSettings(negatives=12)
    drawing = await open_drawing(ScriptedChat(paint), critic=critic.model_dump(), drafting={"rounds": 0})
    moment = at(events, "ada-11")

    await rehearse(drawing, Scene("ada", "astronomy-5", newest(), moment), budget=Budget(), logged=())

    deps, weights = drawing.deps, drawing.deps.settings.reward
    against = (await line_up(deps, "ada", newest(), as_of=moment)).item_ids
    assert len(against) == 12 and "astronomy-5" not in against
    positive, negatives = await deps.catalogue.vectors(["astronomy-5"]), await deps.catalogue.vectors(against)
    logged = await log_of(drawing)
    assert len(logged) == 5
    for rollout in logged:
        # The judge says 4 of 1 to 5, ada gave 5: 1 - 1 / 4.
        assert rollout.rewards["rating"] == pytest.approx(0.75)
        liked = [facet.text for facet in rollout.facets if facet.polarity != "dislike"]
        facets = await deps.embedder.embed([*liked, " ".join(liked)])
        scores = [score_items(facets, side, temperature=critic.temperature) for side in (positive, negatives)]
        assert rollout.rewards["pair_rank"] == pytest.approx(rank_reward(scores[0], scores[1]))
        terms = {name: value for name, value in rollout.rewards.items() if name != "total"}
        assert rollout.rewards["total"] == pytest.approx(total_reward(terms, weights))


async def test_a_pass_for_another_item_has_a_place_and_no_rating(
    open_drawing: Open, paint: Script, events: list[Interaction]
) -> None:
    drawing = await open_drawing(ScriptedChat(paint))
    other = newest().model_copy(update={"chosen": False, "rating": None})

    await rehearse(
        drawing, Scene("ada", "sailing-3", other, at(events, "ada-11")), budget=Budget(), logged=()
    )

    rewards = [rollout.rewards for rollout in await log_of(drawing)]
    assert rewards and all(0.0 < found["pair_rank"] <= 1.0 and "rating" not in found for found in rewards)


async def test_where_nothing_was_rated_a_choice_counts_as_the_best_rating_and_others_as_the_worst(
    open_drawing: Open, paint: Script, events: list[Interaction]
) -> None:
    unrated = [event.model_copy(update={"rating": None}) for event in events]
    drawing = await open_drawing(ScriptedChat(paint), events=unrated)
    moment, chosen = at(events, "ada-11"), newest(None)
    other = chosen.model_copy(update={"chosen": False})

    await rehearse(drawing, Scene("ada", "astronomy-5", chosen, moment), budget=Budget(), logged=())
    await rehearse(drawing, Scene("ada", "sailing-3", other, moment), budget=Budget(), logged=())

    found = {(r.item_id, round(r.rewards["rating"], 6)) for r in await log_of(drawing)}
    assert found == {("astronomy-5", 0.75), ("sailing-3", 0.25)}  # the judge says 4 of 5, which is 0.75


async def test_a_disliked_choice_is_put_in_no_place(
    open_drawing: Open, paint: Script, events: list[Interaction]
) -> None:
    drawing = await open_drawing(ScriptedChat(paint))
    scene = Scene("ada", "astronomy-5", newest(1.0), at(events, "ada-11"))

    await rehearse(drawing, scene, budget=Budget(), logged=())

    rewards = [rollout.rewards for rollout in await log_of(drawing)]
    assert all("pair_rank" not in found and found["rating"] == pytest.approx(0.25) for found in rewards)


async def test_the_log_holds_six_spans_the_judgement_and_the_outcome(
    open_drawing: Open, paint: Script, events: list[Interaction]
) -> None:
    drawing = await open_drawing(ScriptedChat(paint))
    scene = Scene("ada", "astronomy-5", newest(), at(events, "ada-11"))

    await rehearse(drawing, scene, budget=Budget(), logged=())

    logged = await log_of(drawing)
    assert logged and {rollout.run_id for rollout in logged} == {logged[0].run_id}
    for rollout in logged:
        assert rollout.outcome == newest()
        assert rollout.judgement is not None and rollout.judgement.expected == 4.0
        assert rollout.sides is not None
        spans = [span for side in rollout.sides for span in (side.cue, side.instruction, side.profile)]
        assert len(spans) == 6 and all(spans)
        if rollout.round >= 0:
            assert list(json.loads(rollout.completion).values()) == spans
    assert len({rollout.group_key for rollout in logged if rollout.round == 0}) == 1


async def test_a_rehearsed_pair_is_not_served(
    open_drawing: Open, paint: Script, events: list[Interaction], later: datetime
) -> None:
    drawing = await open_drawing(ScriptedChat(paint))
    served = await drawing.pair("ada", "sailing-3", as_of=later, budget=Budget())
    other = newest().model_copy(update={"chosen": False, "rating": None})

    await rehearse(
        drawing, Scene("ada", "sailing-3", other, at(events, "ada-11")), budget=Budget(), logged=()
    )

    assert await drawing.deps.store.pair("ada", "sailing-3") == served
    assert {r.outcome is None for r in await log_of(drawing)} == {True, False}


async def test_a_pass_in_the_log_is_not_written_again_and_an_unfinished_one_is(
    open_drawing: Open, paint: Script, events: list[Interaction]
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat, drafting={"rounds": 0})
    scene = Scene("ada", "astronomy-5", newest(), at(events, "ada-11"))

    short = await rehearse(drawing, scene, budget=Budget(BudgetSettings(calls=6)), logged=())
    assert short.state == "unfinished"
    assert await log_of(drawing) == []
    whole = await rehearse(drawing, scene, budget=Budget(), logged=())
    logged = frozenset(rollout.run_id for rollout in await log_of(drawing))
    requests = len(chat.requests)
    again = await rehearse(drawing, scene, budget=Budget(), logged=logged)

    assert (whole.state, again.state) == ("logged", "there")
    assert len(logged) == 1 and len(chat.requests) == requests
    sent = [(request.purpose, request.seed, request.messages) for request in chat.requests]
    assert len(set(sent)) == len(sent)  # what was paid for is not paid again


async def test_a_malformed_pass_scores_the_floor(open_drawing: Open, events: list[Interaction]) -> None:
    def broken(request: ChatRequest) -> Scripted:
        return "4" if request.purpose == "judge_pair" else '{"user_cue": "roses"}'

    drawing = await open_drawing(ScriptedChat(broken), drafting={"rounds": 0})
    scene = Scene("ada", "astronomy-5", newest(), at(events, "ada-11"))

    await rehearse(drawing, scene, budget=Budget(), logged=())

    drafts = [rollout for rollout in await log_of(drawing) if rollout.round == 0]
    assert drafts and all(r.rewards == {"malformed": 1.0, "total": -1.0} for r in drafts)
    assert all(r.outcome == newest() and r.sides is None for r in drafts)


async def test_a_rehearsal_without_a_model_is_graded_by_place_alone(
    open_drawing: Open, events: list[Interaction]
) -> None:
    drawing = await open_drawing(None)

    done = await rehearse(
        drawing, Scene("ada", "astronomy-5", newest(), at(events, "ada-11")), budget=Budget(), logged=()
    )

    [floor] = await log_of(drawing)
    assert done.state == "logged" and INCOMPLETE not in floor.run_id
    assert "rating" not in floor.rewards and np.isfinite(floor.rewards["pair_rank"])
