"""RLPF's reward: a frozen model predicts the next activity from the summary, and length is controlled."""

from collections.abc import Sequence

from pydantic import NonNegativeFloat, PositiveInt

from ...agents.next_item import next_item_reward
from ...records import Record
from ...tools.reward import FLOOR
from .asking import ask_each, need_model
from .length_control import LengthOptions, length_reward
from .reading import Reader, Reading
from .reward import Bounds, Terms, grade_readable


class RlpfOptions(Record):
    """Weights and settings of RLPF's reward."""

    predict: NonNegativeFloat = 1.0
    """Weight of the prediction."""

    length: NonNegativeFloat = 1.0
    """Weight of the length control."""

    control: LengthOptions = LengthOptions(bonus=0.1, price=0.005, words=60)
    """C, β and L."""

    at_once: PositiveInt = 8
    """Model calls in flight."""


class Rlpf:
    """`total = predict · P(next) + length · min[C, β(L - l)]`; bounded to [-1 - length, predict + length · C].

    Terms: `predict` in [0, 1], `length`.

    Source:
        RLPF, https://arxiv.org/abs/2409.04421. Differs: the next activity is one of four
        options instead of free text, and counts by its probability where the backend gives log-probabilities.

    Args:
        reader: With the chat model.
        options: Weights and settings.

    Raises:
        SettingsError: No chat model is configured.
    """

    name = "rlpf"

    def __init__(self, reader: Reader, options: RlpfOptions) -> None:
        need_model(reader.deps, self.name)
        self._deps, self._options = reader.deps, options
        self.bounds = Bounds(
            FLOOR - options.length, options.predict + options.length * max(0.0, options.control.bonus)
        )

    async def grade(self, readings: Sequence[Reading]) -> list[Terms]:
        """See `Reward`."""
        return await grade_readable(readings, self.bounds.low, self._grade)

    async def _grade(self, readings: Sequence[Reading]) -> list[Terms]:
        options = self._options
        predicted = await ask_each(
            self._deps,
            readings,
            lambda reading: next_item_reward(self._deps, reading.case, reading.text),
            at_once=options.at_once,
        )
        graded: list[Terms] = []
        for reading, share in zip(readings, predicted, strict=True):
            terms = {"length": length_reward(reading.text, options.control)}
            if share is not None:
                total = options.predict * share + options.length * terms["length"]
                terms |= {"predict": share, "total": total}
            graded.append(terms)
        return graded
