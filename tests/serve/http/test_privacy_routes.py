"""Taking back and putting right over HTTP."""

from typing import Any


async def test_a_user_is_forgotten_with_a_receipt_and_again_with_an_empty_one(server: Any) -> None:
    await server.fill("ada", "bo")
    await server.client.post("/v1/users/ada/profile")

    tried = (await server.client.delete("/v1/users/ada", params={"dry_run": True})).json()
    assert (await server.client.get("/v1/users/ada/profile")).status_code == 200
    receipt = (await server.client.delete("/v1/users/ada")).json()
    again = (await server.client.delete("/v1/users/ada")).json()

    assert (tried["dry_run"], receipt["dry_run"], receipt["user_id"]) == (True, False, "ada")
    assert receipt["removed"]["interactions"] == 9
    assert "interactions" not in again["removed"]
    assert (await server.client.get("/v1/users/ada/profile")).status_code == 404
    assert (await server.client.get("/v1/users")).json()["users"] == ["bo"]
    assert "by ada" not in (await server.client.get("/v1/rollouts")).text


async def test_one_thing_is_forgotten_and_the_rest_stays(server: Any) -> None:
    await server.fill("ada")

    await server.client.delete("/v1/users/ada/events/ada-0")
    await server.client.delete("/v1/users/ada/items/knots")
    await server.client.delete("/v1/events", params={"before": "2026-03-03T00:00:00Z"})

    page = (await server.client.get("/v1/users/ada/events")).json()["events"]
    # Of the items of days 0 to 8, day 0 went by its event, day 7 by its item, day 1 by its age.
    assert [event["event_id"] for event in page] == ["ada-8", "ada-6", "ada-5", "ada-4", "ada-3", "ada-2"]


async def test_an_item_is_forgotten_for_everybody(server: Any) -> None:
    await server.fill("ada", "bo")

    await server.client.delete("/v1/items/roses")

    assert (await server.client.get("/v1/items/roses")).status_code == 404
    assert (await server.client.get("/v1/counts")).json()["interactions"] == 16


async def test_a_tenant_is_forgotten_only_by_its_name_and_its_keys_stay(start: Any) -> None:
    server = await start(keyed=True)
    mine, theirs = await server.key("shop"), await server.key("other")
    await server.fill("ada", headers=mine)
    await server.fill("ada", headers=theirs)

    wrong = await server.client.delete("/v1/tenant", params={"confirm": "other"}, headers=mine)
    right = await server.client.delete("/v1/tenant", params={"confirm": "shop"}, headers=mine)

    assert (wrong.status_code, wrong.json()["code"], right.status_code) == (422, "confirm", 200)
    assert (await server.client.get("/v1/counts", headers=mine)).json()["interactions"] == 0
    assert (await server.client.get("/v1/counts", headers=theirs)).json()["interactions"] == 9


async def test_a_correction_is_a_new_version(server: Any) -> None:
    await server.fill("ada")
    await server.client.post("/v1/users/ada/profile")

    corrected = await server.client.post(
        "/v1/users/ada/corrections", json={"claim": 0, "replace": "Grows tulips.", "reason": "never roses"}
    )
    unknown = await server.client.post("/v1/users/ada/corrections", json={"claim": 99, "remove": True})
    neither = await server.client.post("/v1/users/ada/corrections", json={"claim": 0})

    assert (corrected.status_code, corrected.json()["parent_version"]) == (200, 1)
    assert "Grows tulips." in corrected.json()["text"]
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_claim")
    assert neither.status_code == 422


async def test_everything_about_a_user_is_given_out(server: Any) -> None:
    await server.fill("ada", "bo")

    held = await server.client.get("/v1/users/ada/export")
    nobody = await server.client.get("/v1/users/nobody/export")

    async with server.rooms.limner("default") as limner:
        assert held.json() == await limner.export_user("ada")
    assert len(held.json()["interactions"]) == 9
    assert held.headers["content-type"] == "application/json"
    assert "by bo" not in held.text
    assert nobody.status_code == 404
