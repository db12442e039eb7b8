"""Chats in files: OpenAI's messages and ChatGPT's export; only the user's own turns become interactions."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from limner.errors import BadRowError, UnknownFormatError
from limner.records import Interaction
from limner.tools.conversations import (
    MOST_CHARACTERS,
    Turns,
    conversation_of,
    own_turns,
    read_conversations,
    turns_of,
)
from limner.tools.importing import import_file
from limner.tools.json_values import ValueSplitter
from limner.tools.lines import Unread
from limner.tools.sql.sql_store import SqlStore, open_store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = NOON.timestamp()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(folder=tmp_path / "store", database_url=None, tenant="default")
    yield opened
    await opened.aclose()


def node(
    name: str,
    parent: str | None,
    role: str,
    text: str,
    at: float | None = None,
    more: dict[str, Any] | None = None,
) -> Any:
    message = {
        "id": name,
        "author": {"role": role},
        "create_time": at,
        "content": {"content_type": "text", "parts": [text]},
        "metadata": {},
    }
    return name, {"id": name, "parent": parent, "children": [], "message": {**message, **(more or {})}}


def export(*talks: dict[str, Any]) -> str:
    return json.dumps(talks, indent=1)


def talk(**changes: Any) -> dict[str, Any]:
    """A conversation whose first question was edited: the branch of `q2` was shown last."""
    hidden = {"metadata": {"is_visually_hidden_from_conversation": True}}
    profile = {"content": {"content_type": "user_editable_context", "user_profile": "secret"}}
    picture = {
        "content": {"content_type": "multimodal_text", "parts": [{"asset_pointer": "x"}, "I own a boat."]}
    }
    nodes = dict(
        [
            ("root", {"id": "root", "parent": None, "children": ["s"], "message": None}),
            node("s", "root", "system", "Be kind."),
            node("c", "s", "user", "", more=profile),
            node("h", "c", "user", "hidden", SECONDS, hidden),
            node("q1", "h", "user", "I love fish.", SECONDS),
            node("a1", "q1", "assistant", "I love it too.", SECONDS + 1),
            node("q2", "h", "user", "I love trains.", SECONDS + 10),
            node("a2", "q2", "assistant", "Me too.", SECONDS + 11),
            node("q3", "a2", "user", "", SECONDS + 20, picture),
        ]
    )
    fields = {
        "id": "t1",
        "conversation_id": "t1",
        "title": "Boats",
        "create_time": SECONDS - 5,
        "mapping": nodes,
    }
    return {**fields, "current_node": "q3", **changes}


async def stored(store: SqlStore, user: str = "ada") -> list[Interaction]:
    return await store.history(user, as_of=datetime(2100, 1, 1, tzinfo=UTC))


async def test_a_chatgpt_export_gives_the_turns_of_the_branch_that_was_shown(
    tmp_path: Path, store: SqlStore
) -> None:
    path = tmp_path / "conversations.json"
    path.write_text(export(talk(), talk(id="t2", conversation_id="t2", current_node=None)))

    report = await import_file(path, store=store, user="ada")
    again = await import_file(path, store=store, user="ada")

    events = await stored(store)
    assert (report.form, report.rows, report.added, again.added, again.repeated) == ("chatgpt", 2, 4, 0, 4)
    # Without a current node the leaf that was written last counts, which is the same one.
    assert sorted((event.text, event.at.timestamp() - SECONDS) for event in events) == [
        ("I love trains.", 10.0),
        ("I love trains.", 10.0),
        ("I own a boat.", 20.0),
        ("I own a boat.", 20.0),
    ]
    assert {(event.kind, event.item_id) for event in events} == {("message", None)}


async def test_messages_are_read_from_arrays_lines_and_conversations(tmp_path: Path, store: SqlStore) -> None:
    chat: list[dict[str, Any]] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "I love fish."},
        {"role": "assistant", "content": "Noted."},
        {"role": "user", "content": [{"type": "text", "text": "I never drink."}, {"type": "image_url"}]},
    ]
    files = {
        "array.json": json.dumps(chat),
        "lines.jsonl": "".join(json.dumps(message) + "\n" for message in chat),
        "whole.json": json.dumps({"messages": chat}, indent=2),
        "talks.jsonl": json.dumps({"messages": chat}) + "\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        report = await import_file(tmp_path / name, store=store, user="ada")
        assert (report.form, report.rejected, report.added + report.repeated) == ("messages", 0, 2), name

    # All four are the same conversation, whose first turn stands for it.
    assert [event.text for event in await stored(store)] == ["I love fish.", "I never drink."]
    assert {event.event_id for event in await stored(store)} == {
        turn.event_id for turn in own_turns("ada", chat, conversation_id=None, at=NOON)
    }


async def test_rows_may_name_their_user_and_must_if_nobody_is_named(tmp_path: Path, store: SqlStore) -> None:
    path = tmp_path / "log.jsonl"
    rows = [
        {"user": "bo", "id": "1", "created_at": SECONDS, "messages": [{"role": "user", "content": "Yes."}]},
        {"id": "2", "messages": [{"role": "user", "content": "No."}]},
        {"user": "bo", "id": "3", "messages": [{"content": "Who speaks?"}]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    report = await import_file(path, store=store)

    assert [(row.line, row.field) for row in report.rejects] == [(2, "user_id"), (3, "messages")]
    assert "--user" in report.rejects[0].reason
    assert [(event.text, event.at) for event in await stored(store, "bo")] == [
        ("Yes.", NOON.replace(microsecond=1))
    ]


def test_turns_without_a_time_follow_those_before_or_count_seconds() -> None:
    def moments(row: dict[str, Any]) -> list[float]:
        turns = turns_of(conversation_of(row), Turns("ada", None), count())
        return [turn.at.timestamp() for turn in turns]

    said = [{"role": "user", "content": text} for text in ("a", "b")]
    timed = [{**said[0], "timestamp": SECONDS}, said[1]]

    assert moments({"messages": said}) == [0.0, 1.0]
    assert moments({"messages": timed, "created_at": SECONDS - 9}) == [SECONDS, SECONDS + 0.000001]


def test_the_same_text_twice_is_two_turns_and_the_same_turn_again_is_one() -> None:
    yes = {"role": "user", "content": "Yes."}

    first = own_turns("ada", [yes, yes], conversation_id="c", at=NOON)
    again = own_turns(
        "ada", [{"role": "system", "content": "new"}, yes, yes, yes], conversation_id="c", at=NOON
    )
    other = own_turns("ada", [yes], conversation_id="d", at=NOON)

    assert len({turn.event_id for turn in first}) == 2
    assert [turn.event_id for turn in again[:2]] == [turn.event_id for turn in first]
    assert other[0].event_id not in {turn.event_id for turn in again}
    assert own_turns("bo", [yes], conversation_id="c", at=NOON)[0].event_id != first[0].event_id


def test_a_pasted_book_is_cut() -> None:
    [turn] = own_turns("ada", [{"role": "user", "content": "word " * 5000}], conversation_id=None, at=NOON)

    assert len(turn.text or "") <= MOST_CHARACTERS


def test_a_tree_that_goes_in_circles_ends() -> None:
    nodes = dict([node("a", "b", "user", "A"), node("b", "a", "user", "B")])

    found = conversation_of({"mapping": nodes, "current_node": "a"})

    assert [message["content"] for message in found.messages] == [["B"], ["A"]]


def test_a_file_of_chats_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    path.write_text(export(talk()))
    loose = tmp_path / "chat.jsonl"
    loose.write_text('{"role": "user", "content": "A"}\n{"role": "assistant", "content": "B"}\n')

    [found] = read_conversations(path)
    [chat] = read_conversations(loose)

    assert (found.conversation_id, len(found.messages)) == ("t1", 4)
    assert [message["content"] for message in chat.messages] == ["A", "B"]


@pytest.mark.parametrize(
    ("content", "error", "reason"),
    [
        ('[{"item_id": 1}]', UnknownFormatError, "holds no chats"),
        ('[{"messages": 1}]', BadRowError, "`messages`: must be a list of messages"),
        ('[{"mapping": 1}]', BadRowError, "`mapping`: must be an object of nodes"),
        ('[{"messages": [{"role": "user"}]}, {', BadRowError, "ends within a value"),
        ("[1, 2]", BadRowError, "is not valid JSON"),
    ],
)
def test_what_is_no_chat_is_a_typed_error(
    tmp_path: Path, content: str, error: type[Exception], reason: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)

    with pytest.raises(error, match=reason):
        read_conversations(path)


def cut(text: bytes, size: int) -> list[tuple[int, bytes | Unread]]:
    splitter = ValueSplitter()
    values = [
        value for start in range(0, len(text), size) for value in splitter.split(text[start : start + size])
    ]
    return [(value.line, value.text) for value in (*values, *splitter.last())]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_values_are_cut_alike_however_the_bytes_come(size: int) -> None:
    text = (
        b'\xef\xbb\xbf[\n{"a": "}\\"]{"},\n {"b": [1, {"c": "\\\\"}]}\n, [3]]\n'
        if size > 2
        else (b'[\n{"a": "}\\"]{"},\n {"b": [1, {"c": "\\\\"}]}\n, [3]]\n')
    )

    assert cut(text, size) == [
        (2, b'{"a": "}\\"]{"}'),
        (3, b'{"b": [1, {"c": "\\\\"}]}'),
        (4, b"[3]"),
    ]


def test_objects_may_follow_each_other_without_an_array() -> None:
    assert cut(b'{"a":\n1}\n{"b": 2}', 5) == [(1, b'{"a":\n1}'), (3, b'{"b": 2}')]


def test_what_stands_between_values_is_reported() -> None:
    [(line, first), (_, second)] = cut(b'[nonsense {"a": 1}]', 4)

    assert isinstance(first, Unread) and first.reason == "is not valid JSON" and line == 1
    assert second == b'{"a": 1}'


async def test_an_array_of_rows_is_read_like_lines(tmp_path: Path, store: SqlStore) -> None:
    path = tmp_path / "events.json"
    rows = [{"user_id": "ada", "item_id": f"i{n}", "timestamp": SECONDS + n} for n in range(3)]
    path.write_text(json.dumps([*rows, 7], indent=2))

    report = await import_file(path, store=store)

    assert (report.form, report.added, report.rejected) == ("interactions", 3, 1)
    assert report.rejects[0].reason == "is not valid JSON"
