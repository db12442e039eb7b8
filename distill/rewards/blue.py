"""BLUE's reward: the portrait against items and users, and a model that guesses the next item from it."""

from collections.abc import Sequence

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from ...agents.next_item import next_item_reward
from ...records import Record
from ...tools.embedder import FloatArray
from .asking import ask_each, need_model
from .contrast import contrast
from .length_control import LengthOptions, length_reward
from .reading import Reader, Reading
from .reward import Bounds, Terms, grade_readable


class BlueOptions(Record):
    """Weights and settings of BLUE's reward. The negatives are the settings' `critic.negatives`, 128."""

    emb: NonNegativeFloat = 1.0
    """Weight of the embedding reward."""

    text: NonNegativeFloat = 1.0
    """Weight of the text reward; 0 saves a model call a completion."""

    length: NonNegativeFloat = 0.0
    """Weight of the length control."""

    temperature: PositiveFloat = 0.05
    """τ of the InfoNCE, in cosine units."""

    facets: bool = False
    """Score items by each sentence and a soft maximum, as Limner does; else by one vector of the whole."""

    floor: float = -10.0
    """Total of a completion that cannot be read, and the least of any: a portrait that points the wrong way is worth
    no less than none. Log 129 = 4.86 below 0 is chance among the items."""

    control: LengthOptions = LengthOptions()
    """How length is paid for."""

    at_once: PositiveInt = 8
    """Model calls in flight."""


class Blue:
    """`total = emb · ½(R_u→i + R_i→u) + text · P(next item) + length · r_len`, at least `floor`.

    Terms: `to_item` and `to_user` in nats, `emb` their mean, `text` in [0, 1], `length`.

    Source:
        BLUE, reconstructed from its abstract; the weights are ours. Differs: bounded below, so that no completion
        gains by being unreadable; several held-back items; the portraits
        of other users in the batch are all their completions, and where the batch has no other user, the raw
        histories of the critic's audience stand in; dislikes are left out of the vector, since encoders do not
        see negation; the text reward is the probability of the right letter among four, where the backend gives
        log-probabilities, else 1 or 0.

    Args:
        reader: With the encoder, the catalogue and the chat model.
        options: Weights and settings.

    Raises:
        SettingsError: The text reward is weighted and no chat model is configured.
    """

    name = "blue"

    def __init__(self, reader: Reader, options: BlueOptions) -> None:
        self._deps, self._options = reader.deps, options
        self.bounds = Bounds(options.floor, None)
        if options.text > 0:
            need_model(reader.deps, self.name)

    async def grade(self, readings: Sequence[Reading]) -> list[Terms]:
        """See `Reward`."""
        return await grade_readable(readings, self.bounds.low, self._grade)

    async def _grade(self, readings: Sequence[Reading]) -> list[Terms]:
        texts: list[float | None] = [None] * len(readings)
        if self._options.text > 0:
            texts = await ask_each(
                self._deps,
                readings,
                lambda reading: next_item_reward(self._deps, reading.case, reading.text),
                at_once=self._options.at_once,
            )
        portraits = [self._portrait(reading) for reading in readings]
        return [
            self._total(reading, portrait, self._rivals(reading, readings, portraits), text)
            for reading, portrait, text in zip(readings, portraits, texts, strict=True)
        ]

    def _total(
        self, reading: Reading, portrait: FloatArray, rivals: Sequence[FloatArray], text: float | None
    ) -> Terms:
        options, exam = self._options, reading.case.exam
        pull = contrast(portrait, exam.positives, exam.negatives, rivals, temperature=options.temperature)
        terms = {
            "to_item": pull.to_item,
            "to_user": pull.to_user,
            "emb": pull.mean,
            "length": length_reward(reading.text, options.control),
        }
        if text is not None:
            terms["text"] = text
        elif options.text > 0:
            return terms  # without a term that others have, the total would not compare
        weights = {"emb": options.emb, "text": options.text, "length": options.length}
        total = sum(weights[name] * terms.get(name, 0.0) for name in weights)
        return {**terms, "total": max(options.floor, total)}

    def _portrait(self, reading: Reading) -> FloatArray:
        """Return the vectors that score items: the liked sentences and their whole, or the whole alone."""
        assert reading.vectors is not None, "only what could be read is graded"
        return reading.vectors.liked if self._options.facets else reading.vectors.liked[-1:]

    def _rivals(
        self, reading: Reading, readings: Sequence[Reading], portraits: Sequence[FloatArray]
    ) -> list[FloatArray]:
        """Return other users' portraits in the batch; their histories outside of it if there is none."""
        others = [
            portrait
            for other, portrait in zip(readings, portraits, strict=True)
            if other.exercise.user_id != reading.exercise.user_id
        ]
        return others or list(reading.case.exam.others)
