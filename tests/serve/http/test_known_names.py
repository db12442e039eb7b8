"""Names that no route knows."""

from typing import Any

import httpx
import pytest


@pytest.mark.parametrize(
    ("method", "path", "given", "told"),
    [
        ("GET", "/v1/users/ada/context", "maxtokens", "did you mean `max_tokens`?"),
        ("GET", "/v1/users/ada/context", "MAX_TOKENS", "did you mean `max_tokens`?"),
        ("GET", "/v1/users", "lmit", "did you mean `limit`?"),
        ("POST", "/v1/users/ada/profile", "budget", "there are `as_of`, `calls`"),
        ("DELETE", "/v1/users/ada", "dryrun", "did you mean `dry_run`?"),
        ("GET", "/v1/counts", "k", "there is none"),
    ],
)
async def test_a_parameter_that_is_misspelt_is_refused_with_the_nearest_there_is(
    client: httpx.AsyncClient, method: str, path: str, given: str, told: str
) -> None:
    answered = await client.request(method, path, params={given: "1"})

    problem = answered.json()
    assert (answered.status_code, problem["code"]) == (422, "unknown_parameter")
    assert told in problem["detail"]
    assert [fault["at"] for fault in problem["errors"]] == [f"query.{given}"]


async def test_nothing_is_forgotten_where_a_parameter_is_misspelt(server: Any) -> None:
    await server.fill("ada")

    refused = await server.client.delete("/v1/users/ada", params={"dry-run": True})

    assert refused.status_code == 422
    assert (await server.client.get("/v1/counts")).json()["interactions"] == 9


async def test_a_field_that_an_upload_does_not_have_is_refused(client: httpx.AsyncClient) -> None:
    line = b'{"user_id": "ada", "item_id": "b1", "at": "2026-01-05"}'

    refused = await client.post("/v1/jobs/import", files={"file": ("a.jsonl", line)}, data={"kinds": "view"})

    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_parameter")
    assert "did you mean `kind`?" in refused.json()["detail"]
    assert (await client.get("/v1/jobs")).json()["jobs"] == []


async def test_parameters_that_there_are_are_taken(server: Any) -> None:
    await server.fill("ada")

    known = {"query": "roses", "max_tokens": 50, "as_of": "2026-04-01"}
    answered = await server.client.get("/v1/users/ada/context", params=known)

    assert answered.status_code == 200


async def test_whoever_has_no_key_is_told_so_and_no_names(start: Any) -> None:
    server = await start(keyed=True)

    refused = await server.client.get("/v1/counts", params={"k": 1})

    assert (refused.status_code, refused.json()["code"]) == (401, "no_key")
