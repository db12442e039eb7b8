"""Length control: a bonus for brevity up to a bound, and a growing price for going on."""

from collections.abc import Sequence

from ...records import Record
from ...tools.reward import FLOOR
from .reading import Reading
from .reward import Bounds, Terms, grade_readable


class LengthOptions(Record):
    """How length is paid for."""

    bonus: float = 0.0
    """C: the most that is paid for being short; 0 pays nothing."""

    price: float = 0.01
    """β: reward a word."""

    words: int = 60
    """L: the length from which words cost, in words."""


def length_reward(text: str, options: LengthOptions) -> float:
    """`min(C, β · (L - l))`, at least -1.

    Source:
        RLPF, https://arxiv.org/abs/2409.04421. Differs: the unit is a word instead of a token, so
        that it does not depend on the tokenizer; bounded below; C is 0 unless chosen, since a bonus for brevity
        invites empty portraits.

    Examples:
        >>> options = LengthOptions(bonus=0.1, price=0.05, words=4)
        >>> [round(length_reward(text, options), 2) for text in ("one", "a b c d e f", "a b c")]
        [0.1, -0.1, 0.05]
    """
    return max(FLOOR, min(options.bonus, options.price * (options.words - len(text.split()))))


class LengthReward:
    """Length control by itself, to be put beside any other reward; bounded to [-1, C]."""

    name = "length"

    def __init__(self, options: LengthOptions) -> None:
        self._options = options
        self.bounds = Bounds(FLOOR, max(options.bonus, 0.0) or 1e-9)

    async def grade(self, readings: Sequence[Reading]) -> list[Terms]:
        """See `Reward`."""

        async def graded(readable: Sequence[Reading]) -> list[Terms]:
            return [{"total": length_reward(reading.text, self._options)} for reading in readable]

        return await grade_readable(readings, FLOOR, graded)
