"""Halves of characters, as programs leave them that cut through an emoji, and messages that are none."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from limner import Limner
from limner.errors import BadRowError, InputError
from limner.records import Usage
from limner.settings import load_settings
from limner.tools.chat import ChatResult
from limner.tools.clock import ManualClock
from limner.tools.structured import read_as

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HALF = "tea \ud83c"
"""A cup of tea without its second half."""

SAID: dict[str, Any] = {"kind": "message", "at": NOW - timedelta(days=1), "text": "I love tea."}


@pytest.fixture
async def limner(tmp_path: Path) -> AsyncIterator[Limner]:
    """A store in which ada said that she loves tea."""
    settings = load_settings(store=tmp_path, model="none", embedder="hashing")
    async with Limner(settings, clock=ManualClock(NOW)) as opened:
        await opened.record("ada", [SAID])
        yield opened


ROWS: dict[str, Callable[[Limner], Awaitable[object]]] = {
    "text": lambda limner: limner.record("ada", [{**SAID, "text": HALF}]),
    "event_id": lambda limner: limner.record("ada", [{**SAID, "event_id": HALF}]),
    "user_id": lambda limner: limner.record(HALF, [SAID]),
    "title": lambda limner: limner.add_items([{"item_id": "i", "title": HALF}]),
    "tags.1": lambda limner: limner.add_items([{"item_id": "i", "tags": ["a", HALF]}]),
}


@pytest.mark.parametrize("field", ROWS)
async def test_a_row_with_half_a_character_is_refused_by_its_field(limner: Limner, field: str) -> None:
    with pytest.raises(BadRowError) as caught:
        await ROWS[field](limner)

    assert (caught.value.line, caught.value.field) == (1, field)
    assert (await limner.counts()).interactions == 1


ASKED: dict[str, Callable[[Limner], Awaitable[object]]] = {
    "profile": lambda limner: limner.profile(HALF),
    "pair": lambda limner: limner.pair("ada", HALF),
    "context": lambda limner: limner.context(HALF),
    "forget": lambda limner: limner.forget("ada", event_id=HALF),
    "history": lambda limner: limner.history(HALF),
    "items": lambda limner: limner.items([HALF]),
}


@pytest.mark.parametrize("verb", ASKED)
async def test_an_id_with_half_a_character_is_refused(limner: Limner, verb: str) -> None:
    with pytest.raises(InputError, match="half a character"):
        await ASKED[verb](limner)


async def test_an_id_with_half_a_character_is_refused_on_a_server(database_url: str, tmp_path: Path) -> None:
    settings = load_settings(store=tmp_path, database_url=database_url, model="none", embedder="hashing")
    async with Limner(settings, clock=ManualClock(NOW)) as limner:
        with pytest.raises(InputError, match="half a character"):
            await limner.history(HALF)
        with pytest.raises(BadRowError, match="text"):
            await limner.record("ada", [{**SAID, "text": HALF}])


async def test_what_is_said_with_half_a_character_is_heard_and_answered(limner: Limner) -> None:
    told = await limner.context("ada", f"Some {HALF}")
    heard = await limner.listen("ada", [{"role": "user", "content": f"I prefer {HALF}"}], at=SAID["at"])

    assert told.known
    assert heard.recorded == 1
    assert "I prefer tea ?" in [event.text for event in await limner.history("ada")]


@pytest.mark.parametrize("message", [7, "user", None, ["role", "user"]])
async def test_a_message_that_is_none_is_refused_by_its_number(limner: Limner, message: Any) -> None:
    with pytest.raises(BadRowError) as caught:
        await limner.personalise([{"role": "user", "content": "Hi"}, message], user_id="ada")

    assert (caught.value.file, caught.value.line) == ("messages", 2)


async def test_a_message_that_lies_too_deep_is_refused(limner: Limner) -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]

    with pytest.raises(BadRowError, match="lies too deep"):
        await limner.personalise([{"role": "user", "content": deep}], user_id="ada")


def test_half_a_character_in_an_answer_becomes_a_question_mark() -> None:
    answer = ChatResult(text=HALF, finish_reason="stop", model="m", usage=Usage())

    assert answer.text == "tea ?"


class _Notes(BaseModel):
    """What an answer is read as."""

    notes: list[str]


def test_an_answer_deeper_than_anything_is_unreadable_and_no_crash() -> None:
    read = read_as('{"notes": ' + "[" * 5_000, _Notes)

    assert not isinstance(read, tuple)
