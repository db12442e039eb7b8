"""The forms of requests that carry a conversation: who said what, and where a context goes.

In all of them what stays the same from turn to turn comes first, and the volatile part stands at the user's last turn,
so that a provider's cache keeps everything before it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ...agents.context.place_context import place_context
from ...contexts import Context
from ...tools.conversations import text_of
from ...tools.schemas import is_array, is_object

Json = Mapping[str, Any]
Speaker = Literal["user", "model", "other"]


class Turn(NamedTuple):
    """What one side said."""

    speaker: Speaker
    """`other`: instructions, and what tools gave."""

    text: str


class Shape(NamedTuple):
    """One form of request."""

    turns: Callable[[Json], list[Turn]]
    """Reads the conversation, oldest turn first."""

    place: Callable[[Json, Context], dict[str, Any]]
    """Returns the request with a context in place; what was given is left as it is."""


def shape_of(call_type: str) -> Shape | None:
    """Return the form that requests of one of LiteLLM's call types have; nothing if they carry no conversation."""
    return _SHAPES.get(call_type)


def new_turns(turns: Sequence[Turn]) -> list[str]:
    """Return what the user said since the model last spoke; nothing in the middle of a run of tool calls.

    Examples:
        >>> new_turns([Turn("user", "Hi"), Turn("model", "Yes?"), Turn("user", "A lamp,"), Turn("user", "blue")])
        ['A lamp,', 'blue']
        >>> new_turns([Turn("user", "Hi"), Turn("model", ""), Turn("other", "tool: 3")])
        []
    """
    last = max((place for place, turn in enumerate(turns) if turn.speaker == "model"), default=-1)
    return [turn.text for turn in turns[last + 1 :] if turn.speaker == "user" and turn.text.strip()]


def question_in(turns: Sequence[Turn]) -> str | None:
    """Return what the user said last."""
    asked = (turn.text for turn in reversed(turns) if turn.speaker == "user" and turn.text.strip())
    return next(asked, None)


def _chat_turns(data: Json) -> list[Turn]:
    return [_turn(message) for message in _objects(data.get("messages"))]


def _place_in_chat(data: Json, context: Context) -> dict[str, Any]:
    return {**data, "messages": place_context(_objects(data.get("messages")), context)}


def _response_turns(data: Json) -> list[Turn]:
    return [_turn(item) for item in _input_items(data)]


def _place_in_response(data: Json, context: Context) -> dict[str, Any]:
    """Put the stable part behind the instructions and the volatile one before the user's last item."""
    placed = dict(data)
    if context.stable:
        placed["instructions"] = "\n\n".join(
            part for part in (data.get("instructions"), context.stable) if isinstance(part, str) and part
        )
    if context.volatile:
        items = _input_items(data)
        asked = _last_user(items)
        volatile = {"type": "message", "role": "system", "content": context.volatile}
        placed["input"] = [*items[:asked], volatile, *items[asked:]]
    return placed


def _input_items(data: Json) -> list[Json]:
    given: object = data.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return _objects(given)


def _place_in_messages(data: Json, context: Context) -> dict[str, Any]:
    """Put the stable part behind the system's blocks and the volatile one into the user's last message."""
    placed = dict(data)
    if context.stable:
        placed["system"] = [*_blocks(data.get("system")), _text_block(context.stable)]
    messages = _objects(data.get("messages"))
    asked = _last_user(messages)
    if context.volatile and asked < len(messages):
        blocks = _blocks(messages[asked].get("content"))
        # Behind what the caller marks as cached: the mark must find the same bytes in the next turn. Behind results of
        # tools: they have to come first, https://docs.claude.com/en/docs/agents-and-tools/tool-use/implement-tool-use
        start = max((place + 1 for place, block in enumerate(blocks) if _stays_first(block)), default=0)
        told = {
            **messages[asked],
            "content": [*blocks[:start], _text_block(context.volatile), *blocks[start:]],
        }
        placed["messages"] = [*messages[:asked], told, *messages[asked + 1 :]]
    return placed


def _stays_first(block: Json) -> bool:
    return "cache_control" in block or block.get("type") == "tool_result"


def _blocks(content: object) -> list[Json]:
    if isinstance(content, str):
        return [_text_block(content)] if content else []
    return _objects(content)


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _last_user(entries: Sequence[Json]) -> int:
    """Return the place of the last entry in which the user says something; behind all if there is none."""
    spoken = (place for place, entry in enumerate(entries) if _turn(entry).speaker == "user")
    return max(spoken, default=len(entries))


def _turn(entry: Json) -> Turn:
    """Read one message or item; a user's message without words holds results of tools, or pictures."""
    role, kind, text = entry.get("role"), entry.get("type"), text_of(entry)
    if role == "user":
        return Turn("user" if text.strip() else "other", text)
    if role == "assistant" or kind in ("function_call", "reasoning"):
        return Turn("model", text)
    return Turn("other", text)


def _objects(value: object) -> list[Json]:
    return [entry for entry in value if is_object(entry)] if is_array(value) else []


_CHAT = Shape(_chat_turns, _place_in_chat)
_RESPONSES = Shape(_response_turns, _place_in_response)
_SHAPES: dict[str, Shape] = {
    "completion": _CHAT,
    "acompletion": _CHAT,
    "responses": _RESPONSES,
    "aresponses": _RESPONSES,
    "anthropic_messages": Shape(_chat_turns, _place_in_messages),
}
"""By the call types that LiteLLM's proxy hands to its hooks."""
