"""Ask the model on behalf of a node, and turn what goes wrong into notes instead of losing the run."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from ..errors import (
    BudgetExceededError,
    ModelError,
    ModelOutputError,
    ModelUnavailableError,
    PriceUnknownError,
)
from ..records import Message, Usage
from ..tools.budget import Budget
from ..tools.chat import ChatModel, ChatRequest, ChatResult
from ..tools.prompt import Prompt
from ..tools.structured import complete_as

T = TypeVar("T")


class Asking(Protocol):
    """Who is asked, and within which limits."""

    @property
    def chat(self) -> ChatModel | None:
        """The model; absent to ask nobody."""
        ...

    @property
    def budget(self) -> Budget:
        """Limits."""
        ...


class Answer(NamedTuple, Generic[T]):
    """What came of one request."""

    value: T | None = None
    """The answer; absent if every attempt failed or the budget refused it."""

    usage: Usage = Usage()
    """What it cost, unusable answers included."""

    note: str | None = None
    """Why there is no answer."""

    exhausted: bool = False
    """Whether the budget refused it, so that no further request makes sense."""

    code: str | None = None
    """Code of the error, if there is no answer."""


async def ask(deps: Asking, request: ChatRequest) -> Answer[ChatResult]:
    """Send one request and return the answer as it is."""
    if deps.chat is None:
        return Answer(exhausted=True)
    try:
        result = await deps.chat.complete(request, deps.budget)
    except PriceUnknownError:
        raise
    except ModelError as error:
        return _failed(request, error)
    return Answer(result, result.usage)


async def ask_as(deps: Asking, request: ChatRequest, type_: type[T]) -> Answer[T]:
    """Send one request whose answer has a type; a misfit is repaired or asked for again."""
    if deps.chat is None:
        return Answer(exhausted=True)
    try:
        structured = await complete_as(deps.chat, request, type_, deps.budget)
    except PriceUnknownError:
        raise
    except ModelError as error:
        return _failed(request, error)
    return Answer(structured.value, structured.usage)


def make_request(
    prompt: Prompt,
    messages: tuple[Message, ...],
    *,
    schema: Mapping[str, Any] | None,
    max_tokens: int,
    seed: int,
    temperature: float,
    top_p: float,
    top_logprobs: int = 0,
) -> ChatRequest:
    """Build the request of a node."""
    return ChatRequest(
        messages=messages,
        purpose=prompt.id,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        json_schema=schema,
        top_logprobs=top_logprobs,
    )


def usage_of(answers: Sequence[Answer[Any]]) -> Usage:
    """Add up what the answers cost."""
    return Usage.total(answer.usage for answer in answers)


def _failed(request: ChatRequest, error: ModelError) -> Answer[Any]:
    spent = error.usage if isinstance(error, ModelOutputError | ModelUnavailableError) else Usage()
    return Answer(
        None, spent, f"{request.purpose}: {error}", isinstance(error, BudgetExceededError), error.code
    )
