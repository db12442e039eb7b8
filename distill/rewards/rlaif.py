"""RLAIF's reward: a judge's verdict on the portrait beside the history."""

from collections.abc import Sequence

from pydantic import NonNegativeFloat, PositiveInt

from ...agents.calling import Answer, ask_as
from ...agents.portrait_judge import Verdict, verdict_request
from ...records import Record
from ...tools.reward import FLOOR
from .asking import ask_each, need_model
from .reading import Reader, Reading
from .reward import Bounds, Terms, grade_readable

_LOW, _HIGH = 1, 5


class RlaifOptions(Record):
    """Weights and settings of the judge's reward."""

    coherence: NonNegativeFloat = 1.0
    """Weight: reads as one clear description."""

    accuracy: NonNegativeFloat = 1.0
    """Weight: follows from the entries."""

    coverage: NonNegativeFloat = 1.0
    """Weight: names the interests that matter."""

    overall: NonNegativeFloat = 1.0
    """Weight: helps to guess the next choice."""

    events: PositiveInt = 20
    """Newest visible interactions that the judge is shown."""

    at_once: PositiveInt = 8
    """Model calls in flight."""


class Rlaif:
    """`total` = weighted mean of the judge's four scores, each mapped from 1…5 to [0, 1]; bounded to [0, 1].

    Terms: `coherence`, `accuracy`, `coverage`, `overall`. A completion that cannot be read gets -1. The judge sees
    what the drafts saw, never what was held back.

    Source:
        RLAIF, https://arxiv.org/abs/2309.00267, as BLUE's baseline names its scores. Differs: one request gives all
        four; scores are what the judge says, not their expectation.

    Args:
        reader: With the chat model.
        options: Weights and settings.

    Raises:
        SettingsError: No chat model is configured.
    """

    name = "rlaif"
    bounds = Bounds(FLOOR, 1.0)

    def __init__(self, reader: Reader, options: RlaifOptions) -> None:
        need_model(reader.deps, self.name)
        self._deps, self._options = reader.deps, options

    async def grade(self, readings: Sequence[Reading]) -> list[Terms]:
        """See `Reward`."""
        return await grade_readable(readings, self.bounds.low, self._grade)

    async def _grade(self, readings: Sequence[Reading]) -> list[Terms]:
        verdicts = await ask_each(self._deps, readings, self._judge, at_once=self._options.at_once)
        return [self._terms(verdict) if verdict else {} for verdict in verdicts]

    def _terms(self, verdict: Verdict) -> Terms:
        scores: Terms = {
            name: (value - _LOW) / (_HIGH - _LOW) for name, value in verdict.model_dump().items()
        }
        weights = {name: float(getattr(self._options, name)) for name in scores}
        mass = sum(weights.values())
        total = sum(weights[name] * score for name, score in scores.items()) / mass if mass else 0.0
        return {**scores, "total": total}

    async def _judge(self, reading: Reading) -> Answer[Verdict]:
        entries = reading.case.lines(reading.case.visible[-self._options.events :])
        request = verdict_request([entry.line for entry in entries], reading.text)
        return await ask_as(self._deps, request, Verdict)
