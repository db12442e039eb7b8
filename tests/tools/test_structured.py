"""Answers become typed values: parsed, repaired, or asked for again."""

import pickle
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict

from limner.errors import BudgetExceededError, ModelOutputError
from limner.records import Message, Usage
from limner.sections import BudgetSettings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.schemas import is_strict, schema_of
from limner.tools.scripted import ScriptedChat
from limner.tools.structured import complete_as


class Remark(BaseModel):
    """One sentence."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    title: str
    """A word or two."""

    evidence: list[str] = []


class Note(BaseModel):
    """What the tests ask for."""

    model_config = ConfigDict(extra="forbid")

    remarks: tuple[Remark, ...]
    polarity: Literal["like", "dislike"] = "like"
    best: Remark | None = None


class Tree(BaseModel):
    """A type no schema can be inlined for."""

    children: list["Tree"] = []


GOOD = '{"remarks": [{"title": "jazz", "evidence": ["e1"]}], "polarity": "dislike", "best": null}'


def request(max_tokens: int = 50) -> ChatRequest:
    return ChatRequest(
        messages=(Message(role="user", content="describe"),), purpose="t", max_tokens=max_tokens
    )


async def test_json_that_fits_is_taken_as_it_is() -> None:
    chat = ScriptedChat([GOOD])

    read = await complete_as(chat, request(), Note, Budget())

    assert read.value.remarks[0].evidence == ["e1"]
    assert (read.value.polarity, read.repaired) == ("dislike", False)
    assert chat.requests[0].json_schema == schema_of(Note)


@pytest.mark.parametrize(
    "text",
    [
        f"Sure, here it is:\n```json\n{GOOD}\n```\nAnything else?",
        GOOD.replace('"', "'"),
        GOOD[:-1].replace('"best": null', '"best": null,'),
        '{"remarks": [{"title": "jazz", "evidence": ["e1"',
    ],
)
async def test_broken_json_is_repaired(text: str) -> None:
    chat = ScriptedChat([text])

    read = await complete_as(chat, request(), Note, Budget())

    assert (read.value.remarks[0].title, read.repaired) == ("jazz", True)
    assert len(chat.requests) == 1


async def test_a_cut_answer_counts_if_what_is_there_fits() -> None:
    cut = ChatResult(
        text='{"remarks": [{"title": "ja', finish_reason="length", model="scripted", usage=Usage()
    )

    read = await complete_as(ScriptedChat([cut]), request(), Note, Budget())

    assert (read.value.remarks[0].title, read.result.finish_reason) == ("ja", "length")


async def test_an_answer_that_does_not_fit_is_asked_for_again_with_the_reason() -> None:
    chat = ScriptedChat(['{"remarks": [{"evidence": []}]}', GOOD])
    budget = Budget()

    read = await complete_as(chat, request(), Note, budget)

    assert read.value.remarks[0].title == "jazz"
    assert [message.role for message in chat.requests[1].messages] == ["user", "assistant", "user"]
    assert chat.requests[1].messages[1].content == '{"remarks": [{"evidence": []}]}'
    assert "`remarks.0.title`: Field required" in chat.requests[1].messages[2].content
    assert read.usage == budget.spent
    assert (read.usage.calls, read.result.usage.calls) == (2, 1)


async def test_nonsense_twice_is_an_error_that_says_what_it_cost() -> None:
    chat = ScriptedChat(["I like turtles", ""])

    with pytest.raises(ModelOutputError, match=r"^model='scripted' gave no usable answer \(") as caught:
        await complete_as(chat, request(), Note, Budget())

    assert (caught.value.text, caught.value.finish_reason) == ("", "stop")
    assert caught.value.usage.calls == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


async def test_an_empty_answer_is_quoted_as_something_servers_accept() -> None:
    chat = ScriptedChat(["  ", GOOD])

    await complete_as(chat, request(), Note, Budget())

    assert chat.requests[1].messages[1].content == "null"


async def test_without_reasks_one_bad_answer_is_enough() -> None:
    chat = ScriptedChat(["nonsense"])
    with pytest.raises(ModelOutputError):
        await complete_as(chat, request(), Note, Budget(), reasks=0)


async def test_the_budget_can_refuse_the_second_question() -> None:
    chat = ScriptedChat(["nonsense", GOOD])
    with pytest.raises(BudgetExceededError):
        await complete_as(chat, request(), Note, Budget(BudgetSettings(calls=1)))
    assert len(chat.requests) == 1


async def test_a_given_schema_is_sent_instead_of_the_types() -> None:
    chat = ScriptedChat([GOOD])
    mine = {**schema_of(Note), "description": "Mine."}
    asked = ChatRequest(messages=request().messages, purpose="t", max_tokens=50, json_schema=mine)

    await complete_as(chat, asked, Note, Budget())

    assert chat.requests[0].json_schema == mine


def test_a_schema_stands_alone_and_requires_everything() -> None:
    remark = {
        "type": "object",
        "description": "One sentence.",
        "properties": {
            "title": {"type": "string", "description": "A word or two."},
            "evidence": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["title", "evidence"],
        "additionalProperties": False,
    }
    assert schema_of(Note) == {
        "type": "object",
        "description": "What the tests ask for.",
        "properties": {
            "remarks": {"type": "array", "items": remark},
            "polarity": {"type": "string", "enum": ["like", "dislike"]},
            "best": {"anyOf": [remark, {"type": "null"}]},
        },
        "required": ["remarks", "polarity", "best"],
        "additionalProperties": False,
    }


def test_a_type_that_contains_itself_has_no_schema() -> None:
    with pytest.raises(ValueError, match="'Tree' contains itself"):
        schema_of(Tree)


def test_only_closed_and_complete_schemas_are_strict() -> None:
    assert is_strict(schema_of(Note))
    assert not is_strict(Note.model_json_schema())
    assert not is_strict({"type": "string", "maxLength": 5})
