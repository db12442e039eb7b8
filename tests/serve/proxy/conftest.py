"""A real LiteLLM proxy with the hook, in front of a server on loopback that keeps what it was sent."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from limner import Interaction, Limner
from limner.doors import open_only_store
from limner.settings import Settings, load_settings

Json = dict[str, Any]

ANSWER = "An answer"
MASTER_KEY = "sk-" + "0123456789abcdef" * 4
LATER = datetime(2100, 1, 1, tzinfo=UTC)
WORDS = {"acme": ("roses", "compost", "orchids"), "other": ("comets", "nebulae", "planets")}
"""What Ada likes, by tenant: the two tenants know different people of one name."""

AUTH = """
from litellm.proxy._types import UserAPIKeyAuth


async def user_api_key_auth(request, api_key):
    named = {"sk-acme": {"metadata": {"limner_tenant": "acme"}}, "sk-other": {"key_alias": "other-app"}}
    return UserAPIKeyAuth(api_key=api_key, **named.get(api_key, {"key_alias": "stranger"}))
"""

FAULTS = '''
"""Makes Limner hang for one user and fail for another."""

import asyncio

from litellm.integrations.custom_logger import CustomLogger

from limner import Limner

whole = Limner.context


async def context(self, user_id, *args, **options):
    if user_id == "hang":
        await asyncio.Event().wait()
    if user_id == "fail":
        raise RuntimeError("words of a user")
    return await whole(self, user_id, *args, **options)


Limner.context = context
handler = CustomLogger()
'''


class Upstream:
    """Answers like OpenAI and like Anthropic, and keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Json]] = []
        paths = {
            "/v1/chat/completions": self._chat,
            "/v1/responses": self._respond,
            "/v1/messages": self._message,
            "/v1/completions": self._complete,
            "/v1/embeddings": self._embed,
        }
        self.app = Starlette(routes=[Route(path, answer, methods=["POST"]) for path, answer in paths.items()])

    def bodies(self) -> list[Json]:
        """Return the requests that came since the last look."""
        found, self.requests = self.requests, []
        return [body for _, body in found]

    async def _keep(self, request: Request) -> Json:
        body: Json = await request.json()
        self.requests.append((request.url.path, body))
        return body

    async def _chat(self, request: Request) -> Response:
        body = await self._keep(request)
        if body["model"] == "down":
            return JSONResponse({"error": {"message": "down"}}, status_code=500)
        head = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            choice = {"index": 0, "message": _said(ANSWER), "finish_reason": "stop"}
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
            return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
        deltas: list[tuple[Json, str | None]] = [
            (_said("An "), None),
            ({"content": "answer"}, None),
            ({}, "stop"),
        ]
        return _stream(
            [
                {
                    **head,
                    "object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": end}],
                }
                for delta, end in deltas
            ]
        )

    async def _respond(self, request: Request) -> Response:
        body = await self._keep(request)
        text: Json = {"type": "output_text", "text": ANSWER, "annotations": []}
        message: Json = {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "content": [text],
            "role": "assistant",
        }
        usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
        done: Json = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": body["model"],
            "output": [message],
            "usage": usage,
            "metadata": {},
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "temperature": 1.0,
            "top_p": 1.0,
        }
        if not body.get("stream"):
            return JSONResponse(done)
        delta: Json = {
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": ANSWER,
            "logprobs": [],
        }
        events: list[Json] = [
            {"type": "response.created", "response": {**done, "status": "in_progress", "output": []}},
            {"type": "response.output_text.delta", **delta},
            {"type": "response.completed", "response": done},
        ]
        return _stream([{**event, "sequence_number": ix} for ix, event in enumerate(events)], named=True)

    async def _message(self, request: Request) -> Response:
        body = await self._keep(request)
        done: Json = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": ANSWER}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 3},
        }
        if not body.get("stream"):
            return JSONResponse(done)
        events: list[Json] = [
            {"type": "message_start", "message": {**done, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ANSWER}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
        ]
        return _stream(events, named=True)

    async def _complete(self, request: Request) -> Response:
        body = await self._keep(request)
        choice = {"index": 0, "text": ANSWER, "finish_reason": "stop", "logprobs": None}
        head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
        return JSONResponse({**head, "choices": [choice]})

    async def _embed(self, request: Request) -> Response:
        body = await self._keep(request)
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        return JSONResponse({"object": "list", "model": body["model"], "data": data, "usage": {}})


def _said(text: str) -> Json:
    return {"role": "assistant", "content": text}


def _stream(events: Sequence[Json], *, named: bool = False) -> Response:
    async def lines() -> AsyncGenerator[bytes]:
        for event in events:
            name = f"event: {event['type']}\n" if named else ""
            yield f"{name}data: {json.dumps(event)}\n\n".encode()
        if not named:
            yield b"data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """The proxy, what stands behind it, and where the hook keeps things."""

    url: str
    upstream: Upstream
    store: Path
    log: Path
    settings: Settings = field(repr=False)

    def post(self, path: str, body: Json, *, key: str = "sk-acme") -> str:
        """Send a request and return the text of its answer, streamed or not."""
        response = httpx.post(
            f"{self.url}{path}", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60
        )
        assert response.status_code == 200, response.text
        return response.text

    def said(self, user_id: str, *, tenant: str = "acme") -> list[str]:
        """Return what a user was heard to say, in any order."""

        async def read() -> list[Interaction]:
            async with open_only_store(self.settings.model_copy(update={"tenant": tenant})) as store:
                return await store.history(user_id, as_of=LATER)

        return sorted(event.text or "" for event in asyncio.run(read()) if event.kind == "message")

    def wait_for(self, user_id: str, words: Sequence[str]) -> None:
        """Return once a user was heard to say exactly this; fail if that does not come."""
        deadline = time.monotonic() + 30
        while self.said(user_id) != sorted(words):
            assert time.monotonic() < deadline, (self.said(user_id), self.log.read_text("utf-8")[-4000:])
            time.sleep(0.1)


async def _draw(settings: Settings) -> None:
    """Draw Ada for each tenant."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for tenant, words in WORDS.items():
        async with Limner(settings.model_copy(update={"tenant": tenant})) as limner:
            await limner.add_items([{"item_id": word, "title": f"The book of {word}"} for word in words])
            for day, word in enumerate(words):
                event = {
                    "item_id": word,
                    "kind": "purchase",
                    "at": start + timedelta(days=day),
                    "text": f"I love {word}",
                }
                await limner.record("ada", [event])
            await limner.profile("ada")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="package")
def upstream() -> Iterator[tuple[Upstream, int]]:
    """The model's server and its port."""
    kept, port = Upstream(), _free_port()
    server = uvicorn.Server(uvicorn.Config(kept.app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield kept, port
    server.should_exit = True
    thread.join()


def _config(port: int) -> Json:
    served = {"api_base": f"http://127.0.0.1:{port}/v1", "api_key": "none"}
    claude = {
        "model": "anthropic/claude-sonnet-4-5",
        "api_base": f"http://127.0.0.1:{port}",
        "api_key": "none",
    }
    return {
        "model_list": [
            {"model_name": "chat", "litellm_params": {"model": "openai/up", **served}},
            {"model_name": "down", "litellm_params": {"model": "openai/down", **served}},
            {"model_name": "claude", "litellm_params": claude},
        ],
        "litellm_settings": {
            "callbacks": ["limner.serve.litellm_hook.proxy_handler_instance", "faults.handler"],
            "num_retries": 1,
        },
        "router_settings": {"fallbacks": [{"down": ["chat"]}], "retry_after": 0},
        "general_settings": {"master_key": MASTER_KEY, "custom_auth": "auth.user_api_key_auth"},
    }


@pytest.fixture(scope="package")
def proxy(upstream: tuple[Upstream, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that serves until the last test of the folder."""
    kept, upstream_port = upstream
    folder = tmp_path_factory.mktemp("proxy")
    settings = load_settings(store=folder / "store", embedder="hashing", model="none")
    asyncio.run(_draw(settings))
    # JSON is YAML, too.
    (folder / "config.yaml").write_text(json.dumps(_config(upstream_port)), encoding="utf-8")
    (folder / "auth.py").write_text(AUTH, encoding="utf-8")
    (folder / "faults.py").write_text(FAULTS, encoding="utf-8")
    environment = {
        **os.environ,
        "LIMNER_STORE": str(settings.store),
        "LIMNER_EMBEDDER": "hashing",
        "LIMNER_MODEL": "none",
        "LIMNER_PROXY__TIMEOUT": "3",
        "LIMNER_PROXY__TENANTS": '{"other-app": "other"}',
    }
    port, log = _free_port(), folder / "log"
    command = [str(Path(sys.executable).parent / "litellm"), "--config", "config.yaml", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], cwd=folder, env=environment, stdout=output, stderr=output
        )
        try:
            found = Proxy(
                url=f"http://127.0.0.1:{port}",
                upstream=kept,
                store=settings.store,
                log=log,
                settings=settings,
            )
            _await_start(process, found)
            yield found
        finally:
            process.terminate()
            process.wait(timeout=20)


def _await_start(process: "subprocess.Popen[bytes]", proxy: Proxy) -> None:
    """Wait until the proxy answers and the hook has opened its store, which the first request begins."""
    deadline = time.monotonic() + 100
    body = {"model": "chat", "user": "ada", "messages": [{"role": "user", "content": "warm"}]}
    while time.monotonic() < deadline and process.poll() is None:
        try:
            proxy.post("/v1/chat/completions", body)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if len(proxy.upstream.bodies()[-1]["messages"]) > 1:
            return
    raise AssertionError(proxy.log.read_text("utf-8")[-4000:])
