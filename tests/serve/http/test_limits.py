"""What is too large, too deep or broken is refused before it costs anything."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from limner.tools.schemas import is_array, is_object

JSON = {"Content-Type": "application/json"}


async def _in_parts(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1000):
        yield b" " * 1000


async def test_a_body_that_says_that_it_is_too_large_is_not_read(start: Any) -> None:
    server = await start(serve={"max_body": 10_000})

    answered = await server.client.post("/v1/users/ada/events", content=b" " * 10_001, headers=JSON)

    assert (answered.status_code, answered.json()["code"]) == (413, "too_large")


async def test_a_body_of_unknown_length_is_cut_off(start: Any) -> None:
    server = await start(serve={"max_body": 10_000})

    answered = await server.client.post("/v1/users/ada/events", content=_in_parts(20_000), headers=JSON)

    assert answered.status_code == 413


async def test_an_upload_is_cut_off_where_it_passes_its_limit(start: Any) -> None:
    server = await start(serve={"max_upload": 10_000})
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}

    async def parts() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        async for part in _in_parts(20_000):
            yield part

    told = await server.client.post("/v1/jobs/import", files={"file": b" " * 20_000})
    untold = await server.client.post("/v1/jobs/import", content=parts(), headers=boundary)

    assert (told.status_code, untold.status_code) == (413, 413)
    assert (await server.client.get("/v1/jobs")).json()["jobs"] == []


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 50_000, b"[" * 33 + b"]" * 33])
async def test_a_body_that_lies_too_deep_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    answered = await client.post("/v1/users/ada/events", content=content, headers=JSON)

    assert (answered.status_code, answered.json()["code"]) == (422, "too_deep")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'"\\ud800"', b"nul", b'{"events": []}'])
async def test_what_is_no_such_document_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    answered = await client.post("/v1/users/ada/events", content=content, headers=JSON)

    assert (answered.status_code, answered.json()["code"]) == (422, "invalid")


async def test_json_that_calls_itself_something_else_is_refused(client: httpx.AsyncClient) -> None:
    body = b'{"events": [{"kind": "view", "at": "2026-01-01"}]}'

    answered = await client.post("/v1/users/ada/events", content=body, headers={"Content-Type": "text/plain"})

    assert answered.status_code == 422


async def test_a_refusal_does_not_repeat_what_was_sent(client: httpx.AsyncClient) -> None:
    body = {"events": [{"kind": "view", "at": "my secret is 4711"}]}

    answered = await client.post("/v1/users/ada/events", json=body)

    assert answered.status_code == 422
    assert "4711" not in answered.text


async def test_no_request_can_name_an_address_or_a_file_of_the_server(server: Any) -> None:
    document = (await server.client.get("/openapi.json")).json()
    asked = [
        [*operation.get("parameters", []), operation.get("requestBody", {})]
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    names, waiting = set[str](), [asked]
    seen = set[str]()
    while waiting:
        node: Any = waiting.pop()
        if is_array(node):
            waiting += node
        elif is_object(node):
            reference = str(node.get("$ref", "")).rpartition("/")[2]
            if reference and reference not in seen:
                seen.add(reference)
                waiting.append(document["components"]["schemas"][reference])
            names |= {node["name"]} if "in" in node else set()
            names |= set(node.get("properties", {}))
            waiting += node.values()

    assert {"user_id", "events", "mapping", "file"} <= names  # it looks into bodies, uploads and parameters
    words = ("url", "uri", "path", "folder", "host", "address", "api_base", "endpoint", "callback", "proxy")
    assert [name for name in sorted(names) if any(word in name.casefold() for word in words)] == []
