"""Forgetting: after it no file and no table holds a byte of what was forgotten, and everybody else keeps theirs."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import pytest
from sqlalchemy import Connection, Insert, Select, func, insert, select

from limner import Limner, LimnerSync, Receipt
from limner.errors import ForgottenMeanwhileError, InputError, UnknownUserError
from limner.models import Facet
from limner.settings import load_settings
from limner.tools import encoders
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.embedder import Embedder, HashingEmbedder
from limner.tools.forgetting import forgetting
from limner.tools.scripted import Scripted, ScriptedChat
from limner.tools.sql.sql_store import SqlStore, open_store
from limner.tools.sql.sql_tables import jobs, memories, memory_vectors, metadata
from limner.tools.store import Store

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)
WORDS = "zqwords"
"""Stands in a review, and in everything that is made of it."""

ADA, EVENT = "zqada", "zqevent"
ROSES = "zqroses"
ITEMS = ("comets", "knots", "lamps", "chairs", "kettles", ROSES)


class Place(TypedDict):
    """Where a store is."""

    store: Path
    database_url: str | None


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = request.getfixturevalue("database_url") if request.param == "postgresql" else None
    return Place(store=tmp_path / "store", database_url=url)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(store=tmp_path / "store", database_url=None)


@pytest.fixture(autouse=True)
def _cached_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache the double's vectors as those of a real encoder are."""

    def cached(encoder: Embedder, store: Store | None) -> Embedder:
        return encoders.CachedEmbedder(encoder, store)

    monkeypatch.setattr(encoders, "cached", cached)


def answer(request: ChatRequest) -> Scripted:
    """Repeat the marked words wherever a prompt shows them."""
    shown = any(WORDS in message.content for message in request.messages)
    word = f"{WORDS} petals" if shown else "petals"
    if request.purpose == "extract_cues":
        return {"cues": [{"ref": "e1", "theme": word, "polarity": "like", "note": f"{word} noted"}]}
    if request.purpose == "draft_pair":
        return {
            "user_cue": word,
            "user_instruction": f"Say what {word} mean.",
            "user_profile": f"Enjoys {word}.",
            "item_cue": word,
            "item_instruction": f"Say whom {word} suit.",
            "item_profile": f"Suits people who like {word}.",
        }
    if request.purpose == "describe_items":
        told = {
            "liked_by": f"Lovers of {word}.",
            "disliked_by": "Sailors.",
            "feature": word,
            "reasoning": word,
        }
        return {"items": [{"ref": "i1", **told}]}
    return {"likes": [{"evidence": ["e1"], "theme": word, "sentence": f"Enjoys {word}."}]}


@asynccontextmanager
async def opened(place: Place, tenant: str = "default", **given: Any) -> AsyncGenerator[Limner]:
    drafting = {"drafts": 1, "rounds": 0, "style": "free", "holdout": 1}
    settings = load_settings(
        **place, tenant=tenant, embedder="hashing", model="none", drafting=drafting, cards={"share": False}
    )
    given = {"chat": ScriptedChat(answer), "clock": ManualClock(NOW), **given}
    async with Limner(settings, **given) as limner:
        yield limner


def row(event_id: str, item: str, day: int, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "item_id": item,
        "kind": "review",
        "at": START + timedelta(days=day),
        **fields,
    }


async def fill(limner: Limner, *, of_a_user: bool = True) -> None:
    """Plant the marks: one event, everything that Limner makes of it, and what others put away about its user."""
    await limner.add_items({"item_id": item, "title": f"{item} thing", "tags": [item]} for item in ITEMS)
    await limner.record(ADA, [row("plain-1", "comets", 1), row("plain-2", "knots", 2)])
    await limner.profile(ADA)
    await limner.record(ADA, [row(EVENT, ROSES, 5, text=f"Lovely {WORDS}, all of them.", rating=5.0)])
    await limner.record(
        "bo", [row(f"bo-{day}", item, day) for day, item in enumerate(("comets", "knots", "lamps"))]
    )
    await limner.record("cy", [row("cy-1", ROSES, 6, text="Too thorny for me."), row("cy-2", "knots", 7)])
    await limner.profile(ADA)
    await limner.pair(ADA, "lamps")
    await limner.pair("bo", ROSES)
    assert [outcome.error async for outcome in limner.cards([ROSES])] == [None]
    await limner.recommend("bo", k=2)
    if of_a_user:
        await plant_rows(limner)
    await plant_vectors(limner)
    await plant_checkpoints(limner)
    rejects = limner.settings.store / "rejects" / "old.rejects.jsonl"
    rejects.parent.mkdir(parents=True)
    bad = {"user_id": ADA, "event_id": EVENT, "item_id": ROSES, "text": WORDS, "at": "never"}
    good = {"user_id": "bo", "at": "never"}
    rejects.write_text("".join(json.dumps({"line": 1, "row": each}) + "\n" for each in (bad, good)))


async def plant_rows(limner: Limner) -> None:
    """Put the marks into tables that other faces fill."""
    store, tenant = limner.doors.store, limner.settings.tenant
    assert isinstance(store, SqlStore)
    told = json.dumps({"user_id": ADA, "item_id": ROSES, "text": WORDS})
    moments = dict.fromkeys(("created", "updated", "place"), 1)
    spot = {"tenant": tenant, "namespace": f"users.{ADA}.", "key": "k"}
    for table, values in (
        (
            jobs,
            {
                "tenant": tenant,
                "job_id": "j",
                "state": "done",
                "created": 1,
                "revision": 1,
                "beat": 1,
                "data": told,
            },
        ),
        (memories, {**spot, **moments, "owner": ADA, "value": told, "paths": "[]"}),
        (memory_vectors, {**spot, "encoder": "e", "path": "$", "vector": WORDS.encode()}),
    ):
        statement = insert(table).values(**values)
        await store.engine.write(partial(_execute, statement=statement))


def _execute(connection: Connection, *, statement: Insert) -> None:
    connection.execute(statement)


def _count(connection: Connection, *, query: Select[int]) -> int:
    return connection.execute(query).scalar_one()


async def plant_vectors(limner: Limner) -> None:
    for user, text in ((ADA, f"Enjoys {WORDS} petals."), ("bo", "Enjoys knots.")):
        vectors = await limner.doors.embedder.embed([text])
        await limner.doors.catalogue.publish_facets(user, [Facet(name="f", text=text)], vectors)


async def plant_checkpoints(limner: Limner) -> None:
    """Leave what an interrupted run leaves."""

    def failing(request: ChatRequest) -> Scripted:
        return RuntimeError("killed") if request.purpose == "draft_pair" else answer(request)

    drawing = await limner.prepare()
    assert drawing.deps.chat is not None
    model: Any = vars(limner)["_given_chat"]
    model._answers = failing
    for user, item in ((ADA, "chairs"), ("cy", ROSES)):
        with pytest.raises(RuntimeError, match="killed"):
            await limner.pair(user, item)
    model._answers = answer


async def marks(*words: str) -> dict[str, bytes]:
    """Return what must not be found, by name: words, and the vectors of texts that hold them."""
    texts = (f"Lovely {WORDS}, all of them.", f"Enjoys {WORDS} petals.")
    vectors = await HashingEmbedder(remember=False).embed(texts)
    return {word: word.encode() for word in words} | {
        text: vector.astype("<f4").tobytes() for text, vector in zip(texts, vectors, strict=True)
    }


def found(place: Place, words: Mapping[str, bytes]) -> set[str]:
    """Return which marks are in any file of the store, or in any file of the server's database."""
    folders = [place["store"]]
    if place["database_url"]:
        folders.append(_data_folder(place["database_url"]))
    hits: set[str] = set()
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                hits |= {name for name, mark in words.items() if mark in data}
    return hits


def _data_folder(url: str) -> Path:
    """Return the folder of one database, with everything written to it."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        data = connection.execute("SHOW data_directory").fetchone()
        number = connection.execute(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert data is not None
    assert number is not None
    return Path(data[0]) / "base" / str(number[0])


FORGETS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "user": ({"user_id": ADA}, (WORDS, EVENT, ADA)),
    "user_item": ({"user_id": ADA, "item_id": ROSES}, (WORDS, EVENT)),
    "event": ({"user_id": ADA, "event_id": EVENT}, (WORDS, EVENT)),
}
"""How to forget, and which words are then nowhere."""


@pytest.mark.parametrize("kind", FORGETS)
async def test_no_file_and_no_table_holds_a_byte_of_what_was_forgotten(place: Place, kind: str) -> None:
    named, gone = FORGETS[kind]
    wanted = await marks(*gone)
    async with opened(place) as limner:
        await fill(limner, of_a_user=kind == "user")
    assert found(place, wanted) == set(wanted)

    async with opened(place) as limner:
        receipt = await limner.forget(**named)
        assert receipt.finished
        assert found(place, wanted) == set()

    assert found(place, wanted) == set()
    assert WORDS not in receipt.model_dump_json()
    async with opened(place) as limner:
        assert [event.event_id for event in await limner.history("bo")] == ["bo-0", "bo-1", "bo-2"]
        assert [event.event_id for event in await limner.history("cy")] == ["cy-1", "cy-2"]
        if kind != "user":
            assert (await limner.profile(ADA)).version == 3


async def test_an_item_is_forgotten_wherever_it_was_named(here: Place) -> None:
    wanted = await marks(WORDS, ROSES)
    async with opened(here) as limner:
        await fill(limner, of_a_user=False)
        receipt = await limner.forget_item(ROSES)
    assert receipt.removed["interactions"] == 2  # Ada's and Cy's
    assert found(here, wanted) == set()


async def test_a_tenant_is_forgotten_and_the_other_keeps_every_row(place: Place) -> None:
    async with opened(place, "theirs") as theirs:
        await fill(theirs)
        before = await rows_of(theirs)
    async with opened(place, "mine") as mine:
        await fill_again(mine)
        receipt = await mine.forget_tenant()
        assert {name: count for name, count in (await rows_of(mine)).items() if count} == {
            "tenants": 1,
            "forgets": 1,
            "tombstones": 2,
        }
        assert await mine.doors.catalogue.item_ids() == []

    assert receipt.removed["interactions"] == 8
    async with opened(place, "theirs") as theirs:
        assert await rows_of(theirs) == before
        assert (await theirs.doors.catalogue.item_ids()) == sorted(ITEMS)


async def fill_again(limner: Limner) -> None:
    """Plant the same in another tenant, whose rejects lie in the same folder."""
    (limner.settings.store / "rejects" / "old.rejects.jsonl").unlink()
    (limner.settings.store / "rejects").rmdir()
    await fill(limner)


async def rows_of(limner: Limner) -> dict[str, int]:
    """Return how many rows a tenant has in each table."""
    store, tenant = limner.doors.store, limner.settings.tenant
    assert isinstance(store, SqlStore)
    await (await limner.prepare()).flush()
    counts: dict[str, int] = {}
    for table in metadata.sorted_tables:
        query = select(func.count()).select_from(table).where(table.c.tenant == tenant)
        counts[table.name] = await store.engine.read(partial(_count, query=query))
    return counts


async def test_another_users_data_and_the_same_user_of_another_tenant_stay(here: Place) -> None:
    async with opened(here, "theirs") as theirs:
        await fill(theirs)
        before = await rows_of(theirs)
    async with opened(here, "mine") as mine:
        await fill_again(mine)
        await mine.forget(ADA)
        assert [user async for user in mine.users()] == ["bo", "cy"]
        told = [place async for place, _ in mine.stream_user("bo")]
        assert told.count("interactions") == 3
    async with opened(here, "theirs") as theirs:
        assert await rows_of(theirs) == before
        assert await theirs.stored_profile(ADA) is not None


@pytest.mark.parametrize("killed_at", ["forget_rows", "forget_files", "forget_checkpoints", "scrub"])
async def test_a_killed_forget_is_finished_on_the_next_opening(
    here: Place, killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = await marks(WORDS, EVENT, ADA)
    home = SqlStore if killed_at in ("forget_rows", "scrub") else forgetting
    async with opened(here) as limner:
        await fill(limner)
        with monkeypatch.context() as patched:
            patched.setattr(home, killed_at, _killed)
            with pytest.raises(KeyboardInterrupt):
                await limner.forget(ADA)
    if killed_at != "scrub":  # some builds of SQLite overwrite what they delete
        assert found(here, wanted) != set()

    async with opened(here) as limner:
        assert limner.resumed == 1
        assert await limner.resume_forgets() == 0
    assert found(here, wanted) == set()


def _killed(*_args: object, **_named: object) -> None:
    raise KeyboardInterrupt


async def test_rewriting_may_be_left_for_later(here: Place) -> None:
    async with opened(here) as limner:
        await fill(limner)
        receipt = await limner.forget(ADA, scrub=False)
        assert not receipt.finished
        assert not await limner.doors.store.has_user(ADA)
        assert await limner.resume_forgets() == 1
        assert found(here, await marks(WORDS, EVENT, ADA)) == set()


async def test_forgetting_works_while_another_process_reads(here: Place) -> None:
    async with opened(here) as limner:
        await fill(limner)
        other = await open_store(folder=here["store"], database_url=None, tenant="default")
        try:
            assert await other.has_user(ADA)
            await limner.forget(ADA)
            assert not await other.has_user(ADA)
            assert await other.rating_scale(as_of=NOW) is None  # Ada's was the only rating
            assert found(here, await marks(WORDS, EVENT, ADA)) == set()
        finally:
            await other.aclose()


async def test_asking_again_removes_nothing_and_a_dry_run_never_does(here: Place) -> None:
    async with opened(here) as limner:
        await fill(limner)
        would = await limner.forget(ADA, dry_run=True)
        assert would.dry_run
        assert await limner.doors.store.has_user(ADA)

        did = await limner.forget(ADA)

        # The index is not looked into by a dry run: one facet of the portrait.
        assert dict(did.removed) == {**would.removed, "index vectors": 1}
        assert (await limner.forget(ADA)).removed == {}


async def test_who_was_forgotten_comes_back_only_with_something_new(here: Place) -> None:
    async with opened(here) as limner:
        await fill(limner)
        await limner.forget(ADA)
        with pytest.raises(UnknownUserError):
            await limner.profile(ADA)

        old = await limner.record(ADA, [row("plain-1", "comets", 1)])
        new = await limner.record(ADA, [row("fresh", "comets", 61)])

        assert (old.added, old.forgotten, new.added, new.forgotten) == (0, 1, 1, 0)


async def test_a_drawing_under_way_keeps_nothing_of_who_is_forgotten_meanwhile(here: Place) -> None:
    async with opened(here) as limner:
        await fill(limner)
        await limner.record(ADA, [row("more", "kettles", 9, text=f"More {WORDS}.")])
        drawing = await limner.prepare()
        model: Any = vars(limner)["_given_chat"]
        forgotten: list[Receipt] = []

        class Meanwhile(ScriptedChat):
            async def complete(self, request: ChatRequest, budget: Any) -> Any:
                if not forgotten:
                    forgotten.append(await limner.forget(ADA))
                return await super().complete(request, budget)

        model.__class__ = Meanwhile
        with pytest.raises(ForgottenMeanwhileError):
            await limner.profile(ADA)
        await drawing.flush()
        assert [entry async for entry in limner.doors.store.rows_about(ADA)] == []
    async with opened(here) as limner:
        await limner.doors.store.scrub()
        scrub: Any = getattr(limner.doors.saver, "scrub")  # noqa: B009 - SQLite's alone has it
        await scrub()
    assert found(here, await marks(WORDS, ADA)) == set()


async def test_what_cannot_be_meant_is_refused(here: Place) -> None:
    async with opened(here) as limner:
        wrong: list[dict[str, Any]] = [
            {"item_id": "i", "event_id": "e"},
            {"item_id": ""},
            {"event_id": "e" * 600},
        ]
        for named in wrong:
            with pytest.raises(InputError):
                await limner.forget("ada", **named)
        assert await limner.doors.store.forgets() == 0


async def test_everything_about_a_user_is_exported_and_nothing_about_others(here: Place) -> None:
    async with opened(here) as limner:
        await fill(limner)
        told = await limner.export_user(ADA)

        assert told["user_id"] == ADA
        assert [event["event_id"] for event in told["interactions"]] == ["plain-1", "plain-2", EVENT]
        assert {"profiles", "cues", "pairs", "rollouts", "completions", "memories"} <= set(told)
        others = ("bo-1", "cy-1", "Too thorny")
        own = {place: told[place] for place in ("interactions", "profiles", "cues", "completions")}
        assert not any(word in json.dumps(own) for word in others)
        with pytest.raises(UnknownUserError):
            await limner.export_user("nobody")


def test_the_twin_forgets_corrects_and_exports(here: Place) -> None:
    settings = load_settings(**here, embedder="hashing", model="none")
    with LimnerSync(settings) as limner:
        limner.add_items([{"item_id": "b", "title": "Old maps", "tags": ["maps"]}])
        limner.record("ada", [{"item_id": "b", "kind": "purchase", "at": "2026-01-05"}])
        claim = limner.profile("ada").claims[0].text

        corrected = limner.correct("ada", claim, replace="Enjoys chamber music.")

        assert corrected.likes == ("Enjoys chamber music.",)
        assert limner.export_user("ada")["profiles"][1]["data"]["version"] == 2
        assert limner.forget_item("b", dry_run=True).removed["interactions"] == 1
        assert limner.forget("ada").removed["profiles"] == 2
        assert list(limner.users()) == []


async def test_what_a_run_left_that_was_killed_after_the_forget_is_swept(here: Place) -> None:
    async with opened(here) as limner:
        await fill(limner)
        await limner.forget(ADA)
        await limner.doors.store.cache_completions({"late": "{}"}, f"user:{ADA}")
        await limner.doors.store.cache_completions({"kept": "{}"}, "user:bo")

        await limner.resume_forgets()

        assert await limner.doors.store.cached_completions(["late", "kept"]) == {"kept": "{}"}
