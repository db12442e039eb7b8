"""Limner's own pairs as rankers: as of the question, kept, billed, within budgets, each in a store of its own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.errors import ModelUnavailableError, SettingsError
from limner.evals.dataset import Card, Events
from limner.evals.pairs.drawn import PairRanker
from limner.evals.pairs.options import Kind, read_plan
from limner.evals.pairs.stores import copy_store
from limner.evals.portraits.studio import FILLED
from limner.evals.splits import Past, Queries
from limner.evals.systems.raters import Bias, BiasOptions
from limner.evals.workspace import RunBudget, Workspace
from limner.records import Item
from limner.sections import BudgetSettings, ChatSettings, DraftingSettings
from limner.settings import Settings
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")

KINDS = ("maps", "boats", "tea")
CANARY = "canarybird"
DAY = 86_400_000_000
ONCE = {"drafts": "1", "rounds": "0"}

Users = Sequence[Sequence[tuple[int, int]]]
"""For each user, items and the days they were had."""

ITEMS = (
    *(
        Item(item_id=f"i{number}", title=f"Thing{number}", categories=(KINDS[number % 3],))
        for number in range(30)
    ),
    Item(item_id="i30", title=CANARY, categories=(CANARY,)),
    Item(item_id="i31"),
)
WORDLESS = 31

HAD: Users = [[(3 * step + user, 2 * step + 1) for step in range(6)] for user in range(3)]
"""User n has had things n, n + 3, … of one kind on days 1, 3, …, 11."""


def events_of(users: Users, numbers: Sequence[int] | None = None) -> Events:
    who = numbers if numbers is not None else range(len(users))
    rows = [(user, item, day * DAY) for user, had in zip(who, users, strict=True) for item, day in had]
    user, item, at = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Events(
        user=user,
        item=item,
        at=at,
        rating=(1 + item % 5).astype(np.float32),
        text=tuple(f"{ITEMS[number].title} is fine for me" for _, number, _ in rows),
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
    return Queries(
        user=np.array(users, dtype=np.int64),
        as_of=np.array(as_of, dtype=np.int64) * DAY,
        history=events_of(histories, users),
        starts=np.cumsum([0, *(len(had) for had in histories)]).astype(np.int64),
    )


PAST = past_of(HAD)
QUERIES = queries_of([0, 1], [HAD[0], HAD[1]], [16, 16])
CANDIDATES = np.array([[20, 21, 22, 23], [22, 23, 24, 25]])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    settings = Settings(
        store=tmp_path / "unused",
        embedder="hashing",
        model="scripted",
        drafting=DraftingSettings(drafts=2, rounds=1, revisions=1, accept=2.0, style="free"),
    )
    return Workspace(folder=tmp_path / "work", seed=0, settings=settings, notice=lambda line: None)


def filled(schema: Mapping[str, Any]) -> Any:
    """Write something that fits a schema."""
    if schema.get("type") == "object":
        return {name: filled(part) for name, part in schema["properties"].items()}
    if schema.get("type") == "array":
        return []
    return schema["enum"][0] if "enum" in schema else "Enjoys maps and boats on quiet days."


def answer(request: ChatRequest) -> Scripted:
    """Write what is asked for; a judge says 4 of 5."""
    return "4" if request.json_schema is None else filled(request.json_schema)


def ranker(
    workspace: Workspace, kind: Kind, options: Mapping[str, str], chat: ScriptedChat | None = None
) -> PairRanker:
    """Make a fitted ranker; the shipped double of a model writes if none is given."""
    plan = read_plan(kind, options, workspace)
    made = PairRanker(plan, workspace, chat=chat if chat is not None else ScriptedChat(answer))
    made.fit(PAST)
    return made


def words_of(chat: ScriptedChat) -> str:
    return json.dumps([[message.content for message in request.messages] for request in chat.requests])


@pytest.mark.parametrize("kind", ["joint", "duet", "independent"])
def test_every_candidate_is_paired_and_billed(workspace: Workspace, kind: Kind) -> None:
    chat = ScriptedChat(answer)
    made = ranker(workspace, kind, ONCE, chat)

    scores = made.order(QUERIES, CANDIDATES)

    assert scores.shape == (2, 4)
    assert scores.sum(axis=1).tolist() == [-10.0, -10.0]  # places 1 to 4; ties share theirs
    assert made.usage.calls == len(chat.requests) >= 2 * 8  # a draft and a verdict for each of eight pairs
    assert made.complete
    assert not any("without a model" in caveat for caveat in made.caveats)


@pytest.mark.parametrize("budget", [1, 2, 3])
def test_a_budget_bounds_the_calls_of_each_list(workspace: Workspace, budget: int) -> None:
    chat = ScriptedChat(answer)
    made = ranker(workspace, "factored", {"budget": str(budget)}, chat)

    scores = made.order(QUERIES, CANDIDATES)

    assert 0 < len(chat.requests) <= 2 * budget
    assert made.usage.calls == len(chat.requests)
    assert scores.sum(axis=1).tolist() == [-10.0, -10.0]
    assert made.complete  # what a list's own budget leaves out is no failure


def test_without_a_budget_a_batch_costs_less_than_joint_passes(workspace: Workspace) -> None:
    joint, factored = ScriptedChat(answer), ScriptedChat(answer)

    ranker(workspace, "joint", ONCE, joint).order(QUERIES, CANDIDATES)
    ranker(workspace, "factored", {}, factored).order(QUERIES, CANDIDATES)

    assert len(factored.requests) * 2 < len(joint.requests)


def test_a_budget_of_nothing_leaves_the_scorer_alone(workspace: Workspace) -> None:
    chat = ScriptedChat()
    made = ranker(workspace, "factored", {"budget": "0"}, chat)

    scores = made.order(QUERIES, CANDIDATES)

    assert chat.requests == []
    assert len(set(scores[0].tolist())) > 1
    assert "0 of 8 pairs were written, the others scored without a model" in made.caveats


@pytest.mark.parametrize("kind", ["joint", "factored"])
def test_no_prompt_holds_what_happened_at_or_after_the_question(workspace: Workspace, kind: Kind) -> None:
    """The canary lies in everybody's past, at the question's moment and later, and was had with the candidates."""
    past = past_of([[*had, (30, 16), (20, 17), (21, 17), (30, 18)] for had in HAD])
    chat = ScriptedChat(answer)
    made = PairRanker(read_plan(kind, ONCE, workspace), workspace, chat=chat)
    made.fit(past)

    made.order(QUERIES, CANDIDATES)

    assert "Thing0 is fine" in words_of(chat)  # the history is there
    assert CANARY not in words_of(chat)
    assert "Thing20 is fine" not in words_of(chat)
    later = [*HAD[0], (30, 16), (6, 17), (9, 18), (12, 19), (15, 20)]  # the critic holds back the last three
    made.order(queries_of([0], [later], [25]), np.array([[20, 22, 24, 26]]))
    assert CANARY in words_of(chat)  # by then it is history: the test can fail


@pytest.mark.parametrize("kind", ["joint", "factored"])
def test_nothing_is_paid_for_twice(workspace: Workspace, kind: Kind) -> None:
    first, idle = ScriptedChat(answer), ScriptedChat()
    one = ranker(workspace, kind, ONCE, first)
    ranked = one.order(QUERIES, CANDIDATES)

    two = ranker(workspace, kind, ONCE, idle)

    assert two.order(QUERIES, CANDIDATES).tolist() == ranked.tolist()
    assert idle.requests == []
    assert two.usage == one.usage  # the bill is whole, whoever paid
    told = "2 of 2 lists were ranked before; calls and seconds are those of then"
    assert (told in two.caveats, told in one.caveats) == (True, False)


def test_a_store_alone_is_enough_to_go_on(workspace: Workspace) -> None:
    one = ranker(workspace, "joint", ONCE)
    ranked = one.order(QUERIES, CANDIDATES)
    for path in (workspace.folder / "pairs").glob("*/ranked-*.jsonl"):
        path.unlink()
    idle = ScriptedChat()

    two = ranker(workspace, "joint", ONCE, idle)

    assert two.order(QUERIES, CANDIDATES).tolist() == ranked.tolist()
    assert idle.requests == []
    assert two.usage.calls == one.usage.calls


def test_a_killed_run_goes_on_and_tells_the_whole_bill(workspace: Workspace) -> None:
    def dies_at_the_second_verdict(request: ChatRequest) -> Scripted:
        verdicts.append(request.json_schema is None)
        if sum(verdicts) == 2:
            raise ZeroDivisionError("killed")
        return answer(request)

    verdicts: list[bool] = []
    alone = workspace.settings.model_copy(update={"chat": ChatSettings(concurrency=1)})
    workspace = replace(workspace, settings=alone)
    first, second = ScriptedChat(dies_at_the_second_verdict), ScriptedChat(answer)
    with pytest.raises(ZeroDivisionError):
        ranker(workspace, "joint", ONCE, first).order(QUERIES, CANDIDATES[:, :1])

    made = ranker(workspace, "joint", ONCE, second)
    made.order(QUERIES, CANDIDATES[:, :1])

    # The first list is in the file; of the second, the verdict alone is missing.
    assert len(second.requests) == 1
    assert made.usage.calls == len(first.requests) - 1 + len(second.requests)


def test_a_copy_of_a_store_that_was_killed_half_way_is_made_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "work" / "pairs" / "copy"
    folder.mkdir(parents=True)
    copy_store(workspace.settings, PAST, workspace, folder)
    whole = sorted(path.name for path in folder.rglob("*"))
    (folder / FILLED).unlink()  # put in place last, so a killed copy lacks it

    copy_store(workspace.settings, PAST, workspace, folder)

    assert sorted(path.name for path in folder.rglob("*")) == whole


def test_ways_of_ranking_do_not_live_on_each_others_calls(workspace: Workspace) -> None:
    ways: list[tuple[Kind, dict[str, str]]] = [
        ("joint", {}),
        ("joint", {"cue": "false"}),
        ("joint", {"instruction": "false"}),
        ("joint", {"paired": "false"}),
        ("joint", {"ranking": "false"}),
        ("joint", {"judged": "false"}),
        ("duet", {}),
        ("factored", {"budget": "1"}),
        ("factored", {"budget": "2"}),
        ("factored", {"per_call": "2"}),
    ]
    made = [ranker(workspace, kind, options) for kind, options in ways]

    for each in made:
        each.order(QUERIES, CANDIDATES)

    assert len({each.name for each in made}) == len(ways)
    stores = {path.parent for path in (workspace.folder / "pairs").glob("*/ranked-*.jsonl")}
    assert len(stores) == len(ways)


def test_unpaired_profiles_are_the_same_under_either_name(workspace: Workspace) -> None:
    plain, ablated = ScriptedChat(answer), ScriptedChat(answer)

    ranker(workspace, "independent", ONCE, plain).order(QUERIES, CANDIDATES)
    ranker(workspace, "joint", {"paired": "false", **ONCE}, ablated).order(QUERIES, CANDIDATES)

    # One way of ranking, so one store: the second finds everything.
    assert plain.requests
    assert ablated.requests == []


def test_ratings_of_targets_are_the_judges(workspace: Workspace) -> None:
    made = ranker(workspace, "joint", ONCE)
    made.order(QUERIES, CANDIDATES)

    rated = made.rate(QUERIES, np.array([21, 24]))

    # The judge says the fourth of five levels of the past, which are 1 to 5.
    assert rated.tolist() == [4.0, 4.0]
    assert not any("damped means" in caveat for caveat in made.caveats)


@pytest.mark.parametrize(
    "kind, options", [("factored", {"budget": "0"}), ("joint", {"judged": "false", **ONCE})]
)
def test_a_target_that_no_judge_read_is_rated_by_damped_means(
    workspace: Workspace, kind: Kind, options: dict[str, str]
) -> None:
    made = ranker(workspace, kind, options)
    made.order(QUERIES, CANDIDATES)
    means = Bias(BiasOptions())
    means.fit(PAST)

    rated = made.rate(QUERIES, np.array([21, 29]))

    assert rated.tolist() == means.rate(QUERIES, np.array([21, 29])).tolist()
    assert "2 of 2 targets are rated by damped means, without a judge" in made.caveats


def test_a_candidate_without_any_text_stands_last(workspace: Workspace) -> None:
    made = ranker(workspace, "factored", {"budget": "0"})

    scores = made.order(QUERIES, np.array([[WORDLESS, 21, 22, 23], [22, 23, 24, 25]]))

    assert scores[0, 0] == -4.0
    assert scores[0, 1:].sum() == -6.0
    assert "1 candidates without any text stand last" in made.caveats


def test_who_has_no_history_ranks_all_candidates_alike(workspace: Workspace) -> None:
    chat = ScriptedChat()
    made = ranker(workspace, "joint", {}, chat)
    newcomer = queries_of([2], [[]], [0])

    scores = made.order(newcomer, CANDIDATES[:1])

    assert scores.tolist() == [[0.0] * 4]
    assert chat.requests == []
    assert "1 users have nothing to write from; their candidates are tied" in made.caveats


@pytest.mark.parametrize("kind", ["joint", "factored"])
def test_a_model_that_is_down_makes_a_result_to_be_made_again(workspace: Workspace, kind: Kind) -> None:
    broken = ScriptedChat(lambda request: ModelUnavailableError("scripted", 1, "down"))
    down = ranker(workspace, kind, ONCE, broken)
    down.order(QUERIES, CANDIDATES)
    works = ScriptedChat(answer)

    up = ranker(workspace, kind, ONCE, works)
    up.order(QUERIES, CANDIDATES)

    assert (down.complete, up.complete) == (False, True)
    assert any(caveat.startswith("2 of 2 lists wait for a model or the budget: ") for caveat in down.caveats)
    assert works.requests


@pytest.mark.parametrize(("kind", "limit"), [("joint", 4), ("factored", 3)])
def test_the_budget_of_the_run_holds_over_all_lists(workspace: Workspace, kind: Kind, limit: int) -> None:
    tight = replace(workspace, budget=RunBudget(BudgetSettings(calls=limit)))
    chat = ScriptedChat(answer)
    made = ranker(tight, kind, {"per_call": "2"} if kind == "factored" else {}, chat)

    made.order(QUERIES, CANDIDATES)

    assert 0 < len(chat.requests) <= limit
    assert not made.complete


def test_names_say_who_writes_and_what_was_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    scorer = tmp_path / "taught.npz"
    scorer.write_bytes(b"x")

    assert read_plan("duet", {}, workspace).name == "duet:writer=scripted"
    assert read_plan("joint", {"cue": "false"}, workspace).name == "joint:writer=scripted,cue=False"
    plan = read_plan("factored", {"budget": "2", "scorer": str(scorer), "writer": "extractive"}, workspace)
    assert plan.name == "factored:writer=extractive,scorer=taught.npz,budget=2"


@pytest.mark.parametrize(
    "kind, options, complaint",
    [
        ("joint", {"budget": "3"}, "budget"),
        ("factored", {"budget": "-1"}, "budget"),
        ("factored", {"scorer": "nowhere.npz"}, "'nowhere.npz' is no file"),
        ("duet", {"draft": "2"}, "did you mean `drafts`"),
    ],
)
def test_options_that_cannot_be_are_refused(
    workspace: Workspace, kind: Kind, options: dict[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        read_plan(kind, options, workspace)
