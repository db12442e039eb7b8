"""Typed answers: the provider's schema where it has one, else parse, repair, ask again."""

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ..errors import ModelOutputError
from ..records import Message, Usage
from .budget import Budget
from .chat import ChatModel, ChatRequest, ChatResult
from .prompt import load_prompt
from .schemas import is_array, is_object, schema_of

T = TypeVar("T")

_MOST_QUOTED = 4000
_MOST_PROBLEMS = 3
_MOST_REPAIRED = 40_000
"""Characters of the longest answer that is repaired; no model is let write as many."""

_STRAIGHT = str.maketrans("“”„‟", '""""')
"""Of an answer that has no other quotation marks: the repair takes the square of its length over these."""


class Structured(NamedTuple, Generic[T]):
    """An answer that fits its type."""

    value: T
    """What was asked for."""

    result: ChatResult
    """The answer it was read from, with its own usage."""

    usage: Usage
    """What all answers cost, unusable ones included."""

    repaired: bool
    """Whether the answer was not JSON of that type as it stood."""


@dataclass(frozen=True)
class _Unreadable:
    """Why a text does not fit."""

    problem: str


async def complete_as(
    chat: ChatModel, request: ChatRequest, type_: type[T], budget: Budget, *, reasks: int = 1
) -> Structured[T]:
    """Ask for a value of a type.

    The schema is `request.json_schema`, or `schema_of(type_)`. An answer that does not fit is repaired
    (fences, quotes, commas, a missing end); if that does not help, the model is asked again with what was
    wrong. An answer cut off at `max_tokens` counts if what is there fits.

    Args:
        chat: Who is asked.
        request: What is asked.
        type_: What pydantic validates the answer as.
        budget: Limits.
        reasks: How often to ask again.

    Raises:
        ModelOutputError: No answer fitted; it carries the last text and what all answers cost.
        BudgetExceededError: The next question could pass a limit; it was not sent.
        ModelUnavailableError: Every attempt on every model failed.
    """
    if request.json_schema is None:
        request = replace(request, json_schema=schema_of(type_))
    spent = Usage()
    for turn in range(reasks + 1):
        result = await chat.complete(request, budget)
        spent += result.usage
        read = read_as(result.text, type_)
        if not isinstance(read, _Unreadable):
            value, repaired = read
            return Structured(value, result, spent, repaired)
        if turn == reasks:
            raise ModelOutputError(result.model, read.problem, result.text, spent, result.finish_reason)
        request = replace(request, messages=(*request.messages, *_ask_again(result.text, read.problem)))
    raise ValueError(f"`reasks` must be >= 0, got {reasks!r}")


def read_as(text: str, type_: type[T]) -> tuple[T, bool] | _Unreadable:
    """Read a text as a type, and say whether it had to be repaired, or why it cannot be read."""
    adapter: TypeAdapter[T] = _adapter(cast(Hashable, type_))  # mypy does not see that types are hashable
    try:
        return adapter.validate_json(text), False
    except ValidationError as error:
        problem = _explain(error)
    for candidate in _repaired(text):
        try:
            return adapter.validate_json(candidate), True
        except ValidationError as error:
            problem = _explain(error)
    return _Unreadable(problem)


@cache
def _adapter(type_: Any) -> TypeAdapter[Any]:
    return TypeAdapter(type_)


def _repaired(text: str) -> Iterator[str]:
    """Yield JSON that the text may have been meant to be: all of it, then its objects, largest first."""
    import json_repair

    if len(text) > _MOST_REPAIRED:
        return
    try:
        found: Any = json_repair.loads(text if '"' in text else text.translate(_STRAIGHT))
    except (ValueError, RecursionError):  # deeper than it follows
        return
    if found in ("", [], {}):
        return
    yield json.dumps(found)
    if is_array(found):
        inner = [json.dumps(part) for part in found if is_object(part)]
        yield from sorted(inner, key=len, reverse=True)


def _explain(error: ValidationError) -> str:
    """Say what was wrong in words a model can use, without repeating what it wrote."""
    problems = [
        f"`{'.'.join(map(str, part['loc']))}`: {part['msg']}" if part["loc"] else part["msg"]
        for part in error.errors(include_url=False, include_input=False)
    ]
    more = len(problems) - _MOST_PROBLEMS
    return "; ".join(problems[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _ask_again(text: str, problem: str) -> tuple[Message, ...]:
    """Quote the answer and say what was wrong; an empty answer is quoted as `null`, which servers accept."""
    quoted = Message(role="assistant", content=text.strip()[:_MOST_QUOTED] or "null")
    return (quoted, *load_prompt("reask_json").render(problem=problem))
