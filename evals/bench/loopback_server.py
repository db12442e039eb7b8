"""A server on loopback that speaks the OpenAI chat protocol and misbehaves on request.

Tests drive it to see what a client does with delays, errors and broken answers. Benchmarks run it in a
process of its own, `python -m limner.evals.bench.loopback_server --delay 0.2`, which prints its base URL; it parses
just enough HTTP/1.1 to stay far from being the bottleneck.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

Json = Mapping[str, Any]
Fault = Literal["none", "hang", "drop", "cut"]

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests"}
_PATHS = (b"/chat/completions ", b"/embeddings ")
_LOGPROB = -0.25


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How one request is answered."""

    text: str = "ok"
    """Content of the assistant's message."""

    delay: float = 0.0
    """Seconds before the answer, on top of the server's own delay."""

    status: int = 200
    """HTTP status; anything from 400 sends an OpenAI error object with `text` as its message."""

    retry_after: str | None = None
    """Value of the Retry-After header; absent to send none."""

    error_code: str | None = None
    """`error.code` of an error object, for example `context_length_exceeded`."""

    finish_reason: str = "stop"
    """As the client will see it."""

    usage: tuple[int, int] | None = (7, 3)
    """Prompt and completion tokens reported; absent to report no usage."""

    raw: bytes | None = None
    """Body sent instead of a chat completion."""

    gzipped: bool = False
    """Whether the body is sent compressed."""

    fault: Fault = "none"
    """`hang` never answers, `drop` closes without an answer, `cut` closes halfway through the body."""


Answer = Callable[[Json], Reply | str]


class LoopbackServer:
    """Answers `/v1/chat/completions` on 127.0.0.1 as scripted, and counts; `/v1/embeddings` too, by `Reply.raw`.

    Args:
        answer: What to say: fixed, or computed from the request's body.
        first: Replies of the first requests, before `answer` is used.
        delay: Seconds before every answer.
        port: Port to listen on; 0 takes a free one.
        record: Whether to keep the bodies and headers of requests.
    """

    def __init__(
        self,
        answer: Answer | Reply | str = "ok",
        *,
        first: Sequence[Reply] = (),
        delay: float = 0.0,
        port: int = 0,
        record: bool = True,
    ) -> None:
        self.count = 0
        self.at_once = 0
        self.most_at_once = 0
        self.requests: list[Json] = []
        self.heads: list[bytes] = []
        self._answer = answer
        self._first = list(first)
        self.delay = delay
        self._port = port
        self._record = record
        self.connections: set[asyncio.Transport] = set()
        self._arrivals: list[tuple[int, asyncio.Event]] = []

    @property
    def url(self) -> str:
        """Base URL for `api_base`."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def arrived(self, count: int) -> None:
        """Return once `count` requests have come in."""
        if self.count < count:
            event = asyncio.Event()
            self._arrivals.append((count, event))
            await event.wait()

    async def __aenter__(self) -> Self:
        """Start listening."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop and close every connection, answered or not."""
        self._server.close()
        for transport in tuple(self.connections):
            transport.abort()
        await self._server.wait_closed()

    def receive(self, head: bytes, body: bytes) -> Reply:
        """Count a request and decide on its answer."""
        self.count += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for waited, event in self._arrivals:
            if self.count >= waited:
                event.set()
        request: Json = json.loads(body) if self._record or callable(self._answer) else {}
        if self._record:
            self.heads.append(head)
            self.requests.append(request)
        reply: Answer | Reply | str = self._first.pop(0) if self._first else self._answer
        decided = reply(request) if callable(reply) else reply
        return Reply(text=decided) if isinstance(decided, str) else decided


class _Connection(asyncio.Protocol):
    """One client; requests on a connection follow one another."""

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server
        self._buffer = b""
        self._answering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self._transport)
        if self._answering is not None:
            self._answering.cancel()
            self._server.at_once -= 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = _content_length(head)
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._take(head, rest[:length])

    def _take(self, head: bytes, body: bytes) -> None:
        server = self._server
        if not any(path in head.partition(b"\r\n")[0] for path in _PATHS):
            self._transport.write(_http(404, b"{}", None))
            return
        reply = server.receive(head, body)
        wait = 1e9 if reply.fault == "hang" else server.delay + reply.delay
        self._answering = asyncio.get_running_loop().call_later(wait, self._send, reply)

    def _send(self, reply: Reply) -> None:
        self._answering = None
        self._server.at_once -= 1
        body = reply.raw if reply.raw is not None else _body(reply, self._server.count)
        message = _http(reply.status, body, reply.retry_after, gzipped=reply.gzipped)
        if reply.fault == "cut":
            self._transport.write(message[: len(message) - len(body) // 2])
        elif reply.fault == "none":
            self._transport.write(message)
        if reply.fault != "none":
            self._transport.close()


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _http(status: int, body: bytes, retry_after: str | None, *, gzipped: bool = False) -> bytes:
    extra = f"Retry-After: {retry_after}\r\n" if retry_after is not None else ""
    if gzipped:
        body, extra = gzip.compress(body), f"{extra}Content-Encoding: gzip\r\n"
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
        f"{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _body(reply: Reply, number: int) -> bytes:
    if reply.status >= 400:
        return json.dumps({"error": {"message": reply.text, "code": reply.error_code}}).encode()
    logprob = {"token": reply.text, "logprob": _LOGPROB, "bytes": None}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text},
        "finish_reason": reply.finish_reason,
        "logprobs": {"content": [{**logprob, "top_logprobs": [logprob]}]},
    }
    completion: dict[str, Any] = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": "loopback",
        "system_fingerprint": "loopback-1",
        "choices": [choice],
    }
    if reply.usage is not None:
        prompt, answer = reply.usage
        total = prompt + answer
        completion["usage"] = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": total}
    return json.dumps(completion).encode()


def fill(schema: Json, root: Json | None = None) -> Any:
    """Return the smallest value that fits a JSON Schema of the kind sent to models.

    Examples:
        >>> fill({"type": "object", "properties": {"a": {"type": "string"}, "b": {"enum": [3, 4]}}})
        {'a': 'loopback', 'b': 3}
    """
    root = schema if root is None else root
    if "$ref" in schema:
        return fill(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return fill(schema[union][0], root)
    return _fill_typed(schema, root)


def _fill_typed(schema: Json, root: Json) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return {name: fill(part, root) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [fill(schema["items"], root) for _ in range(max(1, schema.get("minItems", 1)))]
    if kind == "string":
        return "loopback".ljust(schema.get("minLength", 0), "k")[: schema.get("maxLength")]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return False if kind == "boolean" else None


def fitting(request: Json) -> str:
    """Answer with the smallest JSON that fits the request's schema, or with a sentence if it has none."""
    if "response_format" not in request:
        return "A sentence from loopback."
    return json.dumps(fill(request["response_format"]["json_schema"]["schema"]))


async def _serve(server: LoopbackServer) -> None:
    async with server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--text", help="a fixed answer; without it, JSON that fits the requested schema")
    given = parser.parse_args()
    answer: Answer | str = fitting if given.text is None else given.text
    server = LoopbackServer(answer, delay=given.delay, port=given.port, record=False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server))


if __name__ == "__main__":
    main()
