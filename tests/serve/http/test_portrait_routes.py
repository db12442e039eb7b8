"""Portraits, pairs, rankings, recommendations and groups over HTTP."""

from typing import Any

import pytest


async def test_a_portrait_is_drawn_once_and_then_read(server: Any) -> None:
    await server.fill("ada")
    before = await server.client.get("/v1/users/ada/profile")
    drawn = await server.client.post("/v1/users/ada/profile")
    calls = len(server.chat.requests)
    again = await server.client.post("/v1/users/ada/profile")
    stored = await server.client.get("/v1/users/ada/profile")

    assert (before.status_code, before.json()["code"]) == (404, "no_portrait")
    assert drawn.status_code == 200
    assert (drawn.json()["version"], drawn.json()["likes"]) == (1, ["Enjoys roses."])
    assert again.json() == stored.json() == drawn.json()
    assert calls > 0
    assert len(server.chat.requests) == calls


async def test_every_version_is_kept(server: Any) -> None:
    await server.fill("ada")
    early = (await server.client.post("/v1/users/ada/profile", params={"as_of": "2026-03-08"})).json()
    late = (await server.client.post("/v1/users/ada/profile")).json()

    assert (await server.client.get("/v1/users/ada/versions")).json() == {"versions": [early, late]}
    assert (await server.client.get("/v1/users/ada/versions/1")).json() == early
    assert (await server.client.get("/v1/users/ada/versions/3")).status_code == 404


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/v1/users/nobody/profile", 404, "unknown_user"),
        ("/v1/users/ada/profile?as_of=2026-01-01", 409, "empty_history"),
        ("/v1/users/ada/pairs/nothing", 404, "unknown_item"),
        ("/v1/users/ada/pairs/knots?calls=1", 402, "budget_exceeded"),
        ("/v1/users/ada/profile?calls=0", 422, "invalid"),
        ("/v1/users/ada/versions/99999999999999999999", 405, "method_not_allowed"),
    ],
)
async def test_what_cannot_be_drawn_is_a_problem_and_costs_nothing(
    server: Any, address: str, status: int, code: str
) -> None:
    await server.fill("ada")

    answered = await server.client.post(address)

    assert (answered.status_code, answered.json()["code"]) == (status, code)
    assert server.chat.requests == []


async def test_no_request_may_spend_more_than_the_server_allows(start: Any) -> None:
    server = await start(budget={"calls": 2})
    await server.fill("ada")

    await server.client.post("/v1/users/ada/profile", params={"calls": 1000})

    assert len(server.chat.requests) <= 2


async def test_a_pair_is_written_and_read(server: Any) -> None:
    await server.fill("ada")
    assert (await server.client.get("/v1/users/ada/pairs/knots")).status_code == 404

    written = await server.client.post("/v1/users/ada/pairs/knots")

    assert written.json()["user"]["profile"] == "Enjoys roses."
    assert (await server.client.get("/v1/users/ada/pairs/knots")).json() == written.json()


async def test_candidates_are_ranked_each_once(server: Any) -> None:
    await server.fill("ada")

    ranked = await server.client.post("/v1/users/ada/ranking", json={"items": ["knots", "roses"], "top": 1})

    assert sorted(item["item_id"] for item in ranked.json()["items"]) == ["knots", "roses"]


async def test_recommendations_leave_out_what_is_filtered(server: Any) -> None:
    await server.fill("ada", "bo")
    more = [{"item_id": f"new-{ix}", "title": f"New {ix}", "categories": ["lamps"]} for ix in range(3)]
    await server.client.post("/v1/items", json={"items": more})

    plain = await server.client.get("/v1/users/ada/recommendations", params={"k": 5})
    wanted = {"k": 5, "filters": {"unavailable": ["new-1"]}, "explain": False}
    filtered = await server.client.post("/v1/users/ada/recommendations", json=wanted)
    none = await server.client.post("/v1/users/ada/recommendations", json={"filters": {"without": ["LAMPS"]}})

    assert sorted(item["item_id"] for item in plain.json()["items"]) == ["new-0", "new-1", "new-2"]
    assert sorted(item["item_id"] for item in filtered.json()["items"]) == ["new-0", "new-2"]
    assert none.json()["items"] == []
    assert server.chat.requests == []


async def test_a_card_is_written_and_read(start: Any) -> None:
    server = await start(model="none")
    await server.fill("ada")
    assert (await server.client.get("/v1/items/roses/card")).json()["code"] == "no_card"

    written = await server.client.post("/v1/items/roses/card")

    assert (written.status_code, written.json()["item_id"]) == (200, "roses")
    assert (await server.client.get("/v1/items/roses/card")).json()["fingerprint"] == written.json()[
        "fingerprint"
    ]


async def test_without_a_refresh_there_are_no_groups(server: Any) -> None:
    await server.fill("ada")

    assert (await server.client.get("/v1/users/ada/group")).json()["code"] == "no_groups"
    assert (await server.client.get("/v1/groups")).status_code == 409
    assert (await server.client.get("/v1/groups/g1/members")).json() == {"users": [], "next_cursor": None}


async def test_an_assistant_is_told_what_is_known_and_that_nothing_is(server: Any) -> None:
    await server.fill("ada")
    drawn = (await server.client.post("/v1/users/ada/profile")).json()

    known = (await server.client.get("/v1/users/ada/context", params={"query": "flowers"})).json()
    unknown = (await server.client.get("/v1/users/nobody/context")).json()

    assert (known["known"], known["version"]) == (True, drawn["version"])
    assert "Enjoys roses." in known["stable"]
    assert unknown["known"] is False


async def test_messages_come_back_with_context_and_are_otherwise_as_they_were(server: Any) -> None:
    await server.fill("ada")
    await server.client.post("/v1/users/ada/profile")
    asked = [{"role": "user", "content": "What now?", "name": "ada"}]

    placed = await server.client.post("/v1/personalise", json={"user": "ada", "messages": asked})

    messages = placed.json()["messages"]
    assert "Enjoys roses." in messages[0]["content"]
    assert asked[0] in messages


async def test_a_turn_that_is_sent_again_is_recorded_once(server: Any) -> None:
    talk = {"conversation_id": "c1", "messages": [{"role": "user", "content": "Good morning."}]}

    first = await server.client.post("/v1/users/ada/messages", json=talk)
    again = await server.client.post("/v1/users/ada/messages", json=talk)

    assert (first.json()["recorded"], again.json()["recorded"], again.json()["repeated"]) == (1, 0, 1)


async def test_the_log_of_drafts_is_streamed_line_by_line(server: Any) -> None:
    await server.fill("ada")
    await server.client.post("/v1/users/ada/profile")

    streamed = await server.client.get("/v1/rollouts")

    assert streamed.headers["content-type"] == "application/x-ndjson"
    lines = streamed.text.splitlines()
    assert len(lines) == (await server.client.get("/v1/counts")).json()["rollouts"] > 0
    assert all('"user_id":"ada"' in line for line in lines)
