"""The torture: it keeps to its plan, it sees what is wrong, and the store survives a small one."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from limner import Limner
from limner.evals.torture.acts import ToldClock
from limner.evals.torture.check import examine
from limner.evals.torture.invented import Invented
from limner.evals.torture.journal import Journal
from limner.evals.torture.plan import ACTS, make_plan
from limner.settings import Settings, load_settings
from limner.tools.chat import ChatRequest
from limner.tools.scripted import ScriptedChat

SENT = 12


def test_a_small_torture_loses_doubles_and_breaks_nothing() -> None:
    command = ["torture", "--seed", "1", "--events", "200", "--kills", "6", "--json"]
    run = [sys.executable, "-c", "from limner.cli import main; main()", *command]

    done = subprocess.run(run, check=False, capture_output=True, text=True, timeout=300, env={**os.environ})

    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert [told[kind] for kind in ("lost", "doubled", "invalid", "breaches")] == [0, 0, 0, 0]
    assert told["kills"] == sum(told["killed"].values()) == 6
    assert told["seen"]["events"] + told["seen"]["forgotten events"] == 200
    assert told["seen"]["portraits"] > 0


def test_the_plan_is_the_seeds_alone_and_has_all_that_was_asked_for() -> None:
    plan = make_plan(5, events=700, kills=40, users=17)

    assert plan == make_plan(5, events=700, kills=40, users=17)
    assert plan != make_plan(6, events=700, kills=40, users=17)
    assert sum(step.events + step.beside for step in plan) == 700
    assert sum(step.kill is not None for step in plan) == 40
    assert {step.act for step in plan} == set(ACTS)
    assert not any(step.stop for step in plan)
    assert any(step.stop for step in make_plan(5, events=700, kills=40, users=17, stops=True))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        store=tmp_path / "store", embedder="hashing", tenant="torture", drafting={"drafts": 1, "rounds": 0}
    )


@pytest.fixture
def world() -> Invented:
    return Invented(0, 2)


def answer(request: ChatRequest) -> dict[str, Any]:
    if request.purpose == "extract_cues":
        return {"cues": []}
    return {"likes": [{"evidence": ["e1"], "theme": "velvet", "sentence": "Enjoys velvet."}]}


@pytest.fixture
def journal(settings: Settings, world: Invented, tmp_path: Path) -> Journal:
    """What a run noted that recorded and exported everything and drew one user."""
    journal, path = Journal(), tmp_path / "drafts.parquet"

    async def fill() -> None:
        clock = ToldClock()
        clock.set(world.now(SENT))
        async with Limner(settings, clock=clock, chat=ScriptedChat(answer)) as limner:
            await limner.add_items(world.items)
            await limner.record_many([world.event(number) for number in range(SENT)])
            drawn = await limner.profile("user-0")
            await limner.reindex()
            drafts = await limner.export_rollouts(path)
        journal.drawn["user-0"] = [(drawn.version, drawn.fingerprint)]
        journal.written[path] = {"drafts": drafts, "events": 0}

    asyncio.run(fill())
    path.with_suffix(".json").write_text("{}")
    journal.sent = {number: world.event(number)["user_id"] for number in range(SENT)}
    journal.kept = set(journal.sent)
    return journal


def change(statement: str) -> Callable[[Settings], None]:
    """Return what changes a store behind everybody's back."""

    def run(settings: Settings) -> None:
        async def write() -> None:
            async with Limner(settings) as limner:
                await limner.doors.store.engine.write(lambda db: db.execute(text(statement)))  # type: ignore[attr-defined]  # the SQL store's own

        asyncio.run(write())

    return run


def test_a_store_that_kept_everything_is_found_right(
    settings: Settings, world: Invented, journal: Journal
) -> None:
    found = examine(journal, world, settings)

    assert found.words == []
    assert (found.seen["events"], found.seen["portraits"], found.seen["files"]) == (SENT, 1, 1)


@pytest.mark.parametrize(
    ("statement", "kind", "words"),
    [
        ("DELETE FROM interactions WHERE event_id = 'e1'", "lost", "event 1 of"),
        ("DELETE FROM profiles", "lost", "version 1 of user-0"),
        (
            (
                "INSERT INTO interactions SELECT tenant, 'again', user_id, item_id, kind, at, rating, text "
                "FROM interactions WHERE event_id = 'e1'"
            ),
            "doubled",
            "event 1 is there 2 times",
        ),
        (
            "UPDATE profiles SET data = json_set(data, '$.claims[0].evidence[0]', 'nowhere')",
            "invalid",
            "rests on 'nowhere'",
        ),
        (
            "UPDATE rollouts SET data = json_set(data, '$.selected', json('false'))",
            "invalid",
            "0 drafts of run",
        ),
        (
            (
                "INSERT INTO jobs (tenant, job_id, state, created, revision, beat, data, due) VALUES ('torture', 'a', "
                """'queued', 1, 1, 1, '{"kind": "draw", "wanted": {}, "created_at": "2026-01-01T00:00:00Z"}', 1)"""
            ),
            "lost",
            "job a is queued",
        ),
    ],
)
def test_what_is_wrong_with_a_store_is_found(
    settings: Settings, world: Invented, journal: Journal, statement: str, kind: str, words: str
) -> None:
    change(statement)(settings)

    found = examine(journal, world, settings)

    assert found.counts[kind] > 0
    assert any(words in line for line in found.words), found.words


def test_what_was_forgotten_and_is_there_is_found_in_rows_and_in_bytes(
    settings: Settings, world: Invented, journal: Journal
) -> None:
    user_id = journal.sent[1]
    journal.forgotten[user_id] = SENT
    journal.drawn.clear()
    (settings.store / "left.txt").write_text(f"so it said: {world.mark(1)}")

    found = examine(journal, world, settings)

    assert "invalid: event 1 was forgotten and is there" in found.words
    assert any(line.startswith("invalid: left.txt holds words of 1 forgotten") for line in found.words)


def test_breaches_and_what_went_wrong_on_the_way_are_counted(
    settings: Settings, world: Invented, journal: Journal
) -> None:
    journal.breaches.append("3 calls of 2")
    journal.wrong.append("it hangs")
    journal.kept.remove(2)

    found = examine(journal, world, settings)

    assert found.counts == {"lost": 0, "doubled": 0, "invalid": 2, "breaches": 1}
    assert replace(found).words[0] == "breaches: 3 calls of 2"
