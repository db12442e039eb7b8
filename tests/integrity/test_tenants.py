"""Two tenants with the same ids do everything in turn: no answer, row, vector or number of one knows of the other."""

import asyncio
import json
import logging
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as trials
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pydantic import BaseModel, SecretStr
from sqlalchemy import Connection, select

from limner import Item, LimnerError
from limner.serve.graphs.limner_store import LimnerStore
from limner.serve.http.app import create_app
from limner.serve.http.rooms import Rooms
from limner.serve.mcp.mcp_tools import TOOLS
from limner.settings import Settings, load_settings
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.keys import KeyRing
from limner.tools.scripted import Scripted, ScriptedChat
from limner.tools.sql import sql_caches, sql_groups, sql_portraits
from limner.tools.sql.sql_store import SqlStore
from limner.tools.sql.sql_tables import metadata

START = datetime(2026, 3, 1, tzinfo=UTC)
TENANTS = ("north", "south")
MARKS = ("zqnorthern", "zqsouthern")
"""A word that is in every text of one tenant and in none of the other's."""

USERS, ITEMS = ("ada", "bo", "cleo"), ("roses", "comets", "knots", "harps", "kilns", "maps")
HERMIT = "hermit"
"""Somebody whom only the second tenant knows."""

_ENTRY = re.compile(r"^(e\d+): ([^(\n]*)\(", re.MULTILINE)
_tools = {tool.name: tool for tool in TOOLS}


def _answer(request: ChatRequest) -> Scripted:
    """Repeat what the prompt shows, so that whatever strays into a prompt comes out again."""
    shown = "\n".join(message.content for message in request.messages if message.role == "user")
    entries = [(ref, title.strip().lower()) for ref, title in _ENTRY.findall(shown)]
    if request.purpose == "extract_cues":
        notes = [
            {"ref": ref, "theme": title.split()[0], "polarity": "like", "note": f"cares for {title}"}
            for ref, title in entries
        ]
        return {"cues": notes}
    if request.purpose == "judge_pair":
        return "4"
    if request.purpose == "draft_pair" and entries:
        mine, theirs = entries[0][1], entries[-1][1]
        return {
            "user_cue": mine,
            "user_instruction": f"Say what {mine} mean here.",
            "user_profile": f"Enjoys {mine}.",
            "item_cue": theirs,
            "item_instruction": f"Say whom {theirs} suit.",
            "item_profile": f"Suits lovers of {theirs}.",
        }
    if request.purpose in ("draft_profile", "draft_profiles") and entries:
        return {
            "likes": [
                {"evidence": [ref], "theme": title, "sentence": f"Enjoys {title}."}
                for ref, title in entries[:2]
            ]
        }
    return shown[-2000:]


class Did(NamedTuple):
    """Something that a tenant did."""

    what: str
    tenant: int
    arguments: Mapping[str, Any]


class World:
    """A server with a key for each tenant, and the same store behind all other faces.

    Args:
        folder: The store's.
        database_url: PostgreSQL; absent for SQLite.
    """

    def __init__(self, folder: Path, database_url: str | None) -> None:
        read = load_settings(
            store=folder,
            embedder="hashing",
            drafting={"drafts": 1, "rounds": 1, "revisions": 1},
            groups={"minimum": 2},
            # Tenants take turns in one room all the time; a clock that stands still would fill no bucket again.
            serve={"tenants_open": 1, "rate": None},
        )
        url = SecretStr(database_url) if database_url else None
        self.settings: Settings = read.model_copy(update={"database_url": url})
        self.clock = ManualClock(START + timedelta(days=60))
        self.chat = ScriptedChat(_answer)
        self.jobs: tuple[list[str], list[str]] = ([], [])
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Start the server and make the keys."""
        self.rooms = await self._stack.enter_async_context(
            Rooms(self.settings, chat=self.chat, clock=self.clock)
        )
        ring = KeyRing(self.rooms.shared.store.engine, self.clock)
        keys = [(await ring.add(tenant, "admin"))[1] for tenant in TENANTS]
        app = create_app(self.settings, rooms=self.rooms)
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        self.clients = [
            await self._stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app=app),
                    base_url="http://127.0.0.1",
                    headers={"Authorization": f"Bearer {key}"},
                )
            )
            for key in keys
        ]
        for client, key in zip(self.clients, keys, strict=True):
            assert (await client.post("/gallery/login", data={"key": key})).status_code == 303

    async def close(self) -> None:
        """Stop the server."""
        await self._stack.aclose()

    async def do(self, did: Did) -> str:
        """Do something for a tenant; return all that came back, errors too, as text."""
        try:
            answer = await getattr(self, f"do_{did.what}")(did.tenant, **did.arguments)
        except LimnerError as error:
            answer = f"{error.code}: {error}"
        return answer if isinstance(answer, str) else json.dumps(answer, default=_plain)

    async def do_items(self, tenant: int, count: int) -> Any:
        """Put items into the catalogue."""
        items = [
            {
                "item_id": item,
                "title": f"{item.capitalize()} {MARKS[tenant]}",
                "tags": [f"{item} {MARKS[tenant]}", MARKS[tenant]],
                "categories": [f"{MARKS[tenant]} things"],
                "description": f"All about {item}, by {MARKS[tenant]}.",
            }
            for item in ITEMS[:count]
        ]
        return await self._ask(tenant, "POST", "/v1/items", {"items": items})

    async def do_record(self, tenant: int, user: str, first: int, face: str) -> Any:
        """Record what somebody did, through one of three faces."""
        events = [
            {
                "event_id": f"{user}-{day}",
                "item_id": ITEMS[(first + day + tenant) % len(ITEMS)],
                "kind": "review",
                "rating": float(1 + (first + day * (tenant + 1)) % 5),
                "at": (START + timedelta(days=day)).isoformat(),
                "text": f"What {user} says of {ITEMS[(first + day + tenant) % len(ITEMS)]} is {MARKS[tenant]}.",
            }
            for day in range(first, first + 5)
        ]
        if face == "http":
            return await self._ask(tenant, "POST", f"/v1/users/{user}/events", {"events": events})
        if face == "mcp":
            return await self._tool(tenant, "record", user_id=user, events=events)
        async with self.rooms.limner(TENANTS[tenant]) as limner:
            return (await limner.record(user, events))._asdict()

    async def do_say(self, tenant: int, user: str, number: int) -> Any:
        """Say something in a chat."""
        said = (f"I prefer {ITEMS[number]} {MARKS[tenant]}.", f"Hello from {MARKS[tenant]}.", "Forget that.")
        body = {"conversation_id": "chat", "messages": [{"role": "user", "content": said[number % 3]}]}
        return await self._ask(tenant, "POST", f"/v1/users/{user}/messages", body)

    async def do_draw(self, tenant: int, user: str, face: str) -> Any:
        """Draw a portrait."""
        if face == "http":
            return await self._ask(tenant, "POST", f"/v1/users/{user}/profile")
        async with self.rooms.limner(TENANTS[tenant]) as limner:
            return await limner.profile(user)

    async def do_job(self, tenant: int, kind: str) -> Any:
        """Run a background job to its end."""
        job = json.loads(await self._ask(tenant, "POST", "/v1/jobs", {"kind": kind}))
        self.jobs[tenant].append(job["job_id"])
        for _ in range(600):
            told = await self._ask(tenant, "GET", f"/v1/jobs/{job['job_id']}")
            if json.loads(told)["state"] not in ("queued", "running"):
                return told
            await asyncio.sleep(0.02)
        raise AssertionError(f"a job of kind {kind} did not end")

    async def do_read(self, tenant: int, user: str) -> Any:
        """Read everything that is kept, and ask for what only the other tenant has."""
        paths = [
            *(f"/v1/users/{user}/{part}" for part in ("profile", "versions", "events", "group", "export")),
            f"/v1/users/{user}/recommendations",
            f"/v1/users/{user}/context?query=roses",
            f"/v1/users/{user}/pairs/roses",
            *(f"/v1/{part}" for part in ("users", "items", "groups", "counts", "jobs", "rollouts")),
            "/v1/items/roses",
            "/v1/items/roses/card",
            f"/v1/users/{HERMIT}/export" if tenant == 0 else "/v1/counts",
            *(f"/v1/jobs/{name}" for name in self.jobs[1 - tenant]),
            "/metrics",
            "/readyz",
        ]
        answers = [await self._ask(tenant, "GET", path) for path in paths]
        for name in self.jobs[1 - tenant]:
            assert json.loads(answers[paths.index(f"/v1/jobs/{name}")])["status"] == 404
        if tenant == 0:
            assert json.loads(answers[paths.index(f"/v1/users/{HERMIT}/export")])["status"] == 404
        named = (*TENANTS, *MARKS, *USERS, HERMIT)
        assert [word for word in named if word in answers[paths.index("/metrics")]] == []
        return answers

    async def do_look(self, tenant: int, user: str) -> Any:
        """Look at the gallery."""
        views = ("user", "rewards", "map", "group", "pair", "versions", "forget")
        paths = ["/gallery", *(f"/gallery/{view}?id={user}" for view in views)]
        return [
            await self._ask(tenant, "GET", path) for path in [*paths, f"/gallery/pair?id={user}&item=roses"]
        ]

    async def do_tell(self, tenant: int, user: str) -> Any:
        """Ask for what an assistant is told."""
        messages = [{"role": "user", "content": f"What suits me, {MARKS[tenant]}?"}]
        placed = await self._ask(tenant, "POST", "/v1/personalise", {"user": user, "messages": messages})
        asked: dict[str, dict[str, Any]] = {
            "get_context": {"query": "roses"},
            "get_profile": {"with_evidence": True},
            "recommend": {},
        }
        told = [await self._tool(tenant, name, user_id=user, **given) for name, given in asked.items()]
        async with self.rooms.limner(TENANTS[tenant]) as limner:
            return [placed, *told, await limner.context(user)]

    async def do_remember(self, tenant: int, user: str, key: str) -> Any:
        """Put something away and search for it through LangGraph's interface."""
        async with self.rooms.limner(TENANTS[tenant]) as limner:
            store = LimnerStore(limner, clock=self.clock)
            await store.aput(("users", user), key, {"text": f"{key} {MARKS[tenant]}"})
            found = await store.asearch(("users",), query="tea", limit=20)
            portrait = await store.aget(("limner", user), "profile")
            names = await store.alist_namespaces()
            kept = [item.value for item in found]
            return [
                kept,
                names,
                portrait and portrait.value,
                (await store.aget(("users", user), key)) is None,
            ]

    async def do_pair(self, tenant: int, user: str, item: str) -> Any:
        """Write a pair, a card and a ranking, and recommend."""
        ranked = {"items": list(ITEMS[:3]), "top": 2}
        return [
            await self._ask(tenant, "POST", f"/v1/users/{user}/pairs/{item}"),
            await self._ask(tenant, "POST", f"/v1/items/{item}/card"),
            await self._ask(tenant, "POST", f"/v1/users/{user}/ranking", ranked),
            await self._ask(tenant, "POST", f"/v1/users/{user}/recommendations", {"k": 3, "generate": True}),
        ]

    async def do_correct(self, tenant: int, user: str) -> Any:
        """Correct a portrait."""
        body = {"claim": 0, "replace": f"Enjoys tea, {MARKS[tenant]}."}
        return await self._ask(tenant, "POST", f"/v1/users/{user}/corrections", body)

    async def do_forget(self, tenant: int, user: str, part: str) -> Any:
        """Forget something."""
        paths = {
            "event": f"/v1/users/{user}/events/{user}-1",
            "both": f"/v1/users/{user}/items/roses",
            "item": "/v1/items/knots",
            "user": f"/v1/users/{user}",
            "older": "/v1/events?before=2026-03-02T00:00:00Z",
        }
        if part == "mcp":
            return await self._tool(tenant, "forget", user_id=user, event_id=f"{user}-2", confirm=True)
        return await self._ask(tenant, "DELETE", paths[part])

    async def step_out(self) -> None:
        """Let an empty tenant have the one room, so that the others' is closed as if somebody else had come."""
        async with self.rooms.limner("nobody"):
            pass

    async def numbers(self, tenant: int) -> str:
        """Return what a tenant is told that is made of many people's events: as it is, to the last digit."""
        async with self.rooms.limner(TENANTS[tenant]) as limner:
            told: list[Any] = [await limner.counts()]
            for user in USERS:
                for ask in (
                    limner.stored_profile,
                    limner.history,
                    limner.context,
                    limner.recommend,
                    limner.group,
                ):
                    try:
                        told.append(await ask(user))
                    except LimnerError as error:
                        told.append(error.code)
        return re.sub(r'"seconds": [\d.e-]+', "", json.dumps(told, default=_plain))

    async def strays(self) -> list[str]:
        """Return the places where something of a tenant lies under another's name."""

        def look(connection: Connection) -> list[str]:
            found: list[str] = []
            for table in metadata.sorted_tables:
                for row in connection.execute(select(table)):
                    told = repr(tuple(row))
                    others = [mark for mark, name in zip(MARKS, TENANTS, strict=True) if name != row.tenant]
                    found += [f"{table.name}: {told}" for mark in others if mark in told]
                    found += [] if row.tenant in TENANTS else [f"{table.name}: {told}"]
            return found

        store = self.rooms.shared.store
        assert isinstance(store, SqlStore)
        return await store.engine.read(look) + self._in_index() + await self._in_checkpoints()

    def _in_index(self) -> list[str]:
        """Look into the files of the index behind everybody's back."""
        query = (
            "SELECT c.name, e.embedding_id, m.string_value FROM collections c JOIN segments s ON s.collection = c.id "
            "JOIN embeddings e ON e.segment_id = s.id LEFT JOIN embedding_metadata m ON m.id = e.id"
        )
        with closing(sqlite3.connect(self.settings.store / "chroma" / "chroma.sqlite3")) as database:
            rows = database.execute(query).fetchall()
        return [
            repr(row)
            for row in rows
            for tenant, mark in zip(reversed(TENANTS), MARKS, strict=True)
            if mark in repr(row) and f"limner-{tenant}-" in row[0]
        ]

    async def _in_checkpoints(self) -> list[str]:
        found: list[str] = []
        async for kept in self.rooms.shared.saver.alist(None):
            tenant, told = (kept.metadata or {}).get("limner_tenant"), repr(kept)
            found += [
                told for mark, name in zip(MARKS, TENANTS, strict=True) if name != tenant and mark in told
            ]
        return found

    async def _ask(self, tenant: int, method: str, path: str, body: Any = None) -> str:
        answer = await self.clients[tenant].request(method, path, json=body)
        assert answer.status_code < 500 or path == "/readyz", (path, answer.text)
        return answer.text

    async def _tool(self, tenant: int, name: str, **arguments: Any) -> Any:
        tool = _tools[name]
        async with self.rooms.limner(TENANTS[tenant]) as limner:
            try:
                return await tool.run(limner, tool.asked.model_validate(arguments))
            except LimnerError as error:
                return f"{error.code}: {error}"


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else repr(value)


class _Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


tenants, people = st.sampled_from((0, 1)), st.sampled_from(USERS)


class Watch:
    """Does things for both tenants and looks at all that comes of it.

    Args:
        places: Where the next world lies.
    """

    def __init__(self, places: Callable[[], tuple[Path, str | None]]) -> None:
        self.places = places
        self.runner = asyncio.Runner()
        self.world = World(*places())
        self.done: list[Did] = []
        self.log = _Kept()
        logging.getLogger().addHandler(self.log)
        self.runner.run(self.world.open())
        for tenant in (0, 1):
            self.do("items", tenant, count=len(ITEMS))
            for user in USERS[:2]:
                self.do("record", tenant, user=user, first=0, face="python")
        self.do("record", 1, user=HERMIT, first=0, face="http")

    def do(self, what: str, tenant: int, **arguments: Any) -> None:
        """Do something; neither the answer nor a prompt may hold anything of the other tenant's."""
        did = Did(what, tenant, arguments)
        self.done.append(did)
        self.world.chat.requests.clear()
        told = self.runner.run(self.world.do(did))
        other = MARKS[1 - tenant]
        assert other not in told, f"{did} tells {told}"
        asked = [message.content for request in self.world.chat.requests for message in request.messages]
        assert [words for words in asked if other in words] == []

    def look_everywhere(self) -> None:
        """Nothing may lie under the other tenant's name."""
        assert self.runner.run(self.world.strays()) == []

    def end(self) -> None:
        """Do what the first tenant did where nobody else is: every number that it is told must be the same."""
        assert [line for line in self.log.lines for mark in MARKS if mark in line] == []
        alone = World(*self.places())
        self.runner.run(alone.open())
        try:
            for did in self.done:
                self.runner.run(alone.do(did) if did.tenant == 0 else alone.step_out())
            told = self.runner.run(self.world.numbers(0))
            assert told == self.runner.run(alone.numbers(0)), "another tenant's events change what is told"
        finally:
            self.runner.run(alone.close())

    def close(self) -> None:
        """Stop everything."""
        logging.getLogger().removeHandler(self.log)
        self.runner.run(self.world.close())
        self.runner.close()


class TwoTenants(RuleBasedStateMachine):
    """Does things for both tenants in any order; after each, nothing of one may be anywhere of the other's."""

    def __init__(self, places: Callable[[], tuple[Path, str | None]]) -> None:
        super().__init__()
        self.watch = Watch(places)
        self.do = self.watch.do

    @rule(
        tenant=tenants, user=people, first=st.integers(0, 3), face=st.sampled_from(("python", "http", "mcp"))
    )
    def record(self, tenant: int, user: str, first: int, face: str) -> None:
        """See `World.do_record`."""
        self.do("record", tenant, user=user, first=first, face=face)

    @rule(tenant=tenants, user=people, number=st.integers(0, 5))
    def say(self, tenant: int, user: str, number: int) -> None:
        """See `World.do_say`."""
        self.do("say", tenant, user=user, number=number)

    @rule(tenant=tenants, user=people, face=st.sampled_from(("python", "http")))
    def draw(self, tenant: int, user: str, face: str) -> None:
        """See `World.do_draw`."""
        self.do("draw", tenant, user=user, face=face)

    @rule(tenant=tenants, kind=st.sampled_from(("profiles", "refresh", "cards")))
    def job(self, tenant: int, kind: str) -> None:
        """See `World.do_job`."""
        self.do("job", tenant, kind=kind)

    @rule(tenant=tenants, user=people)
    def read(self, tenant: int, user: str) -> None:
        """See `World.do_read`."""
        self.do("read", tenant, user=user)

    @rule(tenant=tenants, user=people)
    def look(self, tenant: int, user: str) -> None:
        """See `World.do_look`."""
        self.do("look", tenant, user=user)

    @rule(tenant=tenants, user=people)
    def tell(self, tenant: int, user: str) -> None:
        """See `World.do_tell`."""
        self.do("tell", tenant, user=user)

    @rule(tenant=tenants, user=people, key=st.sampled_from(("tea", "pets")))
    def remember(self, tenant: int, user: str, key: str) -> None:
        """See `World.do_remember`."""
        self.do("remember", tenant, user=user, key=key)

    @rule(tenant=tenants, user=people, item=st.sampled_from(ITEMS[:2]))
    def pair(self, tenant: int, user: str, item: str) -> None:
        """See `World.do_pair`."""
        self.do("pair", tenant, user=user, item=item)

    @rule(tenant=tenants, user=people)
    def correct(self, tenant: int, user: str) -> None:
        """See `World.do_correct`."""
        self.do("correct", tenant, user=user)

    @rule(
        tenant=tenants, user=people, part=st.sampled_from(("event", "both", "item", "user", "older", "mcp"))
    )
    def forget(self, tenant: int, user: str, part: str) -> None:
        """See `World.do_forget`."""
        self.do("forget", tenant, user=user, part=part)

    @invariant()
    def nothing_strays(self) -> None:
        """See `Watch.look_everywhere`."""
        self.watch.look_everywhere()

    def teardown(self) -> None:
        """See `Watch.end`."""
        try:
            self.watch.end()
        finally:
            self.watch.close()


def _try(places: Callable[[], tuple[Path, str | None]]) -> None:
    """Run the machine: a few worlds, the same ones each time, or as many others as `TENANT_TRIALS` says."""
    wanted, began, done = os.environ.get("TENANT_TRIALS"), time.monotonic(), Counter[str]()

    class Here(TwoTenants):
        def __init__(self) -> None:
            super().__init__(places)

        def teardown(self) -> None:
            super().teardown()
            done.update(worlds=1, steps=len(self.watch.done))
            print(f"\n{dict(done)}, {time.monotonic() - began:.0f} s", flush=True)

    run_state_machine_as_test(
        Here,
        settings=trials(
            max_examples=int(wanted or 2),
            stateful_step_count=40 if wanted else 15,
            derandomize=not wanted,
            phases=(Phase.generate,),  # shrinking would run for an hour
            deadline=None,
            database=None,
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
        ),
    )


def _folders(tmp_path: Path) -> Callable[[], Path]:
    numbers = iter(range(1_000_000))
    return lambda: tmp_path / f"world{next(numbers)}" / "store"


@pytest.mark.timeout(3600)
def test_tenants_never_see_each_other_s_bytes_or_numbers(tmp_path: Path) -> None:
    folder = _folders(tmp_path)
    _try(lambda: (folder(), None))


@pytest.mark.timeout(3600)
def test_tenants_never_see_each_other_on_a_server(tmp_path: Path, new_database: Callable[[], str]) -> None:
    folder = _folders(tmp_path)
    _try(lambda: (folder(), new_database()))


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Two tenants on SQLite."""
    folder = _folders(tmp_path)
    found = Watch(lambda: (folder(), None))
    yield found
    found.close()


def test_a_query_that_reads_the_other_tenant_is_seen(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = sql_portraits.profile

    def of_the_other(connection: Connection, tenant: str, *rest: Any) -> Any:
        return honest(connection, TENANTS[1 - TENANTS.index(tenant)], *rest)

    for tenant in (0, 1):
        watch.do("draw", tenant, user="ada", face="http")
    monkeypatch.setattr(sql_portraits, "profile", of_the_other)

    with pytest.raises(AssertionError, match=r"what='tell'.*tells"):
        watch.do("tell", 0, user="ada")


def test_a_row_under_the_other_tenant_s_name_is_seen(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = sql_caches.put_items

    def under_south(connection: Connection, _tenant: str, items: Sequence[Item]) -> int:
        return honest(connection, "south", items)

    monkeypatch.setattr(sql_caches, "put_items", under_south)

    watch.do("items", 0, count=1)

    with pytest.raises(AssertionError, match="items"):
        watch.look_everywhere()


def test_a_count_over_both_tenants_is_seen(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = sql_groups.choices

    def of_both(connection: Connection, tenant: str, *rest: Any) -> Any:
        mine, theirs = (
            honest(connection, name, *rest) for name in (tenant, TENANTS[1 - TENANTS.index(tenant)])
        )
        return {user: [*mine.get(user, []), *theirs.get(user, [])] for user in {*mine, *theirs}}

    monkeypatch.setattr(sql_groups, "choices", of_both)

    with pytest.raises(AssertionError, match="change what is told"):
        watch.end()
