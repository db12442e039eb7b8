"""The synchronous twin does what `Limner` does."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from limner import Limner, LimnerSync, Settings
from limner.errors import BadRowError, UnknownUserError
from limner.settings import load_settings
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = ("roses", "compost", "orchids", "comets", "nebulae", "planets", "dinghies", "knots", "harbours")
ITEMS = [
    {"item_id": word, "title": word.capitalize(), "tags": [word]}
    for word in (*WORDS, "lamps", "chairs", "kettles")
]


def answer(request: ChatRequest) -> Scripted:
    if request.purpose == "extract_cues":
        return {"cues": []}
    return {"likes": [{"evidence": ["e1"], "theme": "roses", "sentence": "Enjoys roses."}]}


def happened(user: str) -> list[dict[str, Any]]:
    return [
        {
            "item_id": word,
            "kind": "click",
            "at": NOW - timedelta(days=9 - day),
            "event_id": f"{user}-{day}",
            "text": f"by {user}",
        }
        for day, word in enumerate(WORDS)
    ]


def settings_in(folder: Path) -> Settings:
    return load_settings(store=folder, embedder="hashing")


@pytest.fixture
def limner(tmp_path: Path) -> Iterator[LimnerSync]:
    with LimnerSync(settings_in(tmp_path / "sync"), chat=ScriptedChat(answer)) as opened:
        assert opened.add_items(ITEMS) == len(ITEMS)
        for user in ("ada", "bo", "cleo"):
            assert opened.record(user, happened(user)) == (9, 0, 0)
        yield opened


def timeless(record: BaseModel | None) -> dict[str, Any]:
    assert record is not None
    return record.model_dump(exclude={"created_at"})


def test_results_equal_those_of_limner(limner: LimnerSync, tmp_path: Path) -> None:
    async def expected() -> list[dict[str, Any]]:
        async with Limner(settings_in(tmp_path / "async"), chat=ScriptedChat(answer)) as other:
            await other.add_items(ITEMS)
            for user in ("ada", "bo", "cleo"):
                await other.record(user, happened(user))
            batch = {outcome.user_id: outcome async for outcome in other.profiles(as_of=NOW)}
            pairs = [outcome async for outcome in other.pairs([("bo", "lamps")], as_of=NOW)]
            return [
                timeless(await other.profile("ada", as_of=NOW)),
                timeless(await other.pair("ada", "knots", as_of=NOW)),
                *(timeless(batch[user].profile) for user in sorted(batch)),
                timeless(pairs[0].pair),
            ]

    batch = {outcome.user_id: outcome for outcome in limner.profiles(as_of=NOW)}
    [outcome] = limner.pairs([("bo", "lamps")], as_of=NOW)
    found = [
        timeless(limner.profile("ada", as_of=NOW)),
        timeless(limner.pair("ada", "knots", as_of=NOW)),
        *(timeless(batch[user].profile) for user in sorted(batch)),
        timeless(outcome.pair),
    ]

    assert found == asyncio.run(expected())


def test_errors_come_through(limner: LimnerSync) -> None:
    with pytest.raises(UnknownUserError):
        limner.profile("nobody")
    with pytest.raises(BadRowError, match=r":1: `kind`: "):
        limner.record("ada", [{"kind": "stare", "at": NOW}])


def test_what_was_drawn_is_read_and_exported(limner: LimnerSync, tmp_path: Path) -> None:
    drawn = limner.profile("ada", as_of=NOW)

    assert limner.stored_profile("ada") == limner.stored_profile("ada", version=1) == drawn
    assert limner.stored_profile("bo") is None
    assert limner.export_rollouts(tmp_path / "log.parquet") >= 2


def test_a_batch_can_be_left_early(limner: LimnerSync) -> None:
    for outcome in limner.profiles(as_of=NOW):
        assert outcome.profile is not None
        break

    assert len([outcome for outcome in limner.profiles(as_of=NOW) if outcome.profile]) == 3


def test_it_works_inside_a_thread_that_has_an_event_loop(limner: LimnerSync) -> None:
    async def inside() -> int:
        return limner.profile("ada", as_of=NOW).version

    assert asyncio.run(inside()) == 1


def test_use_outside_of_with_is_refused(tmp_path: Path) -> None:
    limner = LimnerSync(settings_in(tmp_path / "store"), chat=ScriptedChat())
    with pytest.raises(RuntimeError, match=r"^LimnerSync is not open; use `with LimnerSync"):
        limner.profile("ada")

    with limner:
        pass

    with pytest.raises(RuntimeError, match=r"^LimnerSync is not open"):
        limner.profile("ada")


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with LimnerSync(settings_in(tmp_path / "store"), chat=ScriptedChat(answer)) as limner:
        limner.add_items(ITEMS)
        limner.record("ada", happened("ada"))
        limner.profile("ada", as_of=NOW)

    assert {thread for thread in threading.enumerate() if thread.is_alive()} <= before


def test_a_store_that_cannot_be_opened_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    before = set(threading.enumerate())

    with pytest.raises(Exception, match="file"):  # noqa: SIM117  # whatever it is, it names the folder
        with LimnerSync(settings_in(tmp_path / "file"), chat=ScriptedChat()):
            pass

    assert set(threading.enumerate()) <= before
