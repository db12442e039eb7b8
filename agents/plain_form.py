"""The form of a draft by a small profiler that was trained: a short prompt in, bare sentences out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from ..models import Claim, Facet
from ..records import Interaction, Message, Polarity
from ..tools.prompt import load_prompt
from .form import DraftRequest
from .json_schema import object_schema
from .profile_form import ProfileForm, citing
from .state import LENGTHS, Draft

PLAIN = load_prompt("draft_plain")

_EVENTS_SHOWN = 12
_OFTEN = 8
_FEWEST_CHARACTERS, _MOST_CHARACTERS = 12, 160
_NAME_WORDS = 3


class PlainDraft(BaseModel):
    """A draft in the plain style."""

    likes: list[str] = []
    """Sentences about what draws the person."""

    dislikes: list[str] = []
    """Sentences about what puts the person off."""


class PlainForm(ProfileForm):
    """A portrait in bare sentences; what they rest on is found, not written.

    The prompt holds the newest interactions and what the older ones return to, and nothing else: on a CPU,
    reading costs more than writing. The answer has no keys but two, so a trained model writes it without
    constrained decoding as well.
    """

    def request(self, *, advice: str, best: Draft | None) -> DraftRequest:
        """Render the prompt, with the critique of `best` if there is one."""
        messages = self.render(advice, [facet.text for facet in best.facets] if best else [])
        return DraftRequest(prompt=PLAIN, messages=messages, best=best)

    def render(self, advice: str = "", draft: Sequence[str] = ()) -> tuple[Message, ...]:
        """Return the prompt's messages."""
        noted = Counter[str]()
        for cue in self._cues:
            if cue.polarity != "dislike":
                noted[cue.facet] += len(cue.evidence)
        lasting = [facet for facet, count in noted.most_common(_OFTEN) if count > 1]
        return PLAIN.render(
            events=self._case.lines(self._case.visible[-_EVENTS_SHOWN:], LENGTHS["plain"]),
            often=", ".join(lasting),
            facets=self._deps.settings.drafting.facets,
            language=self._case.language,
            advice=advice,
            draft=draft,
        )

    def schema(self, *, seed: int, best: Draft | None) -> dict[str, Any]:
        """Return the schema of an answer: likes, and a dislike if anything was disliked."""
        most = self._deps.settings.drafting.facets
        disliked = any(self._case.polarity(event) == "dislike" for event in self._case.visible)
        lists = {"likes": _sentences(1, max(1, most - disliked))}
        if disliked and most > 1:
            lists["dislikes"] = _sentences(0, 1)
        return object_schema(lists)

    def fill(self, draft: Draft, answer: Mapping[str, Any]) -> Draft:
        """Add the sentences of a parsed completion, each with the interactions whose words it uses.

        Raises:
            ValueError: It holds no usable sentence.
        """
        read = PlainDraft.model_validate(answer)
        written: dict[str, Polarity] = {}
        sides: tuple[tuple[Polarity, list[str]], ...] = (("like", read.likes), ("dislike", read.dislikes))
        for polarity, sentences in sides:
            for sentence in sentences[: self._deps.settings.drafting.facets]:
                text = " ".join(sentence.split())
                if any(character.isalpha() for character in text):
                    written.setdefault(text, polarity)
        if not written:
            raise ValueError("the draft has no usable sentence")
        facets, claims = zip(*(self._cite(text, felt) for text, felt in written.items()), strict=True)
        return draft.model_copy(update={"facets": facets, "claims": claims})

    def _cite(self, text: str, polarity: Polarity) -> tuple[Facet, Claim]:
        fitting = [event for event in self._case.visible if self._fits(event, polarity)]
        evidence = citing(self._case, fitting, text)
        return (
            Facet(name=self._name(text, evidence), text=text, polarity=polarity),
            Claim(text=text, evidence=evidence, confidence=0.0),
        )

    def _fits(self, event: Interaction, polarity: Polarity) -> bool:
        return (self._case.polarity(event) == "dislike") == (polarity == "dislike")

    def _name(self, text: str, evidence: Sequence[str]) -> str:
        """Return the first phrase of the cited interactions that the sentence uses, or its first words."""
        lowered, cited = text.casefold(), set(evidence)
        phrases = (
            phrase
            for event in self._case.visible
            if event.event_id in cited
            for phrase in self._case.phrases(event)
        )
        found = next((phrase for phrase in phrases if phrase in lowered), "")
        return found or " ".join(lowered.strip(".").split()[:_NAME_WORDS])


def completion_of(facets: Sequence[Facet]) -> str:
    """Return sentences as the answer that a model of this style would have written.

    Examples:
        >>> completion_of([Facet(name="jazz", text="Likes jazz.", polarity="like")])
        '{"likes":["Likes jazz."]}'
    """
    likes = [facet.text for facet in facets if facet.polarity != "dislike"]
    dislikes = [facet.text for facet in facets if facet.polarity == "dislike"]
    draft = PlainDraft(likes=likes, dislikes=dislikes)
    return draft.model_dump_json(exclude=set() if dislikes else {"dislikes"})


def _sentences(fewest: int, most: int) -> dict[str, Any]:
    sentence = {"type": "string", "minLength": _FEWEST_CHARACTERS, "maxLength": _MOST_CHARACTERS}
    return {"type": "array", "items": sentence, "minItems": fewest, "maxItems": most}
