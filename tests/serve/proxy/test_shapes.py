"""Where a context goes in each form of request, and what of it the user said."""

from copy import deepcopy
from typing import Any

import pytest

from limner.contexts import Context
from limner.serve.proxy.shapes import new_turns, question_in, shape_of

Json = dict[str, Any]

TOLD = Context(
    user_id="ada",
    stable="STABLE",
    volatile="VOLATILE",
    known=True,
    language="en",
    tokens=2,
    stable_tokens=1,
    version=1,
    evidence=(),
)
QUIET = TOLD.model_copy(update={"stable": "", "volatile": ""})


def place(call_type: str, data: Json, context: Context = TOLD) -> Json:
    """Place and make sure that what was given stayed as it was."""
    shape, before = shape_of(call_type), deepcopy(data)
    assert shape is not None
    placed = shape.place(data, context)
    assert data == before
    return placed


def said(call_type: str, data: Json) -> tuple[list[str], str | None]:
    shape = shape_of(call_type)
    assert shape is not None
    turns = shape.turns(data)
    return new_turns(turns), question_in(turns)


def text(words: str, **more: Any) -> Json:
    return {"type": "text", "text": words, **more}


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


CACHED: Json = {"cache_control": {"type": "ephemeral"}}
RESULT: Json = {"type": "tool_result", "tool_use_id": "t1", "content": "12 degrees"}
CALL: Json = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {}}],
}


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (None, [text("STABLE")]),
        ("", [text("STABLE")]),
        ("Be kind.", [text("Be kind."), text("STABLE")]),
        ([text("Be kind.", **CACHED)], [text("Be kind.", **CACHED), text("STABLE")]),
    ],
)
def test_the_stable_part_follows_the_systems_blocks(system: Any, expected: list[Json]) -> None:
    data = {"messages": [user("Hi")], **({} if system is None else {"system": system})}

    assert place("anthropic_messages", data)["system"] == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("Hi")], [user([text("VOLATILE"), text("Hi")])]),
        # Behind the caller's mark, which must find the same bytes in the next turn.
        ([user([text("Hi", **CACHED)])], [user([text("Hi", **CACHED), text("VOLATILE")])]),
        # Results of tools have to come first.
        (
            [CALL, user([RESULT, text("And now?")])],
            [CALL, user([RESULT, text("VOLATILE"), text("And now?")])],
        ),
        # In a run of tool calls it stays where it was, and so does everything behind it.
        (
            [user("Weather?"), CALL, user([RESULT])],
            [user([text("VOLATILE"), text("Weather?")]), CALL, user([RESULT])],
        ),
        ([CALL, user([RESULT])], [CALL, user([RESULT])]),
    ],
)
def test_the_volatile_part_goes_into_the_users_last_words(messages: list[Json], expected: list[Json]) -> None:
    assert place("anthropic_messages", {"messages": messages})["messages"] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Hi", ["VOLATILE", "Hi"]),
        (
            [user("Hi"), {"role": "assistant", "content": "Yes?"}, user("A lamp")],
            ["Hi", "Yes?", "VOLATILE", "A lamp"],
        ),
        (
            [
                user("Hi"),
                {"type": "function_call", "name": "f"},
                {"type": "function_call_output", "output": "3"},
            ],
            ["VOLATILE", "Hi", None, None],
        ),
        ([{"type": "function_call_output", "output": "3"}], [None, "VOLATILE"]),
    ],
)
def test_the_volatile_part_stands_before_the_users_last_item(given: Any, expected: list[str | None]) -> None:
    placed = place("aresponses", {"input": given, "instructions": "Be kind."})

    assert placed["instructions"] == "Be kind.\n\nSTABLE"
    assert [item.get("content") for item in placed["input"]] == expected


def test_without_instructions_the_stable_part_stands_alone() -> None:
    assert place("aresponses", {"input": "Hi"})["instructions"] == "STABLE"


@pytest.mark.parametrize(
    ("call_type", "data"),
    [
        ("acompletion", {"messages": [user("Hi")]}),
        ("aresponses", {"input": "Hi"}),
        ("anthropic_messages", {"messages": [user("Hi")], "system": "Be kind."}),
    ],
)
def test_nothing_to_tell_changes_nothing(call_type: str, data: Json) -> None:
    assert place(call_type, data, QUIET) == data


@pytest.mark.parametrize(
    "call_type", ["atext_completion", "aembedding", "pass_through_endpoint", "moderation"]
)
def test_requests_without_a_conversation_have_no_shape(call_type: str) -> None:
    assert shape_of(call_type) is None


ASSISTANT: Json = {"role": "assistant", "content": "Yes?"}


SAID: list[tuple[str, Json, list[str], str | None]] = [
    ("acompletion", {"messages": [user("Hi"), ASSISTANT, user("A lamp")]}, ["A lamp"], "A lamp"),
    (
        "acompletion",
        {"messages": [user([text("A"), text("lamp")]), user("Blue")]},
        ["A\nlamp", "Blue"],
        "Blue",
    ),
    ("acompletion", {"messages": [user("Hi"), ASSISTANT, {"role": "tool", "content": "3"}]}, [], "Hi"),
    (
        "acompletion",
        {"messages": [user([{"type": "image_url", "image_url": {"url": "data:"}}])]},
        [],
        None,
    ),
    ("acompletion", {"messages": "nonsense"}, [], None),
    ("acompletion", {}, [], None),
    ("aresponses", {"input": "Hi"}, ["Hi"], "Hi"),
    ("aresponses", {"input": [user([{"type": "input_text", "text": "Hi"}])]}, ["Hi"], "Hi"),
    (
        "aresponses",
        {"input": [user("Hi"), {"type": "function_call_output", "output": "3"}]},
        ["Hi"],
        "Hi",
    ),
    ("aresponses", {"input": [user("Hi"), {"type": "reasoning", "summary": []}]}, [], "Hi"),
    ("anthropic_messages", {"messages": [user("Hi"), CALL, user([RESULT])]}, [], "Hi"),
    (
        "anthropic_messages",
        {"messages": [user("Hi"), CALL, user([RESULT, text("And now?")])]},
        ["And now?"],
        "And now?",
    ),
]
"""Requests, what in them is new, and what was asked last."""


@pytest.mark.parametrize(("call_type", "data", "new", "question"), SAID)
def test_only_what_the_user_said_since_the_model_spoke_is_new(
    call_type: str, data: Json, new: list[str], question: str | None
) -> None:
    assert said(call_type, data) == (new, question)
