"""Every verb of the public face is offered over HTTP."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

from limner import Limner

OFFERED: Mapping[str, str] = {
    "record": "POST /v1/users/{user_id}/events",
    "record_many": "POST /v1/events",
    "history": "GET /v1/users/{user_id}/events",
    "add_items": "POST /v1/items",
    "items": "GET /v1/items/{item_id}",
    "users": "GET /v1/users",
    "counts": "GET /v1/counts",
    "profile": "POST /v1/users/{user_id}/profile",
    "profiles": "POST /v1/jobs",
    "stored_profile": "GET /v1/users/{user_id}/profile",
    "rollouts": "GET /v1/rollouts",
    "export_rollouts": "GET /v1/rollouts",
    "import_file": "POST /v1/jobs/import",
    "reindex": "POST /v1/jobs",
    "fill_index": "POST /v1/jobs",
    "estimate": "POST /v1/estimates",
    "estimate_cards": "POST /v1/estimates",
    "estimate_rank": "POST /v1/estimates",
    "pair": "POST /v1/users/{user_id}/pairs/{item_id}",
    "pairs": "POST /v1/jobs",
    "rank": "POST /v1/users/{user_id}/ranking",
    "rank_stream": "POST /v1/users/{user_id}/ranking/stream",
    "recommend": "POST /v1/users/{user_id}/recommendations",
    "recommend_many": "POST /v1/recommendations",
    "cards": "POST /v1/jobs",
    "group": "GET /v1/users/{user_id}/group",
    "groups": "GET /v1/groups",
    "group_members": "GET /v1/groups/{group_id}/members",
    "refresh": "POST /v1/jobs",
    "context": "GET /v1/users/{user_id}/context",
    "personalise": "POST /v1/personalise",
    "listen": "POST /v1/users/{user_id}/messages",
    "forget": "DELETE /v1/users/{user_id}",
    "forget_item": "DELETE /v1/items/{item_id}",
    "forget_older": "DELETE /v1/events",
    "forget_tenant": "DELETE /v1/tenant",
    "resume_forgets": "POST /v1/forgets/resume",
    "correct": "POST /v1/users/{user_id}/corrections",
    "export_user": "GET /v1/users/{user_id}/export",
    "stream_user": "GET /v1/users/{user_id}/export",
}
INNER = {"prepare"}
"""What the verbs themselves call."""

IN_FOLDERS = {"profiles_to", "recommend_to"}
"""What writes files on the machine it is called on."""


async def test_every_verb_has_its_route(server: Any) -> None:
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    verbs = {
        name
        for name, found in inspect.getmembers(Limner)
        if not name.startswith("_") and any(is_kind(found) for is_kind in kinds)
    }
    paths = (await server.client.get("/openapi.json")).json()["paths"]
    routes = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}

    assert verbs - INNER - IN_FOLDERS == set(OFFERED)
    assert set(OFFERED.values()) <= routes


async def test_what_drawing_would_cost_is_told_and_no_model_asked(server: Any) -> None:
    await server.fill("ada", "bo")

    everybody = (await server.client.post("/v1/estimates", json={"kind": "profiles"})).json()
    one = (await server.client.post("/v1/estimates", json={"kind": "profiles", "user_ids": ["bo"]})).json()
    cards = (await server.client.post("/v1/estimates", json={"kind": "cards"})).json()
    wanted = {"kind": "ranking", "user_id": "ada", "items": ["roses", "knots"], "top": 1}
    ranking = (await server.client.post("/v1/estimates", json=wanted)).json()

    assert (everybody["users"], one["users"]) == (2, 1)
    assert everybody["prompt_tokens"] > one["prompt_tokens"] > 0
    assert cards["items"] + cards["shared"] == 9
    assert ranking["candidates"] == 2
    assert server.chat.requests == []


async def test_what_a_refresh_would_do_is_told_and_nothing_done(start: Any) -> None:
    server = await start(groups={"minimum": 2})
    await server.fill("ada", "bo", "cleo", "dan")

    told = await server.client.post("/v1/estimates", json={"kind": "refresh"})

    assert (told.status_code, told.json()["dry_run"], told.json()["recomputed"]) == (200, True, 4)
    assert (await server.client.get("/v1/groups")).json()["code"] == "no_groups"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_many_users_get_recommendations_a_line_each_and_errors_stand_among_them(server: Any) -> None:
    await server.fill("ada", "bo")
    await server.client.post("/v1/items", json={"items": [{"item_id": "lamps", "title": "Lamps"}]})

    found = await server.client.post("/v1/recommendations", json={"user_ids": ["ada", "nobody"], "k": 3})
    everybody = await server.client.post("/v1/recommendations", json={"k": 3})

    told = {entry["user_id"]: entry for entry in lines(found.text)}
    assert found.headers["content-type"] == "application/x-ndjson"
    # Each had nine of the ten items.
    assert [one["item_id"] for one in told["ada"]["recommendations"]["items"]] == ["lamps"]
    assert (told["nobody"]["error"]["code"], "recommendations" in told["nobody"]) == ("unknown_user", False)
    assert {entry["user_id"] for entry in lines(everybody.text)} == {"ada", "bo"}


async def test_a_stream_that_cannot_begin_is_an_error_like_any_other(server: Any) -> None:
    empty = await server.client.post("/v1/recommendations", json={})
    nobody = await server.client.post("/v1/users/nobody/ranking/stream", json={"items": ["b1"]})

    assert (empty.status_code, empty.json()["code"]) == (422, "input")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown_user")


async def test_a_ranking_is_streamed_until_it_is_final(server: Any) -> None:
    await server.fill("ada", "bo")

    found = await server.client.post(
        "/v1/users/ada/ranking/stream", json={"items": ["roses", "knots"], "top": 1}
    )

    rankings = lines(found.text)
    assert [ranking["final"] for ranking in rankings] == [False] * (len(rankings) - 1) + [True]
    assert {entry["item_id"] for entry in rankings[-1]["items"]} == {"roses", "knots"}


async def test_a_stream_says_that_its_key_was_revoked_and_ends(start: Any) -> None:
    server = await start(keyed=True)
    key = await server.key()
    await server.fill("ada", "bo", "cleo", headers=key)
    gate = server.app.state.gate
    admits, asked = gate.still_admits, 0

    async def revoked_after_one(caller: Any) -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:
            await gate.ring.revoke(caller.key_id)
        return bool(await admits(caller))

    gate.still_admits = revoked_after_one
    found = await server.client.post("/v1/recommendations", json={"filters": {"had": False}}, headers=key)

    # The first comes with the status, the second after the first look, the third not any more.
    first, second, last = lines(found.text)
    assert "recommendations" in first
    assert "recommendations" in second
    assert last["error"]["code"] == "no_key"


async def test_files_are_rewritten_later_where_that_is_wanted(server: Any) -> None:
    await server.fill("ada")

    receipt = (await server.client.delete("/v1/users/ada", params={"scrub": False})).json()
    resumed = (await server.client.post("/v1/forgets/resume")).json()
    again = (await server.client.post("/v1/forgets/resume")).json()

    assert receipt["finished"] is False
    assert (resumed, again) == ({"finished": 1}, {"finished": 0})
