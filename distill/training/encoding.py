"""Messages as tokens, the same way for training, for validation and for writing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from ...errors import InputError
from ...records import Message
from ..log.training_rows import Messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = "limner"


@dataclass(frozen=True)
class Example:
    """One row as tokens."""

    prompt: tuple[int, ...]
    """Up to where the model begins to write."""

    completion: tuple[int, ...]
    """What it writes, with the token that ends its turn."""

    weight: float = 1.0
    """Weight or advantage."""

    logged: tuple[float, ...] | None = None
    """Log-probabilities of the completion's tokens when they were written, in nats; absent if not logged."""

    @property
    def size(self) -> int:
        """Return the tokens of both."""
        return len(self.prompt) + len(self.completion)


class ChatEncoder:
    """Renders messages with a tokenizer's chat template."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        pad: Any = tokenizer.pad_token_id
        self.pad: int = int(pad or 0)
        """Token that fills up shorter rows."""

        self.end = self._end_of_turn()
        """Token that ends the model's turn."""

    def prompt(self, messages: Messages) -> tuple[int, ...]:
        """Return a prompt's tokens, up to where the model begins to write.

        Raises:
            InputError: The template refuses the messages.
        """
        return self._ids(self._render(messages, prompt=True))

    def completion(self, messages: Messages) -> tuple[int, ...]:
        """Return the tokens of what the model is to write, and the token that ends its turn."""
        return (*self._ids(messages[-1].content), self.end)

    def example(self, prompt: Messages, completion: Messages, weight: float = 1.0) -> Example:
        """Return a row as tokens."""
        return Example(self.prompt(prompt), self.completion(completion), weight)

    def text(self, tokens: Sequence[int]) -> str:
        """Return the words of some tokens, without special ones."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _ids(self, text: str) -> tuple[int, ...]:
        # The template has put in what begins a text, so the tokenizer must not do so again.
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _render(self, messages: Messages, *, prompt: bool) -> str:
        told = [message.model_dump() for message in messages]
        try:
            return str(
                self._tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=prompt)
            )
        except TemplateError as error:
            raise InputError(f"the base's chat template refuses a prompt: {error}") from error

    def _end_of_turn(self) -> int:
        """Return the special token that the template writes behind an answer; the end of text if it has none."""
        turns = (Message(role="user", content="?"), Message(role="assistant", content=_MARK))
        behind = self._ids(self._render(turns, prompt=False).rpartition(_MARK)[2])
        if behind and behind[0] in self._tokenizer.all_special_ids:
            return behind[0]
        end = self._tokenizer.eos_token_id
        assert isinstance(end, int), "a tokenizer with a chat template has one end of text"
        return end
