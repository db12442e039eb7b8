"""DUET's reward: how close a judge who reads the portrait comes to a held-back rating."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import PositiveInt

from ...agents.calling import Answer, ask, make_request
from ...agents.case import Case, one_line
from ...records import Interaction, Record
from ...tools.answer_shares import ALTERNATIVES, shares_of
from ...tools.prompt import load_prompt
from ...tools.rating_levels import shown_scale
from ...tools.reward import FLOOR
from .asking import ask_each, need_model
from .reading import Reader, Reading
from .reward import Bounds, Terms, grade_readable

PROMPT = load_prompt("answer_rating")

_ITEM_CHARACTERS = 160


class DuetOptions(Record):
    """Settings of DUET's reward."""

    graded: Literal["expected", "said"] = "expected"
    """`expected`: the mean of the scale under the judge's log-probabilities, where the backend gives them;
    `said`: the likeliest rating."""

    at_once: PositiveInt = 8
    """Model calls in flight."""


class Duet:
    """`total = 1 - |ŷ - y| / range` for the newest held-back rating; bounded to [0, 1], and -1 if malformed.

    Terms: `rating`, the judge's guess ŷ on the source's scale; `error`, |ŷ - y| / range. Without a held-back
    rating the reward does not apply. A judge that names no rating counts as the middle of the scale.

    Source:
        DUET, reconstructed: its judge reads a user's and an item's profile. Differs: the item's side is its
        publisher's text; the scale is the store's instead of 1 to 5; `expected` is finer than whole ratings.

    Args:
        reader: With the chat model.
        options: Settings.

    Raises:
        SettingsError: No chat model is configured.
    """

    name = "duet"
    bounds = Bounds(FLOOR, 1.0)

    def __init__(self, reader: Reader, options: DuetOptions) -> None:
        need_model(reader.deps, self.name)
        self._deps, self._options = reader.deps, options

    async def grade(self, readings: Sequence[Reading]) -> list[Terms]:
        """See `Reward`."""
        return await grade_readable(readings, self.bounds.low, self._grade)

    async def _grade(self, readings: Sequence[Reading]) -> list[Terms]:
        rated = [reading for reading in readings if _question(reading.case)]
        asked = await ask_each(self._deps, rated, self._guess, at_once=self._options.at_once)
        guesses = iter(asked)
        return [
            self._terms(reading, next(guesses)) if _question(reading.case) else {} for reading in readings
        ]

    def _terms(self, reading: Reading, guess: float | None) -> Terms:
        scale, event = shown_scale(reading.case.scale), _question(reading.case)
        assert scale is not None and event is not None and event.rating is not None, "asked about it before"
        if guess is None:
            return {}
        error = min(1.0, abs(guess - event.rating) / (scale.high - scale.low))
        return {"rating": guess, "error": error, "total": 1.0 - error}

    async def _guess(self, reading: Reading) -> Answer[float]:
        scale, event = shown_scale(reading.case.scale), _question(reading.case)
        assert scale is not None and event is not None, "only exercises with a rating are asked about"
        item = reading.case.items.get(event.item_id or "")
        request = make_request(
            PROMPT,
            PROMPT.render(
                context=reading.text,
                item=one_line(item.describe(_ITEM_CHARACTERS)) if item else "",
                lowest=1,
                highest=scale.levels,
            ),
            schema=None,
            max_tokens=2,
            seed=self._deps.settings.drafting.seed,
            temperature=0.0,
            top_p=1.0,
            top_logprobs=ALTERNATIVES,
        )
        answer = await ask(self._deps, request)
        if answer.value is None:
            return Answer(None, answer.usage, answer.note, answer.exhausted)
        read = shares_of(answer.value, scale.labels())
        if read is None:
            return Answer(scale.middle, answer.usage)
        values = np.array(scale.values())
        expected = float(read[0] @ values) if self._options.graded == "expected" else values[read[0].argmax()]
        return Answer(float(expected), answer.usage)


def _question(case: Case) -> Interaction | None:
    """Return the newest held-back event with a rating of an item."""
    if shown_scale(case.scale) is None:
        return None
    rated = (event for event in reversed(case.held) if event.rating is not None and event.item_id)
    return next(rated, None)
