"""The suites that rank the catalogue: `sequential`, `transfer`, `cost`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limner.evals.dataset import Card, Events, FloatArray
from limner.evals.results import Cost, Measured
from limner.evals.rows import rows_of
from limner.evals.splits import Past, Queries
from limner.evals.suite import Task
from limner.evals.suites.cost import CostSuite, bill
from limner.evals.suites.sequential import Sequential
from limner.evals.suites.transfer import Transfer, mover
from limner.evals.systems.fusion import Fusion
from limner.evals.systems.id_order import IdOrder
from limner.evals.systems.popularity import Bigram, Popularity
from limner.evals.workspace import Workspace
from limner.records import Item, Usage
from limner.settings import load_settings

WORDS = ("red", "green", "blue", "black", "white", "brown", "pink", "grey", "teal", "gold")


def write(folder: Path, prefix: str) -> Path:
    """Write twenty users who walk five steps along a ring of ten items, each from another place."""
    folder.mkdir()
    lines = [
        {"user_id": f"{prefix}{user}", "item_ids": [f"{prefix}{(user + step) % 10}" for step in range(5)]}
        for user in range(20)
    ]
    # An item shares a word with the next one.
    items = [
        {"item_id": f"{prefix}{number}", "title": f"{WORDS[number]} {WORDS[(number + 1) % 10]}"}
        for number in range(10)
    ]
    (folder / "sequences.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return folder


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    return write(tmp_path / "ring", "a")


@pytest.fixture
def task(tmp_path: Path, ring: Path) -> Task:
    said: list[str] = []
    settings = load_settings(store=tmp_path / "store")
    workspace = Workspace(folder=tmp_path / "work", seed=0, settings=settings, notice=said.append)
    return Task(system="popularity", data=(ring,), seed=0, workspace=workspace)


def means(measured: Sequence[Measured]) -> dict[str, float]:
    return {row.metric: row.value for row in rows_of(measured, seed=0)}


def test_a_constant_scorer_scores_exactly_chance(task: Task) -> None:
    found = means(Sequential().measure(task))

    # Everything was chosen equally often; four of ten items are history, so six are tied.
    assert found["recall@5"] == pytest.approx(5 / 6)
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 6)
    assert found["rank"] == 3.5
    assert found["coverage@10"] == 1.0


def test_a_ranking_among_sampled_items_stands_beside_the_full_one(task: Task) -> None:
    found = means(Sequential().measure(replace(task, options={"negatives": "3"})))

    # Everything was chosen equally often, so the answer shares its place with 3 sampled items, or with 5 in all.
    assert found["recall@10 sampled-3"] == found["recall@10"] == 1.0
    assert found["rank sampled-3"] == 2.5
    assert found["rank"] == 3.5
    assert not any("sampled" in metric for metric in means(Sequential().measure(task)))


def test_labelled_ties_are_told_in_the_notes(task: Task) -> None:
    [measured] = Sequential().measure(replace(task, ties="optimistic"))

    assert means([measured])["recall@5"] == 1.0
    assert any("ties are broken optimistically" in note.casefold() for note in measured.notes)


def test_each_bucket_has_its_own_queries(task: Task) -> None:
    [measured] = Sequential().measure(task)

    rows = {row.metric: row for row in rows_of([measured], seed=0)}
    # Histories have four events, fewer than the five of a warm user.
    assert rows["ndcg@10 | cold-users"].n == 20
    assert "ndcg@10 | warm-users" not in rows
    # Every item was chosen six times before, so all belong to the head.
    assert rows["ndcg@10 | head-items"].value == rows["ndcg@10"].value


def test_fewer_users_are_drawn_by_seed_and_told(task: Task) -> None:
    [few] = Sequential().measure(replace(task, users=5))
    [again] = Sequential().measure(replace(task, users=5))

    assert len(set(few.users)) == 5
    assert few.users == again.users
    assert "5 of 20 test queries, drawn by seed." in few.notes


class Chatty(Popularity):
    """Learns nothing from ids; remembers what it was shown."""

    name = "chatty"

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def fit(self, past: Past) -> None:
        """Remember."""
        self.told.append(("fit", len(past.events)))
        super().fit(past)

    def move(self, past: Past) -> None:
        """Remember."""
        self.told.append(("move", len(past.events)))
        super().fit(past)

    def tune(self, queries: Queries, answers: object) -> None:
        """Remember."""
        self.told.append(("tune", len(queries)))

    def score(self, queries: Queries) -> FloatArray:
        """Remember."""
        self.told.append(("score", len(queries)))
        return super().score(queries)


def test_transfer_shows_no_event_of_the_target(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write(tmp_path / "other", "b")
    chatty = Chatty()

    def build(spec: str, workspace: Workspace) -> Chatty:
        return chatty

    monkeypatch.setattr("limner.evals.suites.transfer.build", build)

    [measured] = Transfer().measure(replace(task, data=(task.data[0], target)))

    # Three of five events of each user come before the questions; 20 users tune, and 20 of the other set ask.
    assert chatty.told == [("fit", 60), ("tune", 20), ("move", 0), ("score", 20)]
    assert measured.dataset == "ring -> other"
    assert set(measured.users) == {f"b{number}" for number in range(20)}
    assert means([measured])["recall@5"] == pytest.approx(5 / 6)


def test_bm25_answers_about_another_catalogue(task: Task, tmp_path: Path) -> None:
    pytest.importorskip("bm25s", reason="the extra `evals` is not installed")
    target = write(tmp_path / "other", "b")

    [measured] = Transfer().measure(replace(task, system="bm25:last=1", data=(task.data[0], target)))

    # The last item shares a word with the next one and with one of the history, so the next one is first.
    assert means([measured])["recall@5"] == 1.0
    assert means([measured])["rank"] == 1.0


def test_what_knows_ids_alone_is_not_applicable(task: Task, tmp_path: Path) -> None:
    target = write(tmp_path / "other", "b")

    [measured] = Transfer().measure(replace(task, system="bigram", data=(task.data[0], target)))

    assert rows_of([measured], seed=0) == ()
    assert measured.notes == ("bigram: not applicable: it knows items only by their ids.",)


def test_a_fusion_moves_only_if_every_part_does() -> None:
    first, second = Chatty(), Chatty()
    both = mover(Fusion([first, second]))

    assert both is not None
    both(_nothing())
    assert (first.told, second.told) == ([("move", 0)], [("move", 0)])
    assert mover(Fusion([first, Bigram()])) is None


def _nothing() -> Past:
    none = np.empty(0, dtype=np.int64)
    return Past(
        card=Card(
            name="n", source="", terms="", users=0, items=0, events=0, clock="order", text_by_model=False
        ),
        items=(),
        user_ids=(),
        events=Events(user=none, item=none, at=none, rating=np.empty(0, dtype=np.float32)),
        as_of=None,
        seed=0,
    )


def test_cost_stands_beside_quality(task: Task) -> None:
    [measured] = CostSuite().measure(task)
    found = means([measured])

    assert found["ndcg@10"] > 0
    assert found["seconds a user"] > 0
    assert found["seconds a user"] == pytest.approx(10 * found["seconds a recommendation"])
    assert found["calls a user"] == 0
    assert measured.cost.queries == 20
    assert found["fit seconds"] == measured.cost.fit_seconds


def test_a_bill_is_divided_by_users_and_by_what_they_get() -> None:
    usage = Usage(calls=8, prompt_tokens=300, completion_tokens=100, cost=2.0)
    found = bill(Cost(score_seconds=1.0, queries=4, usage=usage))

    assert (found["calls a user"], found["tokens a user"], found["dollars a user"]) == (2.0, 100.0, 0.5)
    assert found["tokens a recommendation"] == 10.0  # lists have ten places


def test_what_tuning_cost_is_told_apart() -> None:
    cost = Cost(queries=4, usage=Usage(calls=8), tune_usage=Usage(calls=400, prompt_tokens=3, cost=0.5))
    found = bill(cost)

    assert found["calls a user"] == 2.0
    assert (found["tune calls"], found["tune tokens"], found["tune dollars"]) == (400.0, 3.0, 0.5)


class Paying(Chatty):
    """Makes one call a query, and takes what took 100 seconds in an earlier run when it is asked."""

    name = "paying"
    usage = Usage()
    kept_seconds = 0.0

    def tune(self, queries: Queries, answers: object) -> None:
        """Pay."""
        self.usage += Usage(calls=len(queries))

    def score(self, queries: Queries) -> FloatArray:
        """Pay."""
        self.usage += Usage(calls=len(queries))
        self.kept_seconds += 100.0
        return super().score(queries)


def test_each_target_is_billed_what_it_took(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [write(tmp_path / name, name) for name in ("b", "c")]

    def build(spec: str, workspace: Workspace) -> Fusion:
        return Fusion([Paying()])

    monkeypatch.setattr("limner.evals.suites.transfer.build", build)

    measured = Transfer().measure(replace(task, data=(task.data[0], *targets)))

    assert [part.cost.usage.calls for part in measured] == [20, 20]
    assert [part.cost.tune_usage.calls for part in measured] == [20, 20]
    assert all(100 <= part.cost.score_seconds < 200 for part in measured)
    assert all(part.cost.tune_seconds < 100 for part in measured)


class Telltale(Popularity):
    """Shows the title of some item for every query; the right one if told to."""

    name = "telltale"
    leaks = True
    titles: Sequence[str] = ()

    def texts_seen(self, queries: Queries) -> list[str]:
        """Name what comes next on the ring, or what came last."""
        last: list[int] = queries.history.item[queries.starts[1:] - 1].tolist()
        titles = [self.titles[number] for number in last]
        return [self.following[title] if self.leaks else title for title in titles]

    def fit(self, past: Past) -> None:
        """Learn the titles, and which follows which."""
        super().fit(past)
        self.titles = [item.title for item in past.items]
        names = {item.item_id: item.title for item in past.items}
        self.following = {names[f"a{number}"]: names[f"a{(number + 1) % 10}"] for number in range(10)}


@pytest.mark.parametrize("leaks", [True, False])
def test_the_target_is_looked_for_in_what_a_system_shows(
    task: Task, monkeypatch: pytest.MonkeyPatch, leaks: bool
) -> None:
    items = [{"item_id": f"a{number}", "title": f"big {word} lamp"} for number, word in enumerate(WORDS)]
    (task.data[0] / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))

    def build(spec: str, workspace: Workspace) -> Fusion:
        telltale = Telltale()
        telltale.leaks = leaks
        return Fusion([telltale, Bigram()])

    monkeypatch.setattr("limner.evals.suites.sequential.build", build)

    [measured] = Sequential().measure(task)

    [probe] = measured.probes
    assert (probe.name, probe.passed, probe.value) == ("target-in-prompt", not leaks, float(leaks))


def test_portraits_are_looked_through_in_a_real_run(task: Task) -> None:
    items = [{"item_id": f"a{number}", "title": f"big {word} lamp"} for number, word in enumerate(WORDS)]
    (task.data[0] / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    settings = task.workspace.settings.model_copy(update={"embedder": "hashing"})
    workspace = replace(task.workspace, settings=settings)

    found = {
        system: Sequential().measure(replace(task, system=system, workspace=workspace))[0].probes
        for system in ("profile", "history-profile", "random-profile", "bigram")
    }

    assert [(probe.name, probe.passed) for probe in found["profile"]] == [("target-in-prompt", True)]
    assert found["history-profile"] == found["profile"]
    assert found["random-profile"] == found["bigram"] == ()


def test_the_id_probe_scores_chance_on_random_numbers_and_wins_on_ordered_ones(task: Task) -> None:
    system = IdOrder()
    system.fit(replace(_nothing(), items=[Item(item_id=str(number)) for number in range(6)]))
    history = replace(_nothing().events, item=np.array([2, 0]), user=np.zeros(2, dtype=np.int64))
    queries = Queries(
        user=np.array([0]), as_of=np.array([9]), history=history, starts=np.array([0, 2], dtype=np.int64)
    )

    # 3 follows the largest number of the history, then 4 and 5; 1 was numbered before it.
    assert np.argsort(-system.score(queries)[0], kind="stable").tolist()[:3] == [3, 4, 5]
    assert system.score(queries)[0][[0, 1, 2]].tolist() == [-7.0, -7.0, -7.0]


class Doubted(Popularity):
    """Says that something stood in for something."""

    name = "doubted"
    caveats = ("3 portraits fell back",)


def test_what_stood_in_for_a_system_is_told_also_within_a_fusion(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    fusion = Fusion([Doubted(), Bigram()])

    def build(spec: str, workspace: Workspace) -> Fusion:
        return fusion

    monkeypatch.setattr("limner.evals.suites.sequential.build", build)

    [measured] = Sequential().measure(task)

    assert "doubted + bigram: doubted: 3 portraits fell back" in measured.notes


def test_nothing_is_tuned_where_nobody_validates(task: Task, tmp_path: Path) -> None:
    folder = tmp_path / "late"
    folder.mkdir()
    # All come back after the last tenth has begun, nobody between validation and test.
    events = [
        {"user_id": f"u{user}", "item_id": f"i{(user + step) % 5}", "timestamp": 1_600_000_000 + moment}
        for user in range(4)
        for step, moment in enumerate((0, 1, 2, 900))
    ] + [{"user_id": f"v{number}", "item_id": "i9", "timestamp": 1_600_000_500} for number in range(6)]
    (folder / "interactions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in events))
    asked = replace(task, data=(folder,), split="global-time", system="bigram + popularity")

    [measured] = Sequential().measure(asked)

    assert any("there were no validation users, so nothing was chosen" in note for note in measured.notes)
