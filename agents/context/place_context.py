"""Put a context into a list of chat messages where provider prefix caches survive."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

from ...contexts import Context
from ...errors import BadRowError
from ...tools.cells import shown
from ...tools.conversations import text_of

_OPENING = ("system", "developer")
"""Roles of the messages that a conversation opens with."""


def place_context(messages: Sequence[Mapping[str, Any]], context: Context) -> list[dict[str, Any]]:
    """Return the messages with a context in place; what was given is left as it is.

    The stable part is a system message behind those that the conversation opens with, so that it and all before it
    are the same in every turn. The volatile part is a system message directly before the last message of the user's,
    so that all before it stays in a provider's cache too. Without a message of the user's it stands at the end.

    Args:
        messages: In OpenAI's form; a message's content may be text or a list of parts.
        context: What to tell; an empty part adds no message.

    Raises:
        BadRowError: A message is no mapping, or lies too deep to be copied.

    Examples:
        >>> told = Context(
        ...     user_id="ada", stable="likes tea", volatile="asked for mugs", known=True, language="en",
        ...     tokens=5, stable_tokens=2, version=1, evidence=(),
        ... )
        >>> chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
        >>> [message["content"] for message in place_context(chat, told)]
        ['Be kind.', 'likes tea', 'asked for mugs', 'Hi']
    """
    placed = [_copied(message, number) for number, message in enumerate(messages, start=1)]
    roles = [message.get("role") for message in placed]
    opening = next((place for place, role in enumerate(roles) if role not in _OPENING), len(roles))
    asked = max((place for place, role in enumerate(roles) if role == "user"), default=len(roles))
    if context.volatile:
        placed.insert(asked, _system(context.volatile))
    if context.stable:
        placed.insert(opening, _system(context.stable))
    return placed


def last_question(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the text of the last message of the user's; `None` if it has none.

    Raises:
        BadRowError: A message is no mapping.

    Examples:
        >>> last_question([{"role": "user", "content": [{"type": "text", "text": "A lamp?"}]}])
        'A lamp?'
    """
    empty: Mapping[str, Any] = {}
    known = [_mapping(message, number) for number, message in enumerate(messages, start=1)]
    asked = next((message for message in reversed(known) if message.get("role") == "user"), empty)
    return text_of(asked).strip() or None


def _copied(message: object, number: int) -> dict[str, Any]:
    try:
        return deepcopy(dict(_mapping(message, number)))
    except RecursionError as error:
        raise BadRowError("messages", number, "message", "lies too deep") from error


def _mapping(message: object, number: int) -> Mapping[str, Any]:
    if not isinstance(message, Mapping):
        raise BadRowError("messages", number, "message", f"must be a mapping, got {shown(message)}")
    return cast("Mapping[str, Any]", message)  # its fields are checked where they are read


def _system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}
