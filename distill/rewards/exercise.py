"""What a completion answers: whose portrait was asked for, when, and what grades it."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from ...errors import InputError
from ...records import Identifier, Message, Moment, Record, content_hash
from ..log.training_rows import Messages, PromptOnly


class Exercise(Record):
    """One prompt and the exam that belongs to it."""

    user_id: Identifier
    """Whose portrait."""

    prompt: Messages
    """What the model is asked."""

    as_of: Moment
    """Nothing at or after this moment shapes the reward."""

    held: tuple[str, ...]
    """Event ids that were held back, to grade with."""

    neg_seed: int
    """Seed of the negatives."""

    prompt_id: str
    """Which prompt, and so which form the completion has."""

    @classmethod
    def of(cls, row: PromptOnly) -> Self:
        """Return the exercise of a row of a training set."""
        return cls(prompt=row.prompt, **{name: getattr(row, name) for name in META}, user_id=row.user_id)

    @classmethod
    def read(cls, user_id: str, prompt: Sequence[Mapping[str, str]] | str, meta: Mapping[str, Any]) -> Self:
        """Return the exercise that other programs carry as plain values.

        Args:
            user_id: Whose portrait.
            prompt: Messages with `role` and `content`, or one text for the user's only message.
            meta: `as_of` (ISO 8601), `held`, `neg_seed` and `prompt_id`; other entries are ignored.

        Raises:
            InputError: One is missing or is not what it should be.
        """
        told = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        values = {name: meta[name] for name in META if name in meta}
        if "held" in values:
            values["held"] = tuple(values["held"])  # an array, as Parquet readers give it
        try:
            messages = tuple(Message.model_validate(dict(each)) for each in told)
            return cls.model_validate({"user_id": user_id, "prompt": messages, **values})
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the prompt of user_id={user_id!r} cannot be graded: {error}; keep the columns "
                f"{', '.join(META)} of the training set beside it"
            ) from error

    @property
    def meta(self) -> dict[str, Any]:
        """What `read` takes back, as JSON has it."""
        return self.model_dump(mode="json", include=set(META))

    @property
    def key(self) -> str:
        """Content hash."""
        return content_hash(self.model_dump_json())


META = ("as_of", "held", "neg_seed", "prompt_id")
"""Columns beside user and prompt."""
