"""What a real LiteLLM proxy with the hook sends on, endpoint by endpoint."""

import json
from typing import Any, Literal

import openai
import pytest

Json = dict[str, Any]
Shape = Literal["chat", "responses", "messages"]

RULES = "Be kind."
FIRST, SECOND = "Which roses for a balcony?", "And how much water?"
ANSWER = "An answer"
STABLE, VOLATILE = "<user_profile>", "<user_recent>"


def chat(proxy: Any, said: list[str], *, stream: bool, user: str = "ada", key: str = "sk-acme") -> str:
    """Ask through OpenAI's SDK, as an app that keeps its own history does."""
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0)
    messages: Any = [{"role": "system", "content": RULES}, *_alternating(said)]
    if not stream:
        done = client.chat.completions.create(model="chat", user=user, messages=messages)
        return done.choices[0].message.content or ""
    chunks = client.chat.completions.create(model="chat", user=user, messages=messages, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def responses(proxy: Any, said: list[str], *, stream: bool, user: str = "ada", key: str = "sk-acme") -> str:
    """Ask through OpenAI's SDK with the Responses API; the first turn as plain text."""
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0)
    given: Any = said[0] if len(said) == 1 else _alternating(said)
    if not stream:
        return client.responses.create(model="chat", user=user, instructions=RULES, input=given).output_text
    events = client.responses.create(model="chat", user=user, instructions=RULES, input=given, stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def messages(proxy: Any, said: list[str], *, stream: bool, user: str = "ada", key: str = "sk-acme") -> str:
    """Ask in Anthropic's form."""
    body = {
        "model": "claude",
        "max_tokens": 50,
        "stream": stream,
        "system": RULES,
        "messages": _alternating(said),
        "metadata": {"user_id": user},
    }
    text: str = proxy.post("/v1/messages", body, key=key)
    if not stream:
        return str(json.loads(text)["content"][0]["text"])
    events = [
        json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")
    ]
    return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")


ASK = {"chat": chat, "responses": responses, "messages": messages}


def _alternating(said: list[str]) -> list[Json]:
    turns = [{"role": "user", "content": said[0]}]
    for text in said[1:]:
        turns += [{"role": "assistant", "content": ANSWER}, {"role": "user", "content": text}]
    return turns


def in_order(shape: Shape, body: Json) -> list[str]:
    """Return the texts of a request in the order in which a model reads them."""
    if shape == "chat":
        return [message["content"] for message in body["messages"]]
    if shape == "responses":
        given = body["input"]
        return [
            body["instructions"],
            *([given] if isinstance(given, str) else [item["content"] for item in given]),
        ]
    found = [block["text"] for block in body["system"]]
    for message in body["messages"]:
        content = message["content"]
        found += [content] if isinstance(content, str) else [block["text"] for block in content]
    return found


EXPECTED: dict[str, list[str]] = {
    "chat": [RULES, STABLE, VOLATILE, FIRST],
    "responses": [f"{RULES}\n\n{STABLE}", VOLATILE, FIRST],
    "messages": [RULES, STABLE, VOLATILE, FIRST],
}
"""What each text starts with in the first turn."""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("shape", list(ASK))
def test_every_turn_carries_the_context_behind_what_is_cached(shape: Shape, stream: bool, proxy: Any) -> None:
    proxy.upstream.bodies()

    answers = [ASK[shape](proxy, said, stream=stream) for said in ([FIRST], [FIRST, SECOND])]

    assert answers == [ANSWER, ANSWER]
    first, second = (in_order(shape, body) for body in proxy.upstream.bodies())
    expected = EXPECTED[shape]
    assert [text[: len(start)] for text, start in zip(first, expected, strict=True)] == expected
    assert "roses" in first[0] + first[1]
    # All but the volatile part and the question itself is sent again as it was, byte by byte, and then the new turn.
    kept = first[: expected.index(VOLATILE)]
    assert second[: len(kept) + 2] == [*kept, FIRST, ANSWER]
    assert second[-2].startswith(VOLATILE)
    assert second[-1] == SECOND


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("shape", list(ASK))
def test_what_the_user_said_is_recorded_once(shape: Shape, stream: bool, proxy: Any) -> None:
    user = f"speaker-{shape}-{stream}"
    first, second = "I want a garden with old roses.", "I hate lilies."

    for said in ([first], [first, second], [first, second]):  # the last one is a client's retry
        ASK[shape](proxy, said, stream=stream, user=user)
    proxy.wait_for(user, [first, second])
    ASK[shape](proxy, ["I like walls of stone."], stream=stream, user=f"{user}-later")
    proxy.wait_for(f"{user}-later", ["I like walls of stone."])

    assert proxy.said(user) == sorted([first, second])
    assert proxy.said(user, tenant="other") == []


def test_an_exchange_that_needed_a_retry_and_a_fallback_is_recorded_once(proxy: Any) -> None:
    said = "I grow only climbing roses."
    body = {"model": "down", "user": "patient", "messages": [{"role": "user", "content": said}]}
    proxy.upstream.bodies()

    assert ANSWER in proxy.post("/v1/chat/completions", body)

    bodies = proxy.upstream.bodies()
    assert [body["model"] for body in bodies] == ["down", "down", "up"]
    assert len({json.dumps(body["messages"]) for body in bodies}) == 1
    proxy.wait_for("patient", [said])


def test_a_question_without_an_answer_is_not_recorded(proxy: Any) -> None:
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-acme", max_retries=0)
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(
            model="no such model", user="unlucky", messages=[{"role": "user", "content": "I love moss."}]
        )
    chat(proxy, ["I love ferns."], stream=False, user="lucky")

    proxy.wait_for("lucky", ["I love ferns."])
    assert proxy.said("unlucky") == []


@pytest.mark.parametrize("shape", list(ASK))
@pytest.mark.parametrize("user", ["hang", "fail"])
def test_a_request_goes_through_as_it_came_when_the_context_cannot_be_had(
    user: str, shape: Shape, proxy: Any
) -> None:
    proxy.upstream.bodies()

    assert ASK[shape](proxy, [FIRST], stream=False, user=user) == ANSWER

    [body] = proxy.upstream.bodies()
    assert STABLE not in json.dumps(body)
    log = proxy.log.read_text("utf-8")
    assert f"limner: {'late' if user == 'hang' else 'failed'}" in log
    assert "words of a user" not in log
    assert FIRST not in log


@pytest.mark.parametrize("shape", list(ASK))
def test_a_key_opens_its_own_tenant_and_no_other(shape: Shape, proxy: Any) -> None:
    proxy.upstream.bodies()

    for key in ("sk-acme", "sk-other", "sk-stranger"):
        assert ASK[shape](proxy, ["What do I like?"], stream=False, key=key) == ANSWER

    acme, other, stranger = (json.dumps(body) for body in proxy.upstream.bodies())
    assert ("orchids" in acme, "comets" in acme) == (True, False)
    assert ("orchids" in other, "comets" in other) == (False, True)
    assert "<user_" not in stranger


def test_claude_behind_openais_form_gets_the_context_in_the_same_order(proxy: Any) -> None:
    """LiteLLM writes the volatile part into the user's message, with a note of its own before it."""
    body = {
        "model": "claude",
        "user": "ada",
        "messages": [{"role": "system", "content": RULES}, *_alternating([FIRST, SECOND])],
    }
    proxy.upstream.bodies()

    proxy.post("/v1/chat/completions", body)

    [sent] = proxy.upstream.bodies()
    starts = [RULES, STABLE, FIRST, ANSWER, "Operator note", VOLATILE, SECOND]
    texts = in_order("messages", sent)
    assert [text[: len(start)] for text, start in zip(texts, starts, strict=True)] == starts


def test_openais_models_behind_anthropics_form_get_the_context_in_the_same_order(proxy: Any) -> None:
    body = {
        "model": "chat",
        "max_tokens": 50,
        "system": RULES,
        "metadata": {"user_id": "ada"},
        "messages": _alternating([FIRST]),
    }
    proxy.upstream.bodies()

    proxy.post("/v1/messages", body)

    [sent] = proxy.upstream.bodies()
    [item] = sent["input"]
    assert sent["instructions"].startswith(RULES)
    assert STABLE in sent["instructions"]
    assert [part["text"].partition("\n")[0] for part in item["content"]] == [VOLATILE, FIRST]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": "chat", "user": "ada", "prompt": "I like roses"}),
        ("/v1/embeddings", {"model": "chat", "user": "ada", "input": "I like roses"}),
    ],
)
def test_requests_without_a_conversation_go_through_as_they_came(path: str, body: Json, proxy: Any) -> None:
    proxy.upstream.bodies()
    before = proxy.said("ada")

    proxy.post(path, body)
    chat(proxy, ["I like gravel."], stream=False, user=f"after {path}")

    proxy.wait_for(f"after {path}", ["I like gravel."])
    [sent, _] = proxy.upstream.bodies()
    assert {**body, "model": "up"} == {name: sent[name] for name in body}
    assert proxy.said("ada") == before


def test_a_request_without_a_user_goes_through_as_it_came(proxy: Any) -> None:
    proxy.upstream.bodies()

    proxy.post("/v1/chat/completions", {"model": "chat", "messages": [{"role": "user", "content": FIRST}]})

    [sent] = proxy.upstream.bodies()
    assert sent["messages"] == [{"role": "user", "content": FIRST}]
