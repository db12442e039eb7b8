"""What a draft is of: a profile, or a pair. The graph is the same for both."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from ..records import Message
from ..tools.prompt import Prompt
from .state import Draft


class Part(NamedTuple):
    """One of several prompts that are asked for parts of one draft."""

    messages: tuple[Message, ...]
    """As rendered."""

    names: tuple[str, ...]
    """Properties of the draft's schema that it asks for."""


@dataclass(frozen=True, kw_only=True)
class DraftRequest:
    """One prompt, sampled several times."""

    prompt: Prompt
    """Which prompt."""

    messages: tuple[Message, ...]
    """As rendered; of a draft in parts, those of all its prompts."""

    parts: tuple[Part, ...] = ()
    """The prompts of a draft whose parts are written without seeing each other; empty for one prompt."""

    best: Draft | None
    """The draft to be revised; absent for first drafts."""


class Form(Protocol):
    """How one kind of draft is asked for and read."""

    max_tokens: int
    """Most tokens of a completion."""

    def floor(self, now: datetime) -> Draft:
        """Write the deterministic draft that no model is needed for."""
        ...

    def request(self, *, advice: str, best: Draft | None) -> DraftRequest:
        """Render the prompt of first drafts, or of revisions of `best`."""
        ...

    def schema(self, *, seed: int, best: Draft | None) -> dict[str, Any]:
        """Return the JSON Schema of an answer."""
        ...

    def fill(self, draft: Draft, answer: Mapping[str, Any]) -> Draft:
        """Add the sentences of a parsed completion to a draft.

        Raises:
            ValueError: It holds no usable sentence.
        """
        ...
