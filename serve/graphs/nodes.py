"""Nodes for anybody's message graph: one puts a user's context before the model, one records what the user said.

Who the user is comes from `config["configurable"]["user_id"]`, or from `user_id` of the runtime context, which may be an
object, a mapping, or nothing. A run without a user goes on without a context.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, SystemMessage
from langchain_core.messages.utils import convert_to_messages
from langgraph.config import get_config
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.runtime import get_runtime

from ...errors import InputError
from ...records import Message
from ...tools.chat import ChatRequest
from ...tools.schemas import is_object

if TYPE_CHECKING:
    from ...contexts import Context, Heard
    from ...face import Limner

MESSAGES = "messages"
STABLE_ID, VOLATILE_ID = "limner-stable", "limner-volatile"
"""Ids of the messages that hold a context; the next turn replaces them."""

_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "human": "user",
    "ai": "assistant",
}


class Node(Protocol):
    """A node of anybody's graph."""

    def __call__(self, state: Any) -> Awaitable[dict[str, Any]]:
        """Return what changes in the state."""
        ...


class Teller(Protocol):
    """Whoever knows users: an open `Limner`."""

    async def context(self, user_id: str, query: str | None = None, *, max_tokens: int = 400) -> "Context":
        """See `Limner.context`."""
        ...


class Listener(Protocol):
    """Whoever records what users say: an open `Limner`."""

    async def listen(
        self, user_id: str, messages: Sequence[Mapping[str, Any]], *, conversation_id: str | None = None
    ) -> "Heard":
        """See `Limner.listen`."""
        ...


def add_context(
    limner: Teller, *, max_tokens: int = 400, messages: str = MESSAGES, into: str | None = None
) -> Node:
    """Return a node that puts what is known of the user among the messages; run it before the model's node.

    The stable part follows the system messages that the conversation opens with; the volatile part stands before the
    user's last message, as a message of the user's side, since some providers take system messages only at the start.
    Neither piles up: the next turn replaces them.

    Args:
        limner: Whose portraits.
        max_tokens: Tokens of context at most.
        messages: Key of the state's messages.
        into: Key to write the messages with their context to, which leaves the state's own as they are, for example
            `llm_input_messages`; absent to rewrite the state's own, whose reducer must be LangGraph's `add_messages`.
    """

    async def put_context(state: Any) -> dict[str, Any]:
        user_id, said = user_of_run(), _own(_messages(state, messages))
        if user_id is None:
            return {into: said} if into else {}
        told = await limner.context(user_id, _question(said), max_tokens=max_tokens)
        placed = place_among(said, told)
        return {into: placed} if into else {messages: [RemoveMessage(REMOVE_ALL_MESSAGES), *placed]}

    return put_context


def record_turn(limner: Listener, *, messages: str = MESSAGES) -> Node:
    """Return a node that records what the user said last as behaviour; run it behind the model's node.

    A message is recorded once, however often the graph runs again: by its id, which LangGraph gives it, and the thread.

    Args:
        limner: Where to.
        messages: Key of the state's messages.
    """

    async def listen(state: Any) -> dict[str, Any]:
        user_id = user_of_run()
        if user_id is not None:
            thread = _configurable().get("thread_id", "")
            for message in _last_turn(_own(_messages(state, messages))):
                await limner.listen(
                    user_id,
                    [{"role": "user", "content": message.text}],
                    conversation_id=f"graph-{thread}-{message.id}",
                )
        return {}

    return listen


def answer(limner: "Limner", *, max_tokens: int = 300, messages: str = MESSAGES) -> Node:
    """Return a node in which the model that `settings.model` names answers; for graphs without a model of their own.

    Args:
        limner: Whose model.
        max_tokens: Tokens of the answer at most.
        messages: Key of the state's messages; what tools gave is left out.

    Raises:
        InputError: From the node: Limner was opened without a model.
        ModelUnavailableError: From the node: every attempt failed.
    """

    async def say(state: Any) -> dict[str, Any]:
        chat = limner.doors.chat
        if chat is None:
            raise InputError("there is no model to answer with; set `model` to another one than 'none'")
        said = [message for message in _messages(state, messages) if message.type in _ROLES]
        request = ChatRequest(
            messages=tuple(Message(role=_ROLES[message.type], content=message.text) for message in said),
            purpose="assistant",
            max_tokens=max_tokens,
        )
        result = await chat.complete(request, limner.new_budget())
        return {messages: [AIMessage(result.text)]}

    return say


def user_of_run() -> str | None:
    """Return the user of the run that this is called in; nothing outside of one, or where nobody is named."""
    configurable = _configurable()
    user_id: object = configurable.get("user_id")
    if not user_id and configurable:
        context: object = get_runtime().context
        user_id = context.get("user_id") if is_object(context) else getattr(context, "user_id", None)
    return user_id if isinstance(user_id, str) and user_id else None


def place_among(messages: Sequence[BaseMessage], context: "Context") -> list[BaseMessage]:
    """Return LangChain messages with a context in place.

    Examples:
        >>> from limner.contexts import Context
        >>> told = Context(
        ...     user_id="ada", stable="likes tea", volatile="asked for mugs", known=True, language="en",
        ...     tokens=5, stable_tokens=2, version=1, evidence=(),
        ... )
        >>> [message.text for message in place_among([SystemMessage("Be kind."), HumanMessage("Hi")], told)]
        ['Be kind.', 'likes tea', 'asked for mugs', 'Hi']
    """
    placed = list(messages)
    opening = next((ix for ix, message in enumerate(placed) if message.type != "system"), len(placed))
    asked = max((ix for ix, message in enumerate(placed) if message.type == "human"), default=len(placed))
    if context.volatile:
        placed.insert(asked, HumanMessage(context.volatile, id=VOLATILE_ID))
    if context.stable:
        placed.insert(opening, SystemMessage(context.stable, id=STABLE_ID))
    return placed


def _configurable() -> Mapping[str, Any]:
    try:
        return get_config().get("configurable", {})
    except RuntimeError:
        return {}


def _messages(state: Any, key: str) -> list[BaseMessage]:
    found: Any = state[key] if is_object(state) else getattr(state, key)
    return convert_to_messages(found)


def _own(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Leave out the context of an earlier turn."""
    return [message for message in messages if message.id not in (STABLE_ID, VOLATILE_ID)]


def _question(messages: Sequence[BaseMessage]) -> str | None:
    asked = (message.text for message in reversed(messages) if message.type == "human")
    return next((text for text in asked if text.strip()), None)


def _last_turn(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return the user's last messages in a row, oldest first, whatever the model and its tools said since."""
    last = next((ix for ix in range(len(messages) - 1, -1, -1) if messages[ix].type == "human"), -1)
    first = last
    while first > 0 and messages[first - 1].type == "human":
        first -= 1
    return [message for message in messages[max(first, 0) : last + 1] if message.text.strip()]
