"""The door to whatever grades fresh completions, and what it read in them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ...models import Facet
from ..log.training_rows import PromptOnly


class Reading(NamedTuple):
    """One completion as the critic read it."""

    rewards: Mapping[str, float]
    """Every reward term and `total`."""

    facets: tuple[Facet, ...]
    """Its sentences; empty for a malformed completion, which holds none."""

    @property
    def text(self) -> str:
        """The portrait as one paragraph."""
        return " ".join(facet.text for facet in self.facets)

    @property
    def liked(self) -> tuple[str, ...]:
        """What scores items, as in the critic: liked sentences, then all of them as one text; empty if malformed.

        Encoders do not see negation, so sentences about dislikes would pull in what they name.
        """
        if not self.facets:
            return ()
        liked = [facet.text for facet in self.facets if facet.polarity != "dislike"]
        return (*liked, " ".join(liked) or self.text)


class Grader(Protocol):
    """A critic that grades completions of a logged prompt that were written after the log."""

    @property
    def critic_version(self) -> str:
        """Encoder and settings of the critic; rewards compare only within one version."""
        ...

    async def grade(self, row: PromptOnly, completions: Sequence[str]) -> Sequence[Reading]:
        """Read and grade completions of one prompt, in their order.

        Raises:
            ExamChangedError: The store no longer gives what the prompt was drawn from.
        """
        ...
