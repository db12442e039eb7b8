"""Portraits for queries: as of their moment, kept, resumed, and never fed with what comes later."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from limner import Item, Profile, Settings
from limner.errors import ModelUnavailableError
from limner.evals.dataset import Card, Events
from limner.evals.portraits.drawn import DrawnFile
from limner.evals.portraits.judging import Judged
from limner.evals.portraits.moments import interactions_of
from limner.evals.portraits.painters import LoopPainter, Painter, ZeroShotPainter
from limner.evals.portraits.portraits import Portraits
from limner.evals.portraits.studio import Wanted
from limner.evals.splits import Past, Queries
from limner.evals.workspace import RunBudget, Workspace
from limner.sections import BudgetSettings, DraftingSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.scripted import Scripted, ScriptedChat

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")

KINDS = ("maps", "boats", "tea")
CANARY = "canarybird"
DAY = 86_400_000_000

Users = Sequence[Sequence[tuple[int, int]]]
"""For each user, items and the days they were had."""

ITEMS = (
    *(
        Item(item_id=f"i{number}", title=f"Thing{number}", categories=(KINDS[number % 3],))
        for number in range(30)
    ),
    Item(item_id="i30", title=CANARY, categories=(CANARY,)),
)


def events_of(users: Users) -> Events:
    rows = [(user, item, day * DAY) for user, had in enumerate(users) for item, day in had]
    user, item, at = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Events(
        user=user,
        item=item,
        at=at,
        rating=np.full(len(rows), np.nan, dtype=np.float32),
        text=tuple(f"{ITEMS[number].title} by u{who}" for who, number, _ in rows),
    )


def past_of(users: Users) -> Past:
    card = Card(
        name="tiny",
        source="made up",
        terms="none",
        users=len(users),
        items=len(ITEMS),
        events=0,
        clock="timestamps",
        text_by_model=False,
    )
    return Past(
        card=card,
        items=ITEMS,
        user_ids=tuple(f"u{number}" for number in range(len(users))),
        events=events_of(users),
        as_of=None,
        seed=0,
    )


def queries_of(users: Sequence[int], histories: Users, as_of: Sequence[int]) -> Queries:
    made = events_of(histories)
    lengths = [len(had) for had in histories]
    return Queries(
        user=np.array(users, dtype=np.int64),
        as_of=np.array(as_of, dtype=np.int64) * DAY,
        history=replace(made, user=np.repeat(np.array(users, dtype=np.int64), lengths)),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


HAD: Users = [[(3 * step + user, 2 * step + 1) for step in range(8)] for user in range(3)]
"""User n has had things n, n + 3, … of one kind on days 1, 3, …, 15."""

PAST = past_of(HAD)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    settings = Settings(
        store=tmp_path / "unused",
        embedder="hashing",
        drafting=DraftingSettings(drafts=2, rounds=1, revisions=1, accept=2.0, style="free"),
    )
    return Workspace(folder=tmp_path / "work", seed=0, settings=settings, notice=lambda line: None)


def answer(request: ChatRequest) -> Scripted:
    """Write something that fits what is asked."""
    if request.purpose == "zero_shot_profile":
        return "Loves maps. Collects boats!"
    if request.purpose == "judge_profile":
        overall = 5 if "second" in request.messages[-1].content.rpartition("Description:")[2] else 2
        return {"coherence": 3, "accuracy": 3, "coverage": 3, "overall": overall}
    if request.purpose == "extract_cues":
        return {"cues": []}
    word = "second" if (request.seed or 0) % 2 else "first"
    fact = {
        "evidence": ["e1"],
        "theme": "maps",
        "sentence": f"Enjoys maps and things, as the {word} draft says.",
    }
    return {"likes": [fact, {**fact, "sentence": f"Comes back to maps often, says the {word}."}]}


def test_portraits_end_at_their_query_and_follow_it(workspace: Workspace) -> None:
    queries = queries_of([0, 1, 2], [HAD[0][:4], HAD[1], []], [8, 20, 20])
    portraits = Portraits(workspace)
    portraits.fit(PAST)

    first, second, third = portraits.draw(queries)

    assert first is not None and second is not None
    assert third is None  # no history, no portrait
    assert (first.user_id, first.as_of) == ("u0", datetime(1970, 1, 9, tzinfo=UTC))
    assert "maps" in first.text and "boats" in second.text
    assert [event.item_id for event in first.recent] == ["i9", "i6", "i3", "i0"]  # day 9 is too late
    assert first.source == second.source == "extractive"


@pytest.mark.parametrize(
    "painter",
    [LoopPainter("scripted"), ZeroShotPainter("scripted"), Judged("scripted")],
    ids=lambda one: one.kind,
)
def test_no_prompt_holds_what_happened_at_or_after_the_question(
    painter: Painter, workspace: Workspace
) -> None:
    """The canary lies in the past of everybody, at the question's moment and later: the store has it."""
    past = past_of([[*had, (30, 16), (30, 17)] for had in HAD])
    queries = queries_of([0, 1], [HAD[0], HAD[1]], [16, 16])
    chat = ScriptedChat(answer)
    portraits = Portraits(workspace, painter=painter, chat=chat)
    portraits.fit(past)

    drawn = portraits.draw(queries)
    seen = json.dumps([[message.content for message in request.messages] for request in chat.requests])

    assert None not in drawn and chat.requests
    assert "Thing15" in seen  # the history is there
    assert CANARY not in seen
    assert "u0" not in seen.replace("by u0", "") and '"i0"' not in seen  # ids are for storing

    later = [*HAD[0], (30, 16), (24, 18), (27, 19), (29, 20)]  # the critic holds back the last three
    portraits.draw(queries_of([0], [later], [21]))
    seen = json.dumps([[message.content for message in request.messages] for request in chat.requests])
    assert CANARY in seen  # by then it is history: the test can fail


def test_nothing_is_drawn_or_paid_for_twice(workspace: Workspace) -> None:
    queries = queries_of([0, 1], [HAD[0], HAD[1]], [16, 16])
    first, second = ScriptedChat(answer), ScriptedChat(answer)
    one = Portraits(workspace, writer="scripted", chat=first)
    one.fit(PAST)
    drawn = one.draw(queries.take(np.array([0])))
    paid = len(first.requests)

    two = Portraits(workspace, writer="scripted", chat=second)
    two.fit(PAST)
    again = two.draw(queries)

    assert again[0] == drawn[0]
    assert paid > 0 and all("by u0" not in request.messages[-1].content for request in second.requests)
    assert two.usage.calls == paid + len(second.requests)  # the bill is whole, whoever paid
    told = "1 of 2 portraits were drawn before; calls and seconds are those of then"
    assert (told in two.caveats, told in one.caveats) == (True, False)


def test_a_store_alone_is_enough_to_go_on(workspace: Workspace) -> None:
    queries = queries_of([0], [HAD[0]], [16])
    portraits = Portraits(workspace, writer="scripted", chat=ScriptedChat(answer))
    portraits.fit(PAST)
    drawn = portraits.draw(queries)
    for path in portraits.folder.glob("drawn-*.jsonl"):
        path.unlink()
    idle = ScriptedChat()

    again = Portraits(workspace, writer="scripted", chat=idle)
    again.fit(PAST)

    assert again.draw(queries) == drawn
    assert idle.requests == []


def test_stores_are_apart_by_past_writer_and_way(workspace: Workspace) -> None:
    other = past_of([*HAD[:2], HAD[2][:5]])
    quick = replace(
        workspace, settings=workspace.settings.model_copy(update={"drafting": DraftingSettings(drafts=1)})
    )
    made = [
        Portraits(workspace),
        Portraits(workspace, writer="openai/x"),
        Portraits(workspace, painter=ZeroShotPainter("openai/x")),
        Portraits(quick),
    ]
    for portraits in made:
        portraits.fit(PAST)
    folders = {portraits.folder for portraits in made}
    made[0].fit(other)

    assert len(folders | {made[0].folder}) == 5


def test_a_failing_model_leaves_extractive_portraits_and_is_asked_again(workspace: Workspace) -> None:
    queries = queries_of([0], [HAD[0]], [16])
    broken = ScriptedChat(lambda request: ModelUnavailableError("scripted", 1, "down"))
    for painter in (LoopPainter("scripted"), ZeroShotPainter("scripted"), Judged("scripted")):
        down = Portraits(workspace, painter=painter, chat=broken)
        down.fit(PAST)
        [stand_in] = down.draw(queries)
        works = ScriptedChat(answer)
        up = Portraits(workspace, painter=painter, chat=works)
        up.fit(PAST)
        [written] = up.draw(queries)

        assert stand_in is not None and stand_in.source == "extractive", painter.kind
        assert any("down" in note for note in stand_in.notes), painter.kind
        assert down.caveats == ("1 of 1 portraits are the extractive one, not the model's",), painter.kind
        assert (down.complete, up.complete) == (False, True), painter.kind
        assert works.requests, painter.kind
        assert written is not None and not any("down" in note for note in written.notes), painter.kind
        assert any("extractive" in told for told in up.caveats) == (written.source != "model"), painter.kind


def test_a_budget_holds_for_all_portraits_together(workspace: Workspace) -> None:
    tight = replace(workspace, budget=RunBudget(BudgetSettings(calls=3)))
    chat = ScriptedChat(answer)
    made = [Portraits(tight, painter=ZeroShotPainter(name), chat=chat) for name in ("one", "two")]
    drawn: list[Profile | None] = []
    for portraits, users in zip(made, ((0, 1), (2, 0)), strict=True):
        portraits.fit(PAST)
        drawn += [portraits.draw(queries_of([user], [HAD[user]], [16]))[0] for user in users]

    assert len(chat.requests) == 3
    assert [profile.source for profile in drawn if profile] == ["model"] * 3 + ["extractive"]
    assert [portraits.complete for portraits in made] == [True, False]


def test_a_verdict_that_the_budget_refused_decides_nothing(workspace: Workspace) -> None:
    judged, free = Judged("scripted", drafts=2), ScriptedChat(answer)
    needed = Portraits(replace(workspace, folder=workspace.folder / "free"), painter=judged, chat=free)
    needed.fit(PAST)
    needed.draw(queries_of([0], [HAD[0]], [16]))
    purposes = [request.purpose for request in free.requests]
    tight = replace(workspace, budget=RunBudget(BudgetSettings(calls=len(purposes) - 1)))
    portraits = Portraits(tight, painter=judged, chat=ScriptedChat(answer))
    portraits.fit(PAST)

    [profile] = portraits.draw(queries_of([0], [HAD[0]], [16]))

    assert purposes[-1] == "judge_profile" and not portraits.complete
    assert profile is not None and "judge_overall" not in profile.reward_terms


def test_kept_portraits_bring_calls_and_seconds_of_the_same_drawing(workspace: Workspace) -> None:
    class Slow(ScriptedChat):
        """Says that a call took two seconds."""

        async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
            """Answer at once."""
            result = await super().complete(request, budget)
            return replace(result, usage=result.usage.model_copy(update={"seconds": 2.0}))

    queries = queries_of([0, 1], [HAD[0], HAD[1]], [16, 16])
    made = [Portraits(workspace, painter=ZeroShotPainter("scripted"), chat=Slow(answer)) for _ in range(3)]
    for portraits in made[:2]:
        portraits.fit(PAST)
        portraits.draw(queries)
    [path] = made[0].folder.glob("drawn-*.jsonl")
    path.unlink()  # as if the code had changed: the store still has both
    made[2].fit(PAST)
    made[2].draw(queries)

    assert [portraits.usage.calls for portraits in made] == [2, 2, 2]
    assert [portraits.kept_seconds for portraits in made] == [0.0, 4.0, 4.0]
    assert made[0].caveats == ()
    kept = ("2 of 2 portraits were drawn before; calls and seconds are those of then",)
    assert made[1].caveats == made[2].caveats == kept


def test_what_was_paid_is_not_forgotten_with_the_past(workspace: Workspace) -> None:
    portraits = Portraits(workspace, painter=ZeroShotPainter("scripted"), chat=ScriptedChat(answer))
    for past in (PAST, past_of([*HAD[:2], HAD[2][:5]])):
        portraits.fit(past)
        portraits.draw(queries_of([0], [HAD[0]], [16]))

    assert portraits.usage.calls == 2


def test_texts_of_portraits_are_shown_without_drawing_anybody(workspace: Workspace) -> None:
    portraits = Portraits(workspace)
    portraits.fit(PAST)
    [drawn] = portraits.draw(queries_of([0], [HAD[0]], [16]))

    one, nothing = portraits.texts_seen(queries_of([0, 1], [HAD[0], HAD[1]], [16, 16]))

    assert drawn is not None and drawn.text in one and nothing == ""


def test_one_completion_becomes_a_portrait_of_its_sentences(workspace: Workspace) -> None:
    chat = ScriptedChat(answer)
    portraits = Portraits(workspace, painter=ZeroShotPainter("scripted"), chat=chat)
    portraits.fit(PAST)

    [profile] = portraits.draw(queries_of([0], [HAD[0]], [16]))

    assert profile is not None
    assert profile.text == "Loves maps. Collects boats!"
    assert profile.likes == ("Loves maps.", "Collects boats!")
    assert len(chat.requests) == profile.usage.calls == 1
    assert chat.requests[0].temperature == 0.0


def test_the_draft_that_the_judge_likes_best_is_the_portrait(workspace: Workspace) -> None:
    chat = ScriptedChat(answer)
    portraits = Portraits(workspace, painter=Judged("scripted", drafts=2), chat=chat)
    portraits.fit(PAST)

    [profile] = portraits.draw(queries_of([0], [HAD[0]], [16]))
    purposes = [request.purpose for request in chat.requests]

    assert profile is not None and "second" in profile.text and "first" not in profile.text
    assert profile.reward_terms == {
        "judge_coherence": 3.0,
        "judge_accuracy": 3.0,
        "judge_coverage": 3.0,
        "judge_overall": 5.0,
    }
    assert purposes.count("draft_profile") == purposes.count("judge_profile") == 2
    assert "revise_profile" not in purposes
    assert profile.usage.calls == len(purposes)


def test_others_are_drawn_at_any_moment(workspace: Workspace) -> None:
    portraits = Portraits(workspace)
    portraits.fit(PAST)
    early, late = (Wanted("u2", datetime(1970, 1, day, tzinfo=UTC)) for day in (1, 9))

    nobody, somebody = portraits.draw_users([early, late])

    assert nobody is None
    assert somebody is not None and "tea" in somebody.text


def test_a_store_has_one_owner_at_a_time(workspace: Workspace) -> None:
    told: list[str] = []
    waited = threading.Event()

    def notice(line: str) -> None:
        told.append(line)
        if "waiting for another process" in line:
            waited.set()

    portraits = Portraits(replace(workspace, notice=notice))
    portraits.fit(PAST)
    portraits.folder.mkdir(parents=True)
    with ThreadPoolExecutor(1) as thread:
        with FileLock(portraits.folder / "owner.lock"):
            drawing = thread.submit(portraits.draw, queries_of([0], [HAD[0]], [16]))
            assert waited.wait(timeout=20) and not drawing.done()
        [profile] = drawing.result(timeout=60)

    assert profile is not None


def test_a_line_that_a_killed_run_left_unfinished_costs_only_itself(workspace: Workspace) -> None:
    queries = queries_of([0, 1], [HAD[0], HAD[1]], [16, 16])
    portraits = Portraits(workspace)
    portraits.fit(PAST)
    drawn = portraits.draw(queries)
    [path] = portraits.folder.glob("drawn-*.jsonl")
    path.write_text(path.read_text(encoding="utf-8").rstrip()[:-9], encoding="utf-8")

    again = [Portraits(workspace) for _ in range(2)]
    for one in again:
        one.fit(PAST)

    assert again[0].draw(queries) == again[1].draw(queries) == drawn
    assert len(DrawnFile(portraits.folder).read()) == 2


def test_event_ids_say_nothing_of_items_or_order() -> None:
    ids: list[Any] = [event.event_id for event in interactions_of(PAST.events, PAST)]

    assert len(set(ids)) == len(PAST.events)
    assert sorted(ids[:8]) != ids[:8]
    assert ids == [event.event_id for event in interactions_of(PAST.events, PAST)]
    twice = replace(PAST, events=PAST.events.take(np.array([0, 0])))
    assert len({event.event_id for event in interactions_of(twice.events, twice)}) == 2


def test_drawing_before_fitting_is_told(workspace: Workspace) -> None:
    with pytest.raises(RuntimeError, match="after `fit`"):
        Portraits(workspace).draw(queries_of([0], [HAD[0]], [16]))
