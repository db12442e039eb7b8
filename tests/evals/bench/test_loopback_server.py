"""The test server starts as a process, says where it is, and keeps connections open."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from limner.evals.bench.loopback_server import LoopbackServer, Reply, fill


@pytest.fixture
def address() -> Iterator[str]:
    """Where a server in a process of its own listens."""
    command = [sys.executable, "-m", "limner.evals.bench.loopback_server", "--delay", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def test_it_answers_one_request_after_another_on_one_connection(address: str) -> None:
    url = urlsplit(address)
    assert (url.hostname, url.path) == ("127.0.0.1", "/v1")
    connection = http.client.HTTPConnection("127.0.0.1", url.port or 0, timeout=10)
    schema = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    contents: list[str] = []
    bodies: list[dict[str, object]] = [{"messages": []}, {"messages": [], "response_format": form}]
    for body in bodies:
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        reply = connection.getresponse()
        assert reply.status == 200
        contents.append(json.loads(reply.read())["choices"][0]["message"]["content"])
    connection.close()
    assert contents == ["A sentence from loopback.", '{"mood": "good"}']


async def test_it_counts_and_serves_the_first_replies_first() -> None:
    server = LoopbackServer("later", first=[Reply(text="first")])
    assert [server.receive(b"", b"{}").text for _ in range(2)] == ["first", "later"]
    assert (server.count, server.most_at_once, server.requests) == (2, 2, [{}, {}])


def test_the_smallest_fitting_value_follows_references_and_limits() -> None:
    schema = {
        "$defs": {"Word": {"type": "string", "minLength": 10, "maxLength": 12}},
        "type": "object",
        "properties": {
            "words": {"type": "array", "items": {"$ref": "#/$defs/Word"}, "minItems": 2},
            "maybe": {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]},
            "kind": {"const": "x"},
            "yes": {"type": "boolean"},
        },
    }
    assert fill(schema) == {"words": ["loopbackkk", "loopbackkk"], "maybe": 3, "kind": "x", "yes": False}
