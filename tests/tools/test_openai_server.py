"""The short way to OpenAI-compatible servers: who may go it, and that nobody can tell it from LiteLLM's."""

import json
from typing import Any

import pytest

from limner.errors import ModelUnavailableError
from limner.evals.bench.loopback_server import LoopbackServer, Reply
from limner.records import Message
from limner.sections import ChatSettings
from limner.tools.backends import load_litellm
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.gateway import LiteLLMChat
from limner.tools.openai_server import is_direct, is_hooked

HERE = {"api_base": "http://127.0.0.1:8000/v1", "api_key": "none"}
ASKED = ChatRequest(
    messages=(Message(role="system", content="Be kurz."), Message(role="user", content="Grüße?")),
    purpose="t",
    max_tokens=9,
    temperature=0.5,
    top_p=0.9,
    seed=3,
    top_logprobs=2,
    json_schema={"type": "object", "properties": {"ä": {"type": "string"}}},
)


def said(**parts: Any) -> bytes:
    """One choice as a server may write it."""
    return _json({"choices": [{"message": {"role": "assistant", "content": "a"}, **parts}]})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this machine's own proxies out."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("model", "options", "direct"),
    [
        ("openai/main", HERE, True),
        ("openai/org/main", HERE, True),
        ("openai/gpt-4o", HERE, False),  # listed: LiteLLM may know something about it
        ("openai/gpt-5-mine", HERE, False),  # by its name it takes other parameters
        ("hosted_vllm/main", HERE, False),
        ("main", HERE, False),
        ("openai/main", {"api_base": HERE["api_base"]}, False),  # the key is in the environment
        ("openai/main", {"api_key": "none"}, False),
        ("openai/main", {**HERE, "api_base": "https://example.org/v1"}, False),
        ("openai/main", {**HERE, "api_base": "http://me:hush@example.org/v1"}, False),
        ("openai/main", {**HERE, "api_base": "http://example.org/v1?version=2"}, False),
    ],
)
def test_only_what_litellm_would_pass_on_unchanged_goes_directly(
    model: str, options: dict[str, str], direct: bool
) -> None:
    assert is_direct(load_litellm(), model, options) is direct


def test_a_proxy_on_the_way_is_litellms_affair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert not is_direct(load_litellm(), "openai/main", HERE)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert is_direct(load_litellm(), "openai/main", HERE)


@pytest.mark.parametrize(
    "name",
    [
        *("callbacks", "success_callback", "failure_callback", "input_callback"),
        *("_async_success_callback", "pre_call_rules", "max_budget"),
    ],
)
def test_who_watches_litellm_sees_every_call(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    litellm = load_litellm()
    assert not is_hooked(litellm)
    monkeypatch.setattr(litellm, name, ["watcher"])
    assert is_hooked(litellm)


async def outcome(reply: Reply, way: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Ask once by LiteLLM or directly; return the request and what came of it."""
    litellm = load_litellm()
    monkeypatch.setattr(litellm, "headers", {"X-Way": way} if way == "litellm" else None)
    budget = Budget()
    async with LoopbackServer(reply) as server:
        chat = LiteLLMChat("openai/main", ChatSettings(api_base=server.url, attempts=1, timeout=20))
        try:
            result = await chat.complete(ASKED, budget)
            came: Any = (
                result.text,
                result.finish_reason,
                result.model_rev,
                result.token_logprobs,
                result.first_token,
            )
        except ModelUnavailableError as error:
            came = str(error)
        finally:
            await chat.aclose()
    assert (b"x-way" in server.heads[0].lower()) == (way == "litellm")
    return server.requests[0], (came, budget.spent.model_copy(update={"seconds": 0.0}))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(text="hällo", usage=(11, 2)),
        Reply(text="cut", finish_reason="length"),
        Reply(text="<think>hm</think>done", finish_reason="eos_token"),
        Reply(raw=said()),
        Reply(raw=said(finish_reason="abort", logprobs=None)),
        Reply(raw=said(finish_reason="stop", logprobs={"content": []})),
        Reply(raw=_json({"choices": [{"message": {"content": "no role"}}]})),
        Reply(raw=_json({"choices": [{"message": {"role": "assistant", "content": None}}]})),
        Reply(raw=_json({"choices": []})),
        Reply(raw=_json({"error": {"message": "overloaded", "code": 503}})),
        Reply(raw=b"<html>"),
        *(Reply(status=status, text="why") for status in (400, 401, 403, 404, 408, 409, 413, 422, 425)),
        *(Reply(status=status, text="why", retry_after="7") for status in (429, 500, 502, 503, 504)),
        Reply(text="packed", gzipped=True),
        Reply(status=401, text="why", gzipped=True),
        Reply(status=429, text="why", retry_after="7", gzipped=True),
        Reply(status=400, raw=b"plain words"),
        Reply(status=400, raw=_json("a string")),
        Reply(status=400, raw=_json({"detail": "a field"})),
        Reply(status=400, raw=_json({"error": "a string"})),
        Reply(status=404, raw=_json({"object": "error", "message": "no such model", "code": 404})),
        Reply(status=400, error_code="context_length_exceeded", text="maximum context length is 512 tokens"),
        Reply(status=400, text="response_format json_schema is not supported"),
    ],
    ids=lambda reply: (
        f"{reply.status} {reply.raw or reply.text} {reply.finish_reason}{' gzipped' * reply.gzipped}"
    ),
)
async def test_requests_answers_errors_and_costs_are_those_of_litellm(
    reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_litellm = await outcome(reply, "litellm", monkeypatch)
    directly = await outcome(reply, "directly", monkeypatch)

    assert directly == by_litellm
