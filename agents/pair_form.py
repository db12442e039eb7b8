"""The form of a pair draft: two profiles written for each other in one template-free completion.

Six spans, user side first: cue, the model's own instruction, the profile it then writes; and the same for the
item (DUET, `METHODS` of the paper: cue, self-constructed prompt, profile). Differs: decoding is constrained so
that all six are always there.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from pydantic import BaseModel

from ..models import Claim, Cue, Facet
from ..pairings import PairSide
from ..records import Polarity
from ..tools.prompt import load_prompt
from .case import Case, one_line
from .form import DraftRequest
from .json_schema import object_schema
from .lexicon import item_phrases, rank_phrases
from .phrasing import compose, sentence_pattern
from .profile_form import citing, prefer, themes_of
from .state import LENGTHS, Deps, Draft
from .themes import Theme

PROMPT = load_prompt("draft_pair")

_EVENTS_SHOWN = {"free": 10, "lexicon": 6, "plain": 6}
_TOKENS = {"free": 700, "lexicon": 240, "plain": 240}
_THEMES = 2
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+")  # noqa: RUF001  # full-width marks end sentences too


class PairDraft(BaseModel):
    """The six spans as a model writes them."""

    user_cue: str
    """What about the person matters for this item."""

    user_instruction: str
    """What the person's profile should contain."""

    user_profile: str
    """The person's profile."""

    item_cue: str
    """What about the item matters for this person."""

    item_instruction: str
    """What the item's profile should contain."""

    item_profile: str
    """The item's profile."""


class PairForm:
    """A user profile and an item profile for each other."""

    def __init__(self, case: Case, cues: Sequence[Cue], item_cues: Sequence[Cue], deps: Deps) -> None:
        assert case.item_side is not None, "a pair has an item side"
        self._case, self._cues, self._deps = case, cues, deps
        self._side = case.item_side
        self._item_case = case.for_item()
        self._themes = _nearest_themes(case, themes_of(case, cues, deps))
        self._item_phrases = _phrases_of_item(self._item_case, item_cues, deps)
        self.max_tokens = _TOKENS[deps.style]

    def floor(self, now: datetime) -> Draft:
        """Write both profiles from their best phrases, without a model."""
        language, draft = self._case.language, Draft(round=-1, draft_ix=0, facets=(), claims=(), at=now)
        if not self._themes or not self._item_phrases:
            return draft
        best, item = self._themes[0], self._item_phrases
        spans = PairDraft(
            user_cue=best.name,
            user_instruction=compose(best.phrases, language, "plan"),
            user_profile=" ".join(
                compose(theme.phrases, language, theme.opening, place=place)
                for place, theme in enumerate(self._themes)
            ),
            item_cue=item[0],
            item_instruction=compose(item, language, "plan"),
            item_profile=compose(item, language, "suits"),
        )
        return self.fill(draft, spans.model_dump())

    def request(self, *, advice: str, best: Draft | None) -> DraftRequest:
        """Render the prompt, with the critique of `best` if there is one."""
        shown = _EVENTS_SHOWN[self._deps.style]
        messages = PROMPT.render(
            user_events=self._case.lines(self._case.visible[-shown:], LENGTHS[self._deps.style]),
            user_cues="; ".join(dict.fromkeys(cue.text for cue in self._cues[-shown:])),
            item=one_line(self._side.item.describe()),
            item_events=self._item_case.lines(self._side.events[-shown:], LENGTHS[self._deps.style]),
            language=self._case.language,
            advice=advice,
            draft=best.text if best else "",
        )
        return DraftRequest(prompt=PROMPT, messages=messages, best=best)

    def schema(self, *, seed: int, best: Draft | None) -> dict[str, Any]:
        """Return the schema of six spans."""
        if self._deps.style == "free" or not self._themes or not self._item_phrases:
            return object_schema({name: _span(name) for name in PairDraft.model_fields})
        missed = best.critique.missed if best and best.critique else ()
        language, phrases = (
            self._case.language,
            [phrase for theme in self._themes for phrase in theme.phrases],
        )
        profile = " ".join(
            sentence_pattern(prefer(theme, missed), language, theme.opening, seed=seed + number)[1:-1]
            for number, theme in enumerate(self._themes)
        )
        item = self._item_phrases
        return object_schema(
            {
                "user_cue": {"type": "string", "enum": phrases},
                "user_instruction": _pattern(sentence_pattern(phrases, language, "plan", seed=seed)),
                "user_profile": _pattern(f"^{profile}$"),
                "item_cue": {"type": "string", "enum": item},
                "item_instruction": _pattern(sentence_pattern(item, language, "plan", seed=seed)),
                "item_profile": _pattern(sentence_pattern(item, language, "suits", seed=seed)),
            }
        )

    def fill(self, draft: Draft, answer: Mapping[str, Any]) -> Draft:
        """Add six spans; each sentence of the profiles becomes a claim.

        Raises:
            ValueError: A span is missing or empty.
        """
        spans = PairDraft.model_validate(answer)
        tidy = {name: " ".join(getattr(spans, name).split()) for name in PairDraft.model_fields}
        if empty := [name for name, text in tidy.items() if not text]:
            raise ValueError(f"the pair draft leaves {empty} empty")
        user = PairSide(
            cue=tidy["user_cue"], instruction=tidy["user_instruction"], profile=tidy["user_profile"]
        )
        item = PairSide(
            cue=tidy["item_cue"], instruction=tidy["item_instruction"], profile=tidy["item_profile"]
        )
        return draft.model_copy(
            update={
                "facets": tuple(
                    Facet(name=user.cue, text=sentence, polarity=self._polarity(sentence))
                    for sentence in sentences(user.profile)
                ),
                "claims": _claims(self._case, user.profile),
                "pair": (user, item),
                "item_claims": _claims(self._item_case, item.profile),
            }
        )

    def _polarity(self, sentence: str) -> Polarity:
        """Return the polarity of the theme whose phrases the sentence uses most."""
        lowered = sentence.casefold()
        counts = [
            (sum(phrase in lowered for phrase in theme.phrases), theme.polarity) for theme in self._themes
        ]
        best = max(counts, default=(0, "like"), key=lambda entry: entry[0])
        return best[1] if best[0] else "like"


def sentences(text: str) -> list[str]:
    """Split a paragraph into sentences.

    Examples:
        >>> sentences("Likes jazz. Avoids noise!")
        ['Likes jazz.', 'Avoids noise!']
    """
    return [sentence for sentence in _SENTENCE.split(text) if sentence]


def _claims(case: Case, profile: str) -> tuple[Claim, ...]:
    return tuple(
        Claim(text=sentence, evidence=citing(case, case.visible, sentence), confidence=0.0)
        for sentence in sentences(profile)
    )


def _nearest_themes(case: Case, themes: Sequence[Theme]) -> list[Theme]:
    """Keep the user's themes that lie nearest to the item."""
    assert case.item_side is not None, "a pair has an item side"
    item = case.item_side.vector

    def nearness(theme: Theme) -> float:
        found = [
            case.vectors[event.item_id]
            for event in theme.events
            if event.item_id and event.item_id in case.vectors
        ]
        return float(np.max(np.stack(found) @ item)) if found else -1.0

    return sorted(themes, key=nearness, reverse=True)[:_THEMES]


def _phrases_of_item(item_case: Case, cues: Sequence[Cue], deps: Deps) -> list[str]:
    """Rank the item's labels, its users' words and the cues about it."""
    item = next(iter(item_case.items.values()))
    mentions = [(item_phrases(item, item_case.language), 1.0), ([cue.facet for cue in cues], 1.0)]
    ranked = [phrase for phrase, _ in rank_phrases(mentions, deps.lexicon, limit=9)]
    said = [phrase for event in reversed(item_case.visible) for phrase in item_case.phrases(event)]
    return ranked or [*item_phrases(item, item_case.language), *said][:1]


def _pattern(pattern: str) -> dict[str, str]:
    return {"type": "string", "pattern": pattern}


def _span(name: str) -> dict[str, Any]:
    longest = 500 if name.endswith("profile") else 200
    return {"type": "string", "minLength": 8, "maxLength": longest}
