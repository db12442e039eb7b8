"""The tools and resources of the MCP server, asked by the SDK's own client in this process.

The client checks every answer against the output schema that its tool publishes.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, TextContent, TextResourceContents

from limner import Limner
from limner.errors import ModelUnavailableError, StoreError
from limner.serve.mcp import mcp_resources
from limner.serve.mcp.mcp_resources import uri_of
from limner.serve.mcp.mcp_server import Asked, build_server
from limner.tools.keys import Role

pytestmark = pytest.mark.parametrize("mode", ["legacy", "auto"], ids=["handshake", "stateless"])


@pytest.fixture
async def client(limner: Limner, mode: str) -> AsyncIterator[Client]:
    @asynccontextmanager
    async def desk(_asked: Asked, _role: Role) -> AsyncGenerator[Limner]:
        yield limner

    # The client must be closed by the task that opened it, which a fixture's two halves need not share.
    ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:
        async with Client(build_server(desk, frank=True), mode=mode) as connected:
            ready.set_result(connected)
            await done.wait()

    holding = asyncio.create_task(hold())
    yield await ready
    done.set()
    await holding


def words_of(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


async def answer(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, words_of(result)
    assert result.structured_content == json.loads(words_of(result))
    found: dict[str, Any] = result.structured_content
    return found


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return words_of(result)


async def test_five_tools_say_what_they_may_do(client: Client) -> None:
    tools = (await client.list_tools()).tools

    hints = {
        tool.name: (
            tool.annotations.read_only_hint,
            tool.annotations.destructive_hint,
            tool.annotations.idempotent_hint,
            tool.annotations.open_world_hint,
        )
        for tool in tools
        if tool.annotations
    }
    # Reads only, deletes, harmless to repeat, reaches beyond this machine (a drawing may call a hosted model).
    assert hints == {
        "get_profile": (True, False, True, False),
        "get_context": (True, False, True, False),
        "record": (False, False, True, True),
        "recommend": (True, False, True, False),
        "forget": (False, True, True, False),
    }
    assert all(tool.description and tool.output_schema for tool in tools)


async def test_what_an_assistant_reads_of_all_tools_is_short(client: Client) -> None:
    tools = (await client.list_tools()).tools

    read = "".join(f"{tool.name} {tool.description} {json.dumps(tool.input_schema)}" for tool in tools)
    # Four characters a token: about a thousand tokens, once a conversation.
    assert len(read) < 5_000


async def test_a_portrait_comes_as_it_is_stored(client: Client, limner: Limner) -> None:
    stored = await limner.stored_profile("ada")
    assert stored is not None

    found = await answer(client, "get_profile", user_id="ada")
    told = await answer(client, "get_profile", user_id="ada", with_evidence=True)

    assert (found["text"], found["version"], found["language"]) == (stored.text, 1, "en")
    assert "claims" not in found
    assert told["claims"][0] == {"text": stored.claims[0].text, "evidence": list(stored.claims[0].evidence)}


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("get_profile", {"user_id": "nobody"}, "unknown_user: user_id='nobody' is not in the store"),
        ("get_profile", {"user_id": "bo"}, "no_portrait: user_id='bo' has events but no portrait yet"),
        ("get_profile", {}, "bad_argument: `user_id` of get_profile: is missing; correct it"),
        (
            "get_context",
            {"user_id": "ada", "max_tokens": 9},
            "bad_argument: `max_tokens` of get_context: Input",
        ),
        (
            "get_context",
            {"user_id": "ada", "tenant": "other"},
            "bad_argument: `tenant` of get_context: Extra",
        ),
        ("recommend", {"user_id": "nobody"}, "unknown_user: user_id='nobody'"),
        (
            "forget",
            {"user_id": "ada", "event_id": "a", "item_id": "b"},
            "input: give `item_id` or `event_id`",
        ),
        ("remember", {}, "unknown_tool: there is no tool 'remember'; there are get_profile, get_context"),
    ],
)
async def test_what_cannot_be_done_is_a_tool_error_that_says_what_to_do(
    client: Client, tool: str, arguments: dict[str, Any], says: str
) -> None:
    assert (await refusal(client, tool, **arguments)).startswith(says)


async def test_context_keeps_to_its_tokens_and_names_its_evidence_only_if_asked(client: Client) -> None:
    found = await answer(client, "get_context", user_id="ada", query="Which roses?", max_tokens=120)
    told = await answer(client, "get_context", user_id="ada", query="Which roses?", with_evidence=True)

    assert found["known"]
    assert 0 < found["tokens"] <= 120
    assert found["version"] == 1
    assert "evidence" not in found
    assert set(told["evidence"]) <= {
        f"ada-{word}" for word in ("roses", "compost", "orchids", "hedges", "ferns")
    }
    assert told["evidence"]


async def test_context_of_somebody_unknown_says_so_without_an_error(client: Client) -> None:
    found = await answer(client, "get_context", user_id="nobody")

    assert not found["known"]
    assert found["text"]


async def test_what_is_recorded_is_kept_once(client: Client, limner: Limner) -> None:
    said = {"kind": "message", "text": "I am allergic to pollen."}
    bought = {"kind": "purchase", "item_id": "tulips", "event_id": "order-1", "at": "2026-04-01T10:00:00Z"}

    first = await answer(client, "record", user_id="ada", events=[said, bought])
    again = await answer(client, "record", user_id="ada", events=[said, bought])

    assert (first, again) == ({"added": 2, "repeated": 0}, {"added": 0, "repeated": 2})
    kept = {event.event_id: event for event in await limner.history("ada")}
    assert kept["order-1"].item_id == "tulips"
    assert [event.text for event in kept.values() if event.kind == "message"] == ["I am allergic to pollen."]


async def test_nothing_is_recorded_if_one_event_is_wrong(client: Client, limner: Limner) -> None:
    before = await limner.history("ada")
    events = [{"kind": "message", "text": "I like tea."}, {"kind": "message"}]

    said = await refusal(client, "record", user_id="ada", events=events)

    assert "bad_argument: `events.1` of record: Value error, a message needs `text`" in said
    assert await limner.history("ada") == before


async def test_recording_can_draw_the_portrait_anew(client: Client) -> None:
    found = await answer(
        client,
        "record",
        user_id="bo",
        events=[{"kind": "purchase", "item_id": "peonies", "at": "2026-04-01T10:00:00Z"}],
        draw=True,
    )

    assert found == {"added": 1, "repeated": 0, "version": 1}
    assert (await answer(client, "get_profile", user_id="bo"))["version"] == 1


async def test_a_portrait_that_cannot_be_drawn_takes_nothing_recorded_back(client: Client) -> None:
    events = [{"kind": "click", "item_id": "unlisted"}]

    found = await answer(client, "record", user_id="dan", events=events, draw=True)

    assert found["added"] == 1
    assert "version" not in found
    assert found["note"].startswith("recorded, but no portrait was drawn: no_text:")


async def test_recommended_are_items_the_user_does_not_have(client: Client) -> None:
    found = await answer(client, "recommend", user_id="ada", k=2)
    botany = await answer(client, "recommend", user_id="ada", categories=["botany"])

    assert {item["item_id"] for item in found["items"]} <= {"tulips", "dahlias", "peonies"}
    assert len(found["items"]) == 2
    assert all(item["title"].startswith("The book of ") and item["because"] for item in found["items"])
    # Of the three left, every second item of the list is botany: dahlias.
    assert [item["item_id"] for item in botany["items"]] == ["dahlias"]


async def test_forgetting_without_consent_deletes_nothing(client: Client, limner: Limner) -> None:
    found = await answer(client, "forget", user_id="ada")
    nobody = await answer(client, "forget", user_id="nobody")

    assert found["forgotten"] is False
    assert sum(found["removed"].values()) >= 6  # five events and a portrait
    assert "ask the user" in found["note"]
    assert nobody["note"] == "there is nothing to delete"
    assert len(await limner.history("ada")) == 5
    assert await limner.stored_profile("ada") is not None


async def test_forgetting_with_consent_leaves_nothing_and_gives_a_receipt(client: Client) -> None:
    found = await answer(client, "forget", user_id="ada", confirm=True)

    assert found["forgotten"] is True
    assert sum(found["removed"].values()) >= 6  # five events and a portrait
    assert (await refusal(client, "get_profile", user_id="ada")).startswith("unknown_user:")
    assert not (await answer(client, "get_context", user_id="ada"))["known"]


async def test_one_event_can_be_forgotten(client: Client, limner: Limner) -> None:
    await answer(client, "forget", user_id="ada", event_id="ada-roses", confirm=True)

    assert [event.event_id for event in await limner.history("ada")] == [
        f"ada-{word}" for word in ("compost", "orchids", "hedges", "ferns")
    ]


async def test_portraits_are_listed_page_by_page_and_read(
    client: Client, limner: Limner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limner.profile("bo")
    monkeypatch.setattr(mcp_resources, "PAGE", 1)

    first = await client.list_resources()
    second = await client.list_resources(cursor=first.next_cursor)
    read = await client.read_resource(str(first.resources[0].uri))

    pages = [[str(resource.uri) for resource in page.resources] for page in (first, second)]
    assert pages == [["limner://users/ada/portrait"], ["limner://users/bo/portrait"]]
    assert second.next_cursor is None
    [content] = read.contents
    stored = await limner.stored_profile("ada")
    assert isinstance(content, TextResourceContents) and stored
    assert content.text == stored.text
    templates = (await client.list_resource_templates()).resource_templates
    assert [one.uri_template for one in templates] == ["limner://users/{user_id}/portrait"]


async def test_any_user_id_has_a_resource(client: Client, limner: Limner) -> None:
    strange = "../ada lovelace@example.org?a=b#c/üß"
    await limner.record(
        strange, [{"kind": "review", "item_id": "roses", "at": "2026-03-01", "text": "Nice."}]
    )
    stored = await limner.profile(strange)

    read = await client.read_resource(uri_of(strange))

    [content] = read.contents
    assert isinstance(content, TextResourceContents)
    assert content.text == stored.text


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("limner://users/nobody/portrait", "unknown_user"),
        ("limner://users/bo/portrait", "no_portrait"),
        ("limner://users/ada", "unknown_resource"),
        ("file:///etc/passwd", "unknown_resource"),
    ],
)
async def test_a_resource_that_is_not_there_is_an_error_of_the_protocol(
    client: Client, uri: str, code: str
) -> None:
    with pytest.raises(MCPError, match=rf"^{code}: ") as caught:
        await client.read_resource(uri)

    assert (caught.value.error.code, caught.value.error.data) == (-32602, {"code": code})


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (StoreError("sqlite:///secret/place.db", "disk is full"), "tell whoever runs this server"),
        (ModelUnavailableError("openai/secret", 4, "timeout"), "try again later"),
        (RuntimeError("secret"), "tell whoever runs this server"),
    ],
)
async def test_others_learn_nothing_of_what_is_wrong_inside_the_server(
    mode: str, error: Exception, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def desk(_asked: Asked, _role: Role) -> AsyncGenerator[Limner]:
        raise error
        yield

    async with Client(build_server(desk, frank=False), mode=mode) as client:
        said = await refusal(client, "get_profile", user_id="ada")

    assert said.startswith(f"{getattr(error, 'code', 'internal')}: ") and said.endswith(advice)
    assert "secret" not in said
    assert "secret" in caplog.text
