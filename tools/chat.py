"""The chat door: one request to a language model, one answer with its price."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..records import Message, Usage, whole
from .budget import Budget

JsonSchema = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """What is asked of a model."""

    messages: tuple[Message, ...]
    """The conversation; the last message is the user's."""

    purpose: str
    """Prompt id, for logs and metrics; not sent."""

    max_tokens: int
    """Most tokens the answer may have."""

    temperature: float = 0.0
    """Sampling temperature."""

    top_p: float = 1.0
    """Nucleus mass."""

    seed: int | None = None
    """Sampling seed; also tells samples of one prompt apart in the completion cache."""

    json_schema: JsonSchema | None = field(default=None, hash=False)
    """Schema the answer must fit; absent for free text."""

    top_logprobs: int = 0
    """How many alternatives to report for the first token; 0 asks for no log-probabilities."""


@dataclass(frozen=True, kw_only=True)
class ChatResult:
    """What a model answered."""

    text: str
    """The answer; where a server cut through a character, a question mark stands for its half."""

    finish_reason: str
    """`stop`, `length`, `content_filter`, or whatever else the backend says."""

    model: str
    """The model string that answered; a fallback's if the first choice failed."""

    usage: Usage
    """What this answer cost; all zero except `cached_calls` if it came from the cache."""

    model_rev: str = "unknown"
    """Revision or checksum of the weights, as far as it is known."""

    token_logprobs: tuple[float, ...] | None = None
    """Log-probabilities of the answer's tokens, if the backend gives them; of an embedded model they are its own,
    before temperature, cuts and grammar."""

    token_ids: tuple[int, ...] | None = None
    """The answer's tokens without the one that ends it, if the backend names every one of them."""

    first_token: Mapping[str, float] = field(default_factory=dict[str, float])
    """Alternatives for the first token with their log-probabilities, if asked for."""

    def __post_init__(self) -> None:
        """Mend the text: servers write halves of characters as JSON lets them, and no store takes these."""
        object.__setattr__(self, "text", whole(self.text))

    @property
    def cached(self) -> bool:
        """Whether the answer came from the completion cache."""
        return self.usage.cached_calls > 0


class ChatModel(Protocol):
    """A language model behind LiteLLM, or a double."""

    @property
    def name(self) -> str:
        """Model string of the first choice."""
        ...

    @property
    def identity(self) -> str:
        """Model, address and weights revision; what the completion cache and fingerprints key on.

        Never raises. Large weights are read once to tell their revision, which may take seconds.
        """
        ...

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        """Answer one request.

        Raises:
            BudgetExceededError: The call could pass a limit; nothing was sent.
            PriceUnknownError: `budget` has a money limit and the model no known price; nothing was sent.
            ModelUnavailableError: Every attempt on every model failed.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and threads."""
        ...
