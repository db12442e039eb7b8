"""Limner's own critic as the grader of a panel."""

from collections.abc import Sequence

from ..log.training_rows import PromptOnly
from ..rewards.exercise import Exercise
from ..rewards.fresh_critic import FreshCritic
from ..rewards.reading import Reader
from .grading import Reading


class CriticGrader:
    """Grades fresh completions as the drafts of the log were graded; a `Grader`.

    Args:
        reader: Reads completions through the store that the log comes from.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader, self._critic = reader, FreshCritic(reader)

    @property
    def critic_version(self) -> str:
        """Encoder and settings of the critic."""
        return self._critic.critic_version

    async def grade(self, row: PromptOnly, completions: Sequence[str]) -> list[Reading]:
        """Read and grade completions; see `Grader`."""
        read = await self._reader.read([Exercise.of(row)] * len(completions), completions)
        terms = await self._critic.grade(read)
        return [
            Reading(rewards, each.draft.facets if each.draft else ())
            for rewards, each in zip(terms, read, strict=True)
        ]
