"""Chats as files and as message lists, and the user's own turns in them.

Three forms of file are read: a list of messages in OpenAI's form, conversations that hold such a list under
`messages`, and `conversations.json` of a ChatGPT data export, in which a conversation is a tree and its branch that was
shown last counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

from ..errors import BadRowError, UnknownFormatError
from ..records import Interaction, content_hash, whole
from .cells import BadField, identifier, moment, shown
from .readers import BadLine, Fields, Table
from .schemas import is_array, is_object

MOST_CHARACTERS = 8000
"""Longest turn that is kept; the rest of a longer one is left out."""

IDS = ("conversation_id", "id")
TIMES = ("created_at", "create_time", "timestamp", "at")
USERS = ("user_id", "user")

_HIDDEN = "is_visually_hidden_from_conversation"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Conversation(NamedTuple):
    """One chat."""

    conversation_id: str | None
    """Absent where the file names none."""

    messages: tuple[Mapping[str, Any], ...]
    """In OpenAI's form, in order; one that has a time has it under one of `TIMES`."""

    at: datetime | None
    """When it began; absent where the file does not say."""


class Turns:
    """Makes interactions of the user's own turns of one conversation.

    An event id depends on user, conversation, text, and how often the same text came before in the conversation, so
    that the same turn has the same id however much of the conversation is handed over with it.

    Args:
        user_id: Who speaks in the role `user`.
        conversation_id: Which conversation; its first turn stands for it if absent.
    """

    def __init__(self, user_id: str, conversation_id: str | None) -> None:
        self._user_id, self._talk = user_id, conversation_id
        self._before: Counter[str] = Counter()

    def turn(self, text: str, at: datetime) -> Interaction:
        """Return the next turn."""
        if self._talk is None:
            self._talk = content_hash("opening", text)
        event_id = content_hash("turn", self._user_id, self._talk, text, self._before[text])
        self._before[text] += 1
        return Interaction(user_id=self._user_id, kind="message", at=at, text=text, event_id=event_id)


def own_turns(
    user_id: str, messages: Sequence[Mapping[str, Any]], *, conversation_id: str | None, at: datetime
) -> list[Interaction]:
    """Return the user's own turns as interactions of kind `message`, in order; see `Turns` for their ids.

    Args:
        user_id: Who speaks in the role `user`.
        messages: In OpenAI's form; other roles, and turns without text, are passed over.
        conversation_id: Which conversation; its first turn stands for it if absent.
        at: When the last turn was said, where messages have no time of their own; the others are a microsecond apart.

    Raises:
        BadRowError: A message is no mapping, has no role, or a time that is none.
    """
    said = [
        (text, _time(message, number))
        for number, message in enumerate(messages, start=1)
        if (text := _own_text(message, number))
    ]
    made = Turns(user_id, conversation_id)
    start = at - timedelta(microseconds=len(said) - 1)
    return [
        made.turn(text, own or start + timedelta(microseconds=place))
        for place, (text, own) in enumerate(said)
    ]


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message whose content is text or a list of parts; images and calls have none.

    Examples:
        >>> text_of({"role": "user", "content": [{"type": "text", "text": "A lamp?"}, {"type": "image_url"}]})
        'A lamp?'
    """
    content = message.get("content")
    if isinstance(content, str):
        return whole(content)
    parts = content if is_array(content) else []
    texts = [part.get("text") if is_object(part) else part for part in parts]
    return whole("\n".join(text for text in texts if isinstance(text, str)))


def own_words_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message of the user's; empty for anybody else's."""
    return text_of(message).strip()[:MOST_CHARACTERS].strip() if message.get("role") == "user" else ""


def conversation_of(row: Fields) -> Conversation:
    """Read one conversation: its messages, or its tree.

    Raises:
        BadField: The row is no conversation.
    """
    at = _moment_of(row)
    found = next((row[name] for name in IDS if row.get(name) not in (None, "")), None)
    talk = None if found is None else identifier("conversation_id", found)
    if "mapping" in row:
        return Conversation(talk, tuple(_branch(row)), at)
    if "role" in row:
        return Conversation(talk, (row,), at)
    messages = row.get("messages")
    if not is_array(messages):
        raise BadField("messages", f"must be a list of messages, got {shown(messages)}")
    for message in messages:
        if not is_object(message) or not isinstance(message.get("role"), str):
            raise BadField("messages", f"must hold messages with a role, got {shown(message)}")
    return Conversation(talk, tuple(messages), at)


def turns_of(talk: Conversation, made: Turns, counted: Iterator[int]) -> list[Interaction]:
    """Return the user's own turns of a conversation in a file.

    A turn without a time follows the one before it by a microsecond; where nothing has a time, `counted` gives
    seconds from 1970.

    Raises:
        BadField: A message has a time that is none.
    """
    turns: list[Interaction] = []
    last = talk.at
    for message in talk.messages:
        text = own_words_of(message)
        own = _moment_of(message)
        if not text:
            last = own or last
            continue
        if own is None:
            own = last + timedelta(microseconds=1) if last else _EPOCH + timedelta(seconds=next(counted))
        last = own if talk.at or _moment_of(message) else None
        turns.append(made.turn(text, own))
    return turns


def read_conversations(path: Path) -> list[Conversation]:
    """Read a file of chats; a file of messages is one conversation.

    Raises:
        UnknownFormatError: The file cannot be read, or holds no chat.
        BadRowError: A line or value of it is no conversation.
    """
    talks: list[Conversation] = []
    loose: list[Mapping[str, Any]] = []
    for row in Table(path):
        if isinstance(row, BadLine):
            raise BadRowError(str(path), row.line, row.field, row.reason)
        if not {"mapping", "messages", "role"} & row.fields.keys():
            raise UnknownFormatError(
                str(path), "holds no chats; give messages with `role` and `content`, or a ChatGPT export"
            )
        try:
            talk = conversation_of(row.fields)
        except BadField as error:
            raise BadRowError(str(path), row.line, error.field, error.reason) from error
        if "role" in row.fields:
            loose += talk.messages
        else:
            talks.append(talk)
    return [*talks, *([Conversation(None, tuple(loose), None)] if loose else [])]


def _own_text(message: object, number: int) -> str:
    if not isinstance(message, Mapping):
        raise BadRowError("messages", number, "message", f"must be a mapping, got {shown(message)}")
    known = cast("Mapping[str, Any]", message)  # its fields are checked where they are read
    if not isinstance(known.get("role"), str):
        raise BadRowError("messages", number, "role", f"must be text, got {shown(known.get('role'))}")
    return own_words_of(known)


def _time(message: Mapping[str, Any], number: int) -> datetime | None:
    try:
        return _moment_of(message)
    except BadField as error:
        raise BadRowError("messages", number, error.field, error.reason) from error


def _moment_of(fields: Mapping[str, Any]) -> datetime | None:
    """Return the time that a conversation or message gives."""
    for name in TIMES:
        if fields.get(name) not in (None, ""):
            return moment(name, fields[name])
    return None


def _branch(row: Fields) -> Iterator[dict[str, Any]]:
    """Yield the messages of a tree from its root to the leaf that was shown last."""
    nodes = row["mapping"]
    if not is_object(nodes):
        raise BadField("mapping", f"must be an object of nodes, got {shown(nodes)}")
    leaf = row.get("current_node")
    if not isinstance(leaf, str) or leaf not in nodes:
        leaf = _newest(nodes)
    path: dict[str, dict[str, Any]] = {}
    while isinstance(leaf, str) and leaf in nodes and leaf not in path:  # a damaged tree may go in circles
        node = nodes[leaf]
        if not is_object(node):
            raise BadField("mapping", f"must hold nodes, got {shown(node)}")
        path[leaf], leaf = node, node.get("parent")
    for node in reversed(path.values()):
        if message := _message(node.get("message")):
            yield message


def _newest(nodes: Mapping[str, Any]) -> str | None:
    """Return the leaf with the latest message; of those without a time the last."""
    leaves = [name for name, node in nodes.items() if is_object(node) and not node.get("children")]
    return max(leaves, key=lambda name: _written(nodes[name]), default=None)


def _written(node: Mapping[str, Any]) -> float:
    message = node.get("message")
    time = message.get("create_time") if is_object(message) else None
    return float(time) if isinstance(time, int | float) else 0.0


def _message(message: object) -> dict[str, Any] | None:
    """Return an exported message in OpenAI's form; nothing for one that was never shown or is no text."""
    if not is_object(message):
        return None
    author, content, about = message.get("author"), message.get("content"), message.get("metadata")
    role = author.get("role") if is_object(author) else None
    if not isinstance(role, str) or not is_object(content) or (is_object(about) and about.get(_HIDDEN)):
        return None
    if content.get("content_type") not in ("text", "multimodal_text"):
        return None
    made = {"role": role, "content": content.get("parts")}
    return made if message.get("create_time") is None else {**made, "create_time": message["create_time"]}
