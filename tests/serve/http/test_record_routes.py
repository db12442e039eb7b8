"""Recording and reading over HTTP."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Events = Callable[[str], list[dict[str, Any]]]


async def test_recording_again_changes_nothing(client: httpx.AsyncClient, events: Events) -> None:
    first = await client.post("/v1/users/ada/events", json={"events": events("ada")})
    again = await client.post("/v1/users/ada/events", json={"events": events("ada")[:2]})

    assert (first.json()["added"], first.json()["repeated"]) == (9, 0)
    assert (again.json()["added"], again.json()["repeated"]) == (0, 2)
    assert (await client.get("/v1/counts")).json()["interactions"] == 9


async def test_an_event_has_the_id_that_python_gives_it(server: Any) -> None:
    row = {"kind": "rating", "item_id": "roses", "rating": 4, "at": "2026-03-01T00:00:00Z"}
    await server.client.post("/v1/users/ada/events", json={"events": [row]})

    async with server.rooms.limner("default") as limner:
        assert await limner.record("ada", [row]) == (0, 1, 0)


async def test_events_of_several_users_are_one_write(client: httpx.AsyncClient, events: Events) -> None:
    rows = [{**row, "user_id": user} for user in ("ada", "bo") for row in events(user)]

    assert (await client.post("/v1/events", json={"events": rows})).json()["added"] == 18
    assert (await client.get("/v1/users")).json() == {"users": ["ada", "bo"], "next_cursor": None}


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"kind": "stare"}, "body.events.1.kind"),
        ({"at": "yesterday"}, "body.events.1.at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "body.events.1.at"),  # before the year 1 in UTC
        ({"rating": float("nan")}, "body.events.1.rating"),
        ({"text": "a\x00b"}, "body.events.1.text"),
        ({"event_id": ""}, "body.events.1.event_id"),
        ({"stars": 3}, "body.events.1.stars"),
    ],
)
async def test_a_bad_event_is_named_and_nothing_is_recorded(
    client: httpx.AsyncClient, events: Events, change: dict[str, Any], at: str
) -> None:
    import json

    good, bad = events("ada")[:2]
    answered = await client.post(
        "/v1/users/ada/events",
        content=json.dumps({"events": [good, {**bad, **change}]}),
        headers={"Content-Type": "application/json"},
    )

    assert answered.status_code == 422
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json()["errors"][0]["at"] == at
    assert (await client.get("/v1/counts")).json()["interactions"] == 0


@pytest.mark.parametrize("name", ["a/b", "é ü", "50%25", "..", "?x=1#y"])
async def test_ids_may_hold_any_character(client: httpx.AsyncClient, events: Events, name: str) -> None:
    from urllib.parse import quote

    address = f"/v1/users/{quote(name, safe='').replace('.', '%2E')}/events"
    assert (await client.post(address, json={"events": events("x")[:1]})).status_code == 200

    assert (await client.get("/v1/users")).json()["users"] == [name]
    assert [event["user_id"] for event in (await client.get(address)).json()["events"]] == [name]


async def test_history_comes_newest_first_in_pages_that_later_events_do_not_move(
    client: httpx.AsyncClient, events: Events
) -> None:
    # Days 3 and 4 happen at one moment, so that the page ends between two equal moments.
    rows = events("ada")
    rows[3]["at"] = rows[4]["at"]
    await client.post("/v1/users/ada/events", json={"events": rows})

    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 5, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/v1/users/ada/events", params=params)).json()
        seen += [event["event_id"] for event in page["events"]]
        newer = {"kind": "view", "at": "2026-04-20T00:00:00Z", "event_id": f"late-{len(seen)}"}
        await client.post("/v1/users/ada/events", json={"events": [newer]})
        if (cursor := page["next_cursor"]) is None:
            break

    assert seen == [f"ada-{day}" for day in (8, 7, 6, 5, 4, 3, 2, 1, 0)]


async def test_history_before_a_moment_leaves_that_moment_out(
    client: httpx.AsyncClient, events: Events
) -> None:
    await client.post("/v1/users/ada/events", json={"events": events("ada")})

    page = await client.get("/v1/users/ada/events", params={"as_of": events("ada")[2]["at"]})

    assert [event["event_id"] for event in page.json()["events"]] == ["ada-1", "ada-0"]


@pytest.mark.parametrize(
    "cursor", ["x", "W10", "WzFd", "WyJhIiwgImIiXQ", "////", "WyIyMDI2LTAxLTAxIiwgIlx1MDAwMCJd"]
)
async def test_a_cursor_that_no_page_gave_is_refused(
    client: httpx.AsyncClient, events: Events, cursor: str
) -> None:
    await client.post("/v1/users/ada/events", json={"events": events("ada")})

    answered = await client.get("/v1/users/ada/events", params={"cursor": cursor})

    assert (answered.status_code, answered.json()["code"]) == (422, "cursor")


async def test_the_catalogue_comes_in_pages(client: httpx.AsyncClient) -> None:
    items = [{"item_id": f"i{number}", "title": f"Thing {number}"} for number in range(5)]
    assert (await client.post("/v1/items", json={"items": items})).json() == {"changed": 5}
    assert (await client.post("/v1/items", json={"items": items})).json() == {"changed": 0}

    first = (await client.get("/v1/items", params={"limit": 3})).json()
    rest = (await client.get("/v1/items", params={"limit": 3, "cursor": first["next_cursor"]})).json()

    assert [item["item_id"] for item in first["items"] + rest["items"]] == ["i0", "i1", "i2", "i3", "i4"]
    assert rest["next_cursor"] is None
    assert (await client.get("/v1/items/i3")).json()["title"] == "Thing 3"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/v1/users/nobody/events", "unknown_user"),
        ("/v1/items/nothing", "unknown_item"),
        ("/v1/no", "not_found"),
    ],
)
async def test_what_is_not_there_is_a_404_with_a_code(
    client: httpx.AsyncClient, address: str, code: str
) -> None:
    answered = await client.get(address)

    assert (answered.status_code, answered.json()["code"]) == (404, code)
    assert answered.json()["type"] == f"urn:limner:problem:{code}"
    assert answered.json()["request_id"] == answered.headers["x-request-id"]
