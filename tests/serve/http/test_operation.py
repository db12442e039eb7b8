"""What whoever runs the server sees: health, numbers, headers, errors, the page of the API."""

import asyncio
import json
import logging
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from limner.errors import (
    BudgetExceededError,
    EncoderChangedError,
    LimnerError,
    SettingsError,
    StoreError,
    WeightsMissingError,
)
from limner.face import Limner
from limner.serve.http.health_routes import model_answers
from limner.serve.http.problems import problem_of, status_of
from limner.settings import Settings, load_settings


def numbers(page: str, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of one name, by the values of their labels in the order of the labels' names."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    }


async def test_a_server_that_can_work_is_alive_and_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).json() == {"status": "ok"}

    ready = await client.get("/readyz")

    assert (ready.status_code, ready.json()["checks"]) == (200, {"store": True, "index": True, "model": True})


async def test_a_server_whose_database_is_gone_is_alive_but_not_ready(server: Any) -> None:
    await server.rooms.shared.store.aclose()

    ready = await server.client.get("/readyz")
    asked = await server.client.get("/v1/counts")

    assert (await server.client.get("/livez")).status_code == 200
    assert (ready.status_code, ready.json()["checks"]["store"]) == (503, False)
    assert (asked.status_code, asked.json()["code"]) == (503, "store")
    assert "limner.db" not in asked.text


async def test_a_model_is_looked_for_without_asking_it_anything(tmp_path: Any) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    def settings(**chat: Any) -> Settings:
        return load_settings(model="openai/x", chat=chat, models_dir=tmp_path)

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    async with listening:
        assert await model_answers(
            settings(api_base=url, api_key="k")
        )  # it is there, whatever it thinks of us

    assert [head.split(b"\r\n")[0] for head in asked] == [b"GET /v1/models HTTP/1.1"]
    assert await model_answers(settings())  # a hosted one is believed
    with pytest.raises(httpx.HTTPError):
        await model_answers(settings(api_base=url))
    with pytest.raises(WeightsMissingError):
        await model_answers(load_settings(models_dir=tmp_path))


async def test_requests_and_model_calls_are_counted_without_naming_anybody(start: Any) -> None:
    server = await start(keyed=True)
    header = await server.key("shop")
    await server.fill("ada", headers=header)
    await server.client.post("/v1/users/ada/profile", headers=header)
    await server.client.get("/v1/users/ada/nothing", headers=header)
    await server.client.request("BREW", "/v1/users/ada/profile", headers=header)

    page = (await server.client.get("/metrics", headers=header)).text
    requests = numbers(page, "limner_http_requests_total")

    assert requests["POST", "/v1/users/{user_id}/profile", "200"] == 1
    assert requests["GET", "none", "404"] == 1
    assert requests["other", "/v1/users/{user_id}/profile", "405"] == 1
    assert numbers(page, "limner_http_request_seconds_count")["POST", "/v1/users/{user_id}/profile"] == 1
    assert numbers(page, "limner_model_calls_total")["scripted", "answered"] == len(server.chat.requests)
    assert numbers(page, "limner_model_tokens_total")["written", "scripted"] > 0
    assert not any(word in page for word in ("ada", "shop", header["Authorization"].split("_")[1]))


async def test_every_answer_says_what_a_browser_may_not_do(client: httpx.AsyncClient) -> None:
    for path in ("/v1/counts", "/v1/nothing", "/docs", "/openapi.json"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-request-id"], path
    assert (await client.get("/v1/counts")).headers["cache-control"] == "no-store"


async def test_a_fault_of_our_own_is_a_problem_without_a_trace(
    server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: Limner) -> None:
        raise ZeroDivisionError("at /secret/place")

    monkeypatch.setattr(Limner, "counts", fail)
    with caplog.at_level(logging.ERROR, "limner.serve"):
        answered = await server.client.get("/v1/counts")

    assert (answered.status_code, answered.json()["code"]) == (500, "internal")
    assert "secret" not in answered.text
    assert answered.json()["request_id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_the_access_log_holds_routes_and_no_ids(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "limner.access"):
        await server.client.get("/v1/users/ada/context", params={"query": "my illness"})

    [line] = [json.loads(record.message) for record in caplog.records if record.name == "limner.access"]
    assert (line["route"], line["status"]) == ("/v1/users/{user_id}/context", 200)
    assert "illness" not in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (BudgetExceededError("calls", 3, 3, 1), 402, True),
        (StoreError("postgresql://db.internal/x", "refused"), 503, False),
        (SettingsError("chat.api_base", "http://10.0.0.7"), 500, False),
        (WeightsMissingError("minilm", "/home/somebody/models"), 500, False),
        (EncoderChangedError("limner-shop-items", "a", "b"), 500, False),
    ],
)
def test_only_what_the_caller_can_mend_is_told(error: LimnerError, status: int, told: bool) -> None:
    problem = problem_of(error)

    assert (problem.status, problem.code) == (status, error.code)
    assert (problem.detail == str(error)) is told


def test_every_error_has_a_status() -> None:
    def below(kind: type[LimnerError]) -> list[type[LimnerError]]:
        return [kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))]

    for kind in below(LimnerError):
        assert 400 <= status_of(kind.__new__(kind)) < 600, kind


class _Page(HTMLParser):
    """Collects the addresses that a page loads, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [
            value or "" for name, value in attrs if name == "src" or (tag == "link" and name == "href")
        ]

    def handle_data(self, data: str) -> None:
        self.words += data


async def test_the_page_of_the_api_names_every_route_and_loads_nothing_from_elsewhere(server: Any) -> None:
    answered = await server.client.get("/docs")
    page = _Page()
    page.feed(answered.text)

    assert page.loaded == ["/docs/reference.css"]
    assert (await server.client.get("/docs/reference.css")).headers["content-type"].startswith("text/css")
    for path in server.app.openapi()["paths"]:
        assert path in page.words, path
    assert "curl -X POST http://127.0.0.1/v1/users/ada/events" in page.words


async def test_the_document_names_the_key_and_shows_an_example_of_every_body(server: Any) -> None:
    document = (await server.client.get("/openapi.json")).json()

    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path.startswith("/v1/"):
                assert operation["security"] == [{"key": []}], path
                assert operation["description"], path
            for body in operation.get("requestBody", {}).get("content", {}).values():
                assert "examples" in _whole(document, body["schema"]) or "file" in str(body), path
    assert list(document["paths"]["/v1/counts"]["get"]["responses"]["401"]["content"]) == [
        "application/problem+json"
    ]


def _whole(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return a schema as JSON, with every schema that it names behind it."""
    text, seen = json.dumps(schema), set[str]()
    while new := set(re.findall(r"#/components/schemas/(\w+)", text)) - seen:
        seen |= new
        text += "".join(json.dumps(document["components"]["schemas"][name]) for name in sorted(new))
    return text


async def test_the_start_page_leads_somewhere(client: httpx.AsyncClient) -> None:
    answered = await client.get("/")

    assert answered.status_code == 307
    assert (await client.get(answered.headers["location"])).status_code == 200
