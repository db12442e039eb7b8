"""The one facade over all rewards: user, prompt and text in, every term by name out."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ...agents.fingerprint import critic_version
from ...agents.state import Deps
from ...errors import ExamChangedError, SettingsError
from .by_name import Options, Shared, make_rewards
from .exercise import Exercise
from .reading import Reader
from .reward import Bounds, Terms
from .whole_catalogue import WholeCatalogue


class Scorer:
    """Scores completions by any number of rewards.

    The same store, settings and arguments give the same numbers: nothing is learned and nothing is kept but what
    was read. BLUE's second direction alone looks at the rest of the batch.

    Args:
        deps: What the graph may touch; the catalogue must be indexed.
        weights: Name to weight of each reward.
        options: For each name, what is set for it.

    Raises:
        SettingsError: No reward is named, one is unknown, or one needs a chat model and none is there.
    """

    def __init__(
        self, deps: Deps, weights: Mapping[str, float], options: Mapping[str, Options] | None = None
    ) -> None:
        if not weights:
            raise SettingsError("rewards", "names no reward, and without one nothing can be learned")
        self._reader = Reader(deps)
        shared = Shared(reader=self._reader, catalogue=WholeCatalogue(deps))
        self._rewards = make_rewards(shared, weights, options or {})
        self.weights = dict(weights)
        """Name to weight."""

    @property
    def critic_version(self) -> str:
        """Encoder and settings of the critic."""
        return critic_version(self._reader.deps)

    @property
    def bounds(self) -> Bounds:
        """Where weighted totals lie."""
        all_bounds = [(self.weights[name], reward.bounds) for name, reward in self._rewards.items()]
        highs = [weight * bounds.high for weight, bounds in all_bounds if bounds.high is not None]
        low = sum(weight * bounds.low for weight, bounds in all_bounds)
        return Bounds(low, sum(highs) if len(highs) == len(all_bounds) else None)

    async def score(self, user_id: str, prompt: Any, text: str, meta: Mapping[str, Any]) -> Terms:
        """Score one completion.

        Args:
            user_id: Whose portrait.
            prompt: The messages it answers, or the text of the only one.
            text: The completion.
            meta: `as_of`, `held`, `neg_seed` and `prompt_id` of the training set's row.

        Returns:
            `NAME` is a reward's total and `NAME.TERM` one of its terms; `total` is the weighted sum. A reward that
            does not apply has no `NAME`, and if none applies there is no `total`.

        Raises:
            InputError: The prompt or `meta` is not what a training set has.
            ExamChangedError: The user's history or the held-back events have changed.
            ModelUnavailableError: A model that grades answered nothing.
        """
        return (await self.score_many([Exercise.read(user_id, prompt, meta)], [text]))[0]

    async def score_many(self, exercises: Sequence[Exercise], texts: Sequence[str]) -> list[Terms]:
        """Score completions, one for each exercise, with as few calls of the encoder as there are rewards."""
        by_name = [await self.grade(name, exercises, texts) for name in self._rewards]
        return [
            self._merge(dict(zip(self._rewards, each, strict=True))) for each in zip(*by_name, strict=True)
        ]

    async def grade(self, name: str, exercises: Sequence[Exercise], texts: Sequence[str]) -> list[Terms]:
        """Return one reward's terms."""
        return await self._rewards[name].grade(await self._reader.read(exercises, texts))

    async def refused(
        self, exercises: Sequence[Exercise], *, at_once: int = 8
    ) -> dict[int, ExamChangedError]:
        """Return the places of exercises that can no longer be graded alike, and why."""
        slots = asyncio.Semaphore(at_once)

        async def reason(exercise: Exercise) -> ExamChangedError | None:
            async with slots:
                try:
                    await self._reader.open(exercise)
                except ExamChangedError as error:
                    return error
            return None

        reasons = await asyncio.gather(*map(reason, exercises))
        return {place: error for place, error in enumerate(reasons) if error is not None}

    def _merge(self, found: Mapping[str, Terms]) -> Terms:
        merged: Terms = {}
        for name, terms in found.items():
            merged |= {f"{name}.{term}": value for term, value in terms.items() if term != "total"}
            if "total" in terms:
                merged[name] = terms["total"]
        applying = [name for name in found if name in merged]
        if applying:
            merged["total"] = sum(self.weights[name] * merged[name] for name in applying)
        return merged
