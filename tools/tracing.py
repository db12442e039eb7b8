"""Spans round model calls and requests by OpenTelemetry's conventions; nothing happens unless it is installed and set up.

What is said to a model and what it answers is in no span unless `chat.trace_content` asks for it.

Source:
    https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ for the names of attributes.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .chat import ChatRequest, ChatResult

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""LiteLLM's names where the convention has others."""


class CallSpan(Protocol):
    """A model call under way."""

    def answered(self, result: "ChatResult") -> None:
        """Note what came back."""
        ...

    def failed(self, kind: str) -> None:
        """Note that nothing usable came back; `kind` is a word of ours, not the provider's."""
        ...


class RequestSpan(Protocol):
    """A request under way."""

    def finish(self, route: str, status: int | None) -> None:
        """Note which route answered and how."""
        ...


class _Silent:
    """A span that nobody records."""

    def answered(self, result: "ChatResult") -> None:
        """Do nothing."""

    def failed(self, kind: str) -> None:
        """Do nothing."""

    def finish(self, route: str, status: int | None) -> None:
        """Do nothing."""


class _Call:
    """A model call that is recorded."""

    def __init__(self, span: Any, *, content: bool) -> None:
        self._span, self._content = span, content

    def answered(self, result: "ChatResult") -> None:
        """Note model, tokens and why it stopped."""
        self._span.set_attributes(
            {
                "gen_ai.response.model": result.model,
                "gen_ai.response.finish_reasons": (result.finish_reason,),
                "gen_ai.usage.input_tokens": result.usage.prompt_tokens,
                "gen_ai.usage.output_tokens": result.usage.completion_tokens,
            }
        )
        if self._content:
            said = [_message("assistant", result.text) | {"finish_reason": result.finish_reason}]
            self._span.set_attribute("gen_ai.output.messages", json.dumps(said, ensure_ascii=False))

    def failed(self, kind: str) -> None:
        """Note the kind of failure."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))


class _Request:
    """A request that is recorded."""

    def __init__(self, span: Any, method: str) -> None:
        self._span, self._method = span, method

    def finish(self, route: str, status: int | None) -> None:
        """Note which route answered and how; the path itself names users and stays out."""
        from opentelemetry.trace import Status, StatusCode

        self._span.update_name(f"{self._method} {route}")
        self._span.set_attribute("http.route", route)
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if status is None or status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


@contextmanager
def call_span(model: str, request: "ChatRequest", *, content: bool = False) -> Generator[CallSpan]:
    """Record one call of a model.

    Args:
        model: LiteLLM model string.
        request: What is asked.
        content: Whether to record the messages and the answer as well.
    """
    tracer = _tracer()
    if tracer is None:
        yield _Silent()
        return
    from opentelemetry.trace import SpanKind

    provider, _, name = model.rpartition("/")
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _provider(provider),
        "gen_ai.request.model": name,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.output.type": "text" if request.json_schema is None else "json",
        "limner.purpose": request.purpose,
    }
    if request.seed is not None:
        attributes["gen_ai.request.seed"] = request.seed
    if content:
        asked = [_message(part.role, part.content) for part in request.messages]
        attributes["gen_ai.input.messages"] = json.dumps(asked, ensure_ascii=False)
    # An exception's own text may repeat what was said, so it is not recorded.
    with tracer.start_as_current_span(
        f"chat {name}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield _Call(span, content=content)


@contextmanager
def request_span(method: str, headers: Mapping[str, str]) -> Generator[RequestSpan]:
    """Record one request; it belongs to the trace that its headers name, if they do."""
    tracer = _tracer()
    if tracer is None:
        yield _Silent()
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span(
        method,
        context=extract(dict(headers)),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield _Request(span, method)


def _tracer() -> Any:
    """Return where spans go; nothing if OpenTelemetry is not installed."""
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:
        return None
    return get_tracer("limner")


def _provider(prefix: str) -> str:
    """Return the convention's name of a provider.

    Examples:
        >>> _provider(""), _provider("bedrock"), _provider("openrouter/anthropic"), _provider("limner")
        ('openai', 'aws.bedrock', 'openrouter', 'limner')
    """
    first = prefix.partition("/")[0]
    return _PROVIDERS.get(first, first or "openai")


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}
