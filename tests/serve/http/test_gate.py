"""Who is let in: keys, roles, tenants, names and limits."""

from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from limner import Limner
from limner.errors import SettingsError
from limner.serve.http.app import create_app
from limner.serve.http.gate import open_gate
from limner.serve.http.rooms import Rooms
from limner.settings import Settings, load_settings
from limner.tools.scripted import ScriptedChat

OPEN = {"/livez", "/readyz"}


def filled(path: str) -> str:
    """Put words into the template of a path."""
    for name, word in (("user_id", "ada"), ("item_id", "roses"), ("event_id", "ada-0"), ("group_id", "g1")):
        path = path.replace(f"{{{name}}}", word)
    return path.replace("{version}", "1").replace("{job_id}", "0" * 16)


def operations(server: Any) -> list[tuple[str, str]]:
    """Return method and path of everything in the OpenAPI document."""
    return [
        (method.upper(), path)
        for path, methods in server.app.openapi()["paths"].items()
        for method in methods
        if path not in OPEN
    ]


async def test_without_a_key_nothing_is_answered_but_whether_the_server_lives(start: Any) -> None:
    server = await start(keyed=True)
    found = operations(server)
    assert len(found) > 35

    for method, path in [*found, ("GET", "/v1/no/such/route"), ("POST", "/v1/users")]:
        answered = await server.client.request(method, filled(path))
        assert (answered.status_code, answered.json()["code"]) == (401, "no_key"), path
        assert answered.headers["www-authenticate"].startswith("Bearer"), path
    for path in OPEN:
        assert (await server.client.get(path)).status_code == 200


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer",
        "Bearer limner_000000000000_" + "A" * 43,
        "Basic abc",
        "Bearer \x00",
        "Bearer limner_xyz_short",
    ],
)
async def test_what_is_no_key_opens_nothing(start: Any, shown: str) -> None:
    server = await start(keyed=True)

    answered = await server.client.get("/v1/counts", headers={"Authorization": shown.encode()})

    assert answered.status_code == 401


async def test_a_key_with_another_secret_opens_nothing(start: Any) -> None:
    server = await start(keyed=True)
    right, other = await server.key(), await server.key()
    name, secret = right["Authorization"].rpartition("_")[0], other["Authorization"].rpartition("_")[2]

    assert (await server.client.get("/v1/counts", headers=right)).status_code == 200
    forged = {"Authorization": f"{name}_{secret}"}
    assert (await server.client.get("/v1/counts", headers=forged)).status_code == 401


async def test_a_revoked_key_opens_nothing_from_the_next_request_on(start: Any) -> None:
    server = await start(keyed=True)
    header = await server.key()
    key_id = header["Authorization"].split("_")[1]
    assert (await server.client.get("/v1/counts", headers=header)).status_code == 200

    await server.app.state.gate.ring.revoke(key_id)

    assert (await server.client.get("/v1/counts", headers=header)).status_code == 401


async def test_a_server_whose_keys_are_all_revoked_opens_to_nobody(start: Any) -> None:
    server = await start(keyed=True)
    header = await server.key()
    gate = server.app.state.gate
    for key in await gate.ring.listed():
        await gate.ring.revoke(key.key_id)

    assert not (await open_gate(server.app.state.rooms.settings, server.app.state.rooms)).open_to_all
    assert (await server.client.get("/v1/counts", headers=header)).status_code == 401


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        ("read", "POST", "/v1/users/ada/events", {"events": [{"kind": "view", "at": "2026-01-01"}]}),
        ("read", "POST", "/v1/users/ada/profile", None),
        ("read", "POST", "/v1/jobs", {"kind": "refresh"}),
        ("read", "DELETE", "/v1/users/ada/events/e1", None),
        ("write", "DELETE", "/v1/users/ada", None),
        ("write", "DELETE", "/v1/tenant?confirm=shop", None),
        ("write", "GET", "/v1/rollouts", None),
        ("write", "GET", "/v1/groups/g1/members", None),
        ("write", "GET", "/metrics", None),
    ],
)
async def test_a_role_that_allows_less_is_refused(
    start: Any, role: str, method: str, path: str, body: Any
) -> None:
    server = await start(keyed=True)
    header = await server.key("shop", role)

    answered = await server.client.request(method, path, json=body, headers=header)

    assert (answered.status_code, answered.json()["code"]) == (403, "role")


async def test_tenants_with_the_same_ids_never_see_each_other(start: Any) -> None:
    server = await start(keyed=True)
    one, two = await server.key("one"), await server.key("two")
    await server.fill("ada", headers=one)
    await server.client.post("/v1/users/ada/profile", headers=one)
    job = (await server.client.post("/v1/jobs", json={"kind": "profiles"}, headers=one)).json()
    mine = {"kind": "message", "at": "2026-01-01", "text": "tulips"}
    await server.client.post("/v1/users/ada/events", json={"events": [mine]}, headers=two)

    theirs = await server.client.get("/v1/users/ada/events", headers=two)
    assert [event["text"] for event in theirs.json()["events"]] == ["tulips"]
    assert (await server.client.get("/v1/users/ada/profile", headers=two)).status_code == 404
    assert (await server.client.get("/v1/items/roses", headers=two)).status_code == 404
    assert (await server.client.get("/v1/jobs", headers=two)).json()["jobs"] == []
    for path in ("", "/events", "/cancel", "/retry"):
        method = "GET" if path in ("", "/events") else "POST"
        answered = await server.client.request(method, f"/v1/jobs/{job['job_id']}{path}", headers=two)
        assert answered.status_code == 404, path
    assert (await server.client.get("/v1/rollouts", headers=two)).text == ""
    told = await server.client.get("/v1/users/ada/context", headers=two)
    assert "roses" not in told.text.lower()


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(start: Any) -> None:
    server = await start(keyed=True, serve={"rate": 0.5, "burst": 2})
    header, other = await server.key(), await server.key()

    taken = [(await server.client.get("/v1/counts", headers=header)).status_code for _ in range(2)]
    refused = await server.client.get("/v1/counts", headers=header)

    assert taken == [200, 200]
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "2"  # a token every two seconds
    assert (await server.client.get("/v1/counts", headers=other)).status_code == 200
    server.clock.advance(2)
    assert (await server.client.get("/v1/counts", headers=header)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "0.0.0.0"])
async def test_without_keys_only_the_machines_own_names_count(client: httpx.AsyncClient, host: str) -> None:
    answered = await client.get("/v1/counts", headers={"Host": host})

    assert (answered.status_code, answered.json()["code"]) == (403, "host")


@pytest.mark.parametrize("host", ["localhost:8321", "127.0.0.1:1", "[::1]:8321", "LOCALHOST"])
async def test_the_machines_own_names_are_let_in(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/v1/counts", headers={"Host": host})).status_code == 200


async def test_without_keys_pages_of_other_sites_are_refused(client: httpx.AsyncClient) -> None:
    foreign = {"Origin": "https://evil.example"}
    nowhere = {"Origin": "null"}
    other_port = {"Origin": "http://127.0.0.1:9999"}
    own = {"Origin": "http://127.0.0.1"}

    statuses = [
        (await client.get("/v1/counts", headers=headers)).status_code
        for headers in (foreign, nowhere, other_port, own)
    ]

    assert statuses == [403, 403, 403, 200]


async def test_named_hosts_are_let_in_and_others_refused_also_with_keys(start: Any) -> None:
    server = await start(keyed=True, serve={"hosts": ["portraits.example"]})
    header = await server.key()

    named = await server.client.get("/v1/counts", headers={**header, "Host": "portraits.example:443"})
    other = await server.client.get("/v1/counts", headers={**header, "Host": "evil.example"})

    assert (named.status_code, other.status_code) == (200, 403)


async def test_cors_is_closed_unless_an_origin_is_named(start: Any) -> None:
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    closed = await start(keyed=True)
    answered = await closed.client.options("/v1/users/ada/events", headers=asks)
    assert "access-control-allow-origin" not in answered.headers

    opened = await start(keyed=True, serve={"origins": ["https://app.example"]})
    preflight = await opened.client.options("/v1/users/ada/events", headers=asks)
    refused = await opened.client.get("/v1/counts", headers={"Origin": "https://app.example"})
    foreign = await opened.client.options("/v1/counts", headers={**asks, "Origin": "https://evil.example"})

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert refused.status_code == 401  # a page may ask, but needs a key all the same
    assert refused.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in foreign.headers


async def test_a_server_that_others_reach_does_not_start_without_a_key(tmp_path: Any) -> None:
    settings = load_settings(store=tmp_path, embedder="hashing", model="none", serve={"host": "0.0.0.0"})
    async with Rooms(settings) as rooms:
        app = create_app(settings, rooms=rooms)
        with pytest.raises(SettingsError, match="limner keys add"):
            async with app.router.lifespan_context(app):
                pass


async def test_too_many_tenants_take_turns(start: Any) -> None:
    server = await start(keyed=True, serve={"tenants_open": 2})
    keys = [await server.key(f"t{number}") for number in range(4)]

    for _ in range(2):
        for number, header in enumerate(keys):
            event = {"kind": "view", "at": f"2026-01-0{number + 1}"}
            await server.client.post(f"/v1/users/u{number}/events", json={"events": [event]}, headers=header)
    users = [(await server.client.get("/v1/users", headers=header)).json()["users"] for header in keys]

    assert users == [["u0"], ["u1"], ["u2"], ["u3"]]
    assert server.rooms.open_tenants <= 2


async def test_a_tenant_that_is_asked_for_while_others_close_stays_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = settings.model_copy(update={"serve": settings.serve.model_copy(update={"tenants_open": 1})})
    close, asked = Limner.__aexit__, list[Limner]()

    async with Rooms(few, chat=ScriptedChat()) as rooms, AsyncExitStack() as stack:

        async def close_slowly(closing: Limner, *exc: Any) -> None:
            if not asked:  # the first that closes: somebody comes in for the second
                asked.append(await stack.enter_async_context(rooms.limner("b")))
            await close(closing, *exc)

        monkeypatch.setattr(Limner, "__aexit__", close_slowly)
        async with rooms.limner("a"):
            async with rooms.limner("b"):
                pass  # `a` is in use, so the tenant of the settings and `b` are closed

            assert (await asked[0].counts()).users == 0
