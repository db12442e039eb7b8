"""MCP over streamable HTTP: a real server on loopback, the SDK's own client, keys, tenants, names and origins."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from limner.errors import SettingsError
from limner.serve.http.rooms import Rooms
from limner.serve.mcp.mcp_http import mcp_app
from limner.settings import Settings
from limner.tools.keys import KeyRing

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
ACCEPT = {"Accept": "application/json, text/event-stream"}


class Served(NamedTuple):
    """A running server and keys of two tenants."""

    url: str
    ring: KeyRing
    admin: str
    reader: str
    other: str


@asynccontextmanager
async def serving(settings: Settings, rooms: Rooms) -> AsyncGenerator[str]:
    config = uvicorn.Config(mcp_app(settings, rooms=rooms), port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def served(filled: Settings) -> AsyncIterator[Served]:
    async with Rooms(filled) as rooms:
        ring = KeyRing(rooms.shared.store.engine, rooms.clock)
        _, admin = await ring.add("default", "admin")
        _, reader = await ring.add("default", "read")
        _, other = await ring.add("other", "write")
        async with serving(filled, rooms) as url:
            yield Served(url, ring, admin, reader, other)


@asynccontextmanager
async def connected(url: str, key: str, mode: str) -> AsyncGenerator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_each_key_sees_its_own_tenant_only(served: Served, mode: str) -> None:
    async with (
        connected(served.url, served.admin, mode) as ours,
        connected(served.url, served.other, mode) as theirs,
    ):
        found = {
            (name, user): not (await client.call_tool("get_profile", {"user_id": user})).is_error
            for name, client in (("ours", ours), ("theirs", theirs))
            for user in ("ada", "cleo")
        }
        listed = [
            [resource.name for resource in (await client.list_resources()).resources]
            for client in (ours, theirs)
        ]

    assert found == {
        ("ours", "ada"): True,
        ("ours", "cleo"): False,
        ("theirs", "ada"): False,
        ("theirs", "cleo"): True,
    }
    assert listed == [["ada"], ["cleo"]]


async def test_a_key_that_may_only_read_records_and_forgets_nothing(served: Served) -> None:
    said = {"user_id": "ada", "events": [{"kind": "message", "text": "I love tea."}]}

    async with connected(served.url, served.reader, "auto") as reader:
        recorded = await reader.call_tool("record", said)
        forgotten = await reader.call_tool("forget", {"user_id": "ada", "confirm": True})
        read = await reader.call_tool("get_profile", {"user_id": "ada"})

    assert recorded.is_error and forgotten.is_error and not read.is_error
    assert "takes a key with the role 'write'" in str(recorded.content)
    assert "takes a key with the role 'admin'" in str(forgotten.content)


async def test_forgetting_one_event_takes_less_than_forgetting_everything(served: Served) -> None:
    event = {"user_id": "cleo", "event_id": "cleo-compost", "confirm": True}

    async with connected(served.url, served.other, "auto") as writer:
        one = await writer.call_tool("forget", event)
        everything = await writer.call_tool("forget", {"user_id": "cleo", "confirm": True})

    assert not one.is_error
    assert everything.is_error


async def test_no_key_a_wrong_key_and_a_revoked_key_open_nothing(served: Served) -> None:
    key, words = await served.ring.add("default", "read")
    await served.ring.revoke(key.key_id)

    async with httpx.AsyncClient() as http:
        answers = [
            await http.post(served.url, json=INITIALIZE, headers={**ACCEPT, **shown})
            for shown in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {served.admin}"},
                {"Authorization": f"Bearer {words}"},
            )
        ]

    assert [answer.status_code for answer in answers] == [401] * 4
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)


async def test_a_session_belongs_to_the_key_that_opened_it(served: Served) -> None:
    async with httpx.AsyncClient(headers=ACCEPT) as http:
        opened = await http.post(
            served.url, json=INITIALIZE, headers={"Authorization": f"Bearer {served.admin}"}
        )
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-06-18"}
        statuses = [
            (
                await http.post(served.url, json=LIST, headers={**session, "Authorization": f"Bearer {key}"})
            ).status_code
            for key in (served.admin, served.reader, served.other)
        ]

    assert statuses == [200, 404, 404]


async def test_a_key_that_is_revoked_ends_its_session(served: Served) -> None:
    key, words = await served.ring.add("default", "read")
    shown = {**ACCEPT, "Authorization": f"Bearer {words}"}

    async with httpx.AsyncClient(headers=shown) as http:
        opened = await http.post(served.url, json=INITIALIZE)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-06-18"}
        await served.ring.revoke(key.key_id)
        after = await http.post(served.url, json=LIST, headers=session)

    assert (opened.status_code, after.status_code) == (200, 401)


async def test_without_keys_only_the_machine_itself_is_answered(filled: Settings) -> None:
    async with (
        Rooms(filled) as rooms,
        serving(filled, rooms) as url,
        httpx.AsyncClient(headers=ACCEPT) as http,
    ):
        port = httpx.URL(url).port
        own, foreign, page = [
            await http.post(url, json=INITIALIZE, headers=headers)
            for headers in (
                {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"},
                {"Host": "evil.example"},
                {"Origin": "http://evil.example"},
            )
        ]
        async with Client(url) as client:
            found = await client.call_tool("get_profile", {"user_id": "ada"})

    assert (own.status_code, foreign.status_code, page.status_code) == (200, 403, 403)
    assert "evil.example" in foreign.json()["error"]["message"]
    assert not found.is_error


async def test_other_machines_are_not_answered_without_keys(filled: Settings) -> None:
    away = filled.model_copy(update={"serve": filled.serve.model_copy(update={"host": "0.0.0.0"})})

    async with Rooms(away) as rooms:
        app = mcp_app(away, rooms=rooms)
        with pytest.raises(SettingsError, match=r"can be reached from other machines and there is no key"):
            async with app.router.lifespan_context(app):
                pass


async def test_a_body_that_is_too_long_is_refused(filled: Settings) -> None:
    small = filled.model_copy(update={"serve": filled.serve.model_copy(update={"max_body": 1000})})
    long = json.dumps({**INITIALIZE, "padding": "x" * 2000})

    async with Rooms(small) as rooms, serving(small, rooms) as url, httpx.AsyncClient(headers=ACCEPT) as http:
        answer = await http.post(url, content=long, headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


async def test_a_key_that_asks_too_often_is_told_to_wait(filled: Settings) -> None:
    slow = filled.model_copy(update={"serve": filled.serve.model_copy(update={"rate": 0.001, "burst": 2})})

    async with Rooms(slow) as rooms:
        _, words = await KeyRing(rooms.shared.store.engine, rooms.clock).add("default", "read")
        shown = {**ACCEPT, "Authorization": f"Bearer {words}"}
        async with serving(slow, rooms) as url, httpx.AsyncClient(headers=shown) as http:
            statuses = [(await http.post(url, json=INITIALIZE)).status_code for _ in range(3)]
            waiting = await http.post(url, json=INITIALIZE)

    assert statuses == [200, 200, 429]
    assert int(waiting.headers["retry-after"]) >= 1
