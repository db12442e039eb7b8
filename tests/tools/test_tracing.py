"""Spans round model calls, as OpenTelemetry's own SDK sees them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.trace import SpanKind, StatusCode

from limner.errors import ModelUnavailableError
from limner.evals.bench.loopback_server import LoopbackServer, Reply
from limner.records import Message
from limner.sections import ChatSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.gateway import LiteLLMChat
from limner.tools.tracing import request_span

ASKED = ChatRequest(
    messages=(Message(role="system", content="Be brief."), Message(role="user", content="my illness")),
    purpose="draft_profile",
    max_tokens=30,
    temperature=0.7,
    seed=5,
)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What was recorded, in order of ending."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def ask(server: LoopbackServer, **settings: Any) -> None:
    chosen = ChatSettings.model_validate(
        {"api_base": server.url, "api_key": "hunter2", "attempts": 1, **settings}
    )
    chat = LiteLLMChat("openai/main", chosen)
    try:
        await chat.complete(ASKED, Budget())
    finally:
        await chat.aclose()


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_call_is_a_span_by_the_conventions(spans: InMemorySpanExporter) -> None:
    async with LoopbackServer(Reply(text="hello", usage=(7, 3))) as server:
        await ask(server)

    [span] = spans.get_finished_spans()
    assert (span.name, span.kind) == ("chat main", SpanKind.CLIENT)
    assert told(span) == {
        names.GEN_AI_OPERATION_NAME: "chat",
        names.GEN_AI_PROVIDER_NAME: "openai",
        names.GEN_AI_REQUEST_MODEL: "main",
        names.GEN_AI_REQUEST_MAX_TOKENS: 30,
        names.GEN_AI_REQUEST_TEMPERATURE: 0.7,
        names.GEN_AI_REQUEST_TOP_P: 1.0,
        names.GEN_AI_REQUEST_SEED: 5,
        names.GEN_AI_OUTPUT_TYPE: "text",
        names.GEN_AI_RESPONSE_MODEL: "openai/main",
        names.GEN_AI_RESPONSE_FINISH_REASONS: ("stop",),
        names.GEN_AI_USAGE_INPUT_TOKENS: 7,
        names.GEN_AI_USAGE_OUTPUT_TOKENS: 3,
        "limner.purpose": "draft_profile",
    }


async def test_what_is_said_is_in_no_span_unless_asked_for(spans: InMemorySpanExporter) -> None:
    async with LoopbackServer("a secret answer") as server:
        await ask(server)
        silent = spans.get_finished_spans()[0].to_json()
        spans.clear()
        await ask(server, trace_content=True)

    assert "illness" not in silent
    assert "secret" not in silent
    told_all = told(spans.get_finished_spans()[0])
    assert json.loads(told_all[names.GEN_AI_INPUT_MESSAGES]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "my illness"}]},
    ]
    [said] = json.loads(told_all[names.GEN_AI_OUTPUT_MESSAGES])
    assert (said["parts"][0]["content"], said["finish_reason"]) == ("a secret answer", "stop")


async def test_a_failed_call_is_an_error_without_the_providers_words(spans: InMemorySpanExporter) -> None:
    async with LoopbackServer(Reply(status=500, text="broke at my illness")) as server:
        with pytest.raises(ModelUnavailableError):
            await ask(server)

    [span] = spans.get_finished_spans()
    assert span.status.status_code == StatusCode.ERROR
    assert told(span)["error.type"]
    assert "illness" not in span.to_json()
    assert "hunter2" not in span.to_json()


def test_a_request_belongs_to_the_trace_that_its_headers_name(spans: InMemorySpanExporter) -> None:
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

    with request_span("GET", {"traceparent": parent}) as span:
        span.finish("/v1/users/{user_id}/context", 200)

    [found] = spans.get_finished_spans()
    assert found.name == "GET /v1/users/{user_id}/context"
    assert found.kind == SpanKind.SERVER
    assert found.context is not None
    assert found.context.trace_id == int("a" * 32, 16)
    assert told(found) == {
        "http.request.method": "GET",
        "http.route": "/v1/users/{user_id}/context",
        "http.response.status_code": 200,
    }


async def test_without_opentelemetry_calls_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    async with LoopbackServer("hello") as server:
        await ask(server)
        assert server.count == 1
    with request_span("GET", {}) as span:
        span.finish("/livez", 200)
