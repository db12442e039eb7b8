"""The critic of the drawing graph over fresh completions: Limner's own reward."""

import asyncio
from collections.abc import Sequence

from ...agents.critic import criticise
from ...agents.fingerprint import critic_version
from ...tools.reward import FLOOR
from .exercise import Exercise
from .reading import Reader, Reading
from .reward import Bounds, Terms, grade_readable


class FreshCritic:
    """Grades fresh completions as the graph graded the drafts of the log; bounded to [-1, 1].

    `total` is the weighted mean of the gains `rank`, `emb`, `text`, `ground` less the weighted penalties `length`
    and `boiler`, and the floor on a `leak`; see `tools.reward`. Weights are the settings' `reward`.

    Source:
        The reward of Limner, in which BLUE's two rewards are bounded terms among others.

    Args:
        reader: Reads completions.
    """

    name = "limner"
    bounds = Bounds(FLOOR, 1.0)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def critic_version(self) -> str:
        """Encoder and settings of the critic; rewards compare only within one version."""
        return critic_version(self._reader.deps)

    async def __call__(self, exercises: Sequence[Exercise], completions: Sequence[str]) -> list[Terms]:
        """Grade completions, one for each exercise.

        Raises:
            ExamChangedError: An exercise can no longer be graded alike.
        """
        return await self.grade(await self._reader.read(exercises, completions))

    async def grade(self, readings: Sequence[Reading]) -> list[Terms]:
        """See `Reward`."""
        return await grade_readable(readings, self.bounds.low, self._grade)

    async def _grade(self, readings: Sequence[Reading]) -> list[Terms]:
        groups: dict[str, list[int]] = {}
        for place, reading in enumerate(readings):
            groups.setdefault(reading.exercise.key, []).append(place)
        found = await asyncio.gather(
            *(self._group([readings[ix] for ix in group]) for group in groups.values())
        )
        terms: dict[int, Terms] = {}
        for group, graded in zip(groups.values(), found, strict=True):
            terms |= dict(zip(group, graded, strict=True))
        return [terms[place] for place in range(len(readings))]

    async def _group(self, readings: Sequence[Reading]) -> list[Terms]:
        """Grade the completions of one exercise together, so that they have the same terms."""
        drafts = [reading.draft for reading in readings if reading.draft is not None]
        review = await criticise(self._reader.deps, readings[0].case, drafts)
        return [dict(draft.critique.rewards) for draft in review.drafts if draft.critique is not None]
