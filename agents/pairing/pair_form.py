"""The form of a pair draft: two profiles written for each other in one template-free completion.

Six spans, user side first: cue, the model's own instruction, the profile it then writes; and the same for the
item (DUET: cue, self-constructed prompt, profile, from the last 10 reviews of both). Differs: decoding is
constrained so that all six are always there; the user's last interactions before the moment are held back to grade
the draft with; `settings.pairing` leaves spans out, or writes the two sides without seeing each other.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from pydantic import BaseModel

from ...models import Claim, Cue, Facet
from ...pairings import PairSide
from ...records import Polarity
from ...sections import PairingSettings
from ...tools.leaks import leak_penalty
from ...tools.prompt import load_prompt
from ...tools.verdicts import is_praise
from ..case import Case, EventLine, one_line
from ..form import DraftRequest, Part
from ..json_schema import object_schema
from ..lexicon import item_phrases, rank_phrases, text_phrases
from ..phrasing import compose, sentence_pattern
from ..profile_form import citing, prefer, themes_of
from ..state import LENGTHS, Deps, Draft
from ..themes import Theme

PROMPT = load_prompt("draft_pair")
SIDE = load_prompt("draft_side")

_EVENTS_SHOWN = 10
_TOKENS = {"free": 700, "lexicon": 240, "plain": 240}
_THEMES = 2
_ITEM_PHRASES = 9
_FEW = 3
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+")  # noqa: RUF001  # full-width marks end sentences too


class PairDraft(BaseModel):
    """The six spans as a model writes them; those that `settings.pairing` leaves out are empty."""

    user_cue: str = ""
    """What about the person matters for this item."""

    user_instruction: str = ""
    """What the person's profile should contain."""

    user_profile: str
    """The person's profile."""

    item_cue: str = ""
    """What about the item matters for this person."""

    item_instruction: str = ""
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
        self._switches = deps.settings.pairing
        self._felt = themes = themes_of(case, cues, deps)
        nearest = _nearest_themes(case, themes) if self._switches.paired else themes[:_THEMES]
        self._themes = _distinct(case, nearest)
        self._item_phrases = _sayable(case, _phrases_of_item(self._item_case, item_cues, deps))
        self.names = _spans_wanted(self._switches)
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
                compose(theme.said, language, theme.opening, place=place)
                for place, theme in enumerate(self._themes)
            ),
            item_cue=item[0],
            item_instruction=compose(item, language, "plan"),
            item_profile=compose(item, language, "suits"),
        )
        return self.fill(draft, spans.model_dump())

    def request(self, *, advice: str, best: Draft | None) -> DraftRequest:
        """Render the prompt, or that of each side, with the critique of `best` if there is one."""
        if not self._switches.paired:
            parts = (self._part("user", advice, best), self._part("item", advice, best))
            messages = tuple(message for part in parts for message in part.messages)
            return DraftRequest(prompt=SIDE, messages=messages, parts=parts, best=best)
        messages = PROMPT.render(
            user_events=self._shown(self._case),
            user_cues=self._noted(),
            item=one_line(self._side.item.describe()),
            item_events=self._shown(self._item_case),
            language=self._case.language,
            advice=advice,
            draft=best.text if best else "",
            cue=self._switches.cue,
            instruction=self._switches.instruction,
        )
        return DraftRequest(prompt=PROMPT, messages=messages, best=best)

    def _part(self, side: str, advice: str, best: Draft | None) -> Part:
        """Render one side's own prompt, which another pair of the same user, or item, asks again word for word."""
        item = side == "item"
        messages = SIDE.render(
            subject=side,
            events=self._shown(self._item_case if item else self._case),
            text=one_line(self._side.item.describe()) if item else self._noted(),
            language=self._case.language,
            advice="" if item else advice,  # the critic's words are about the user's side
            draft=best.text if best else "",
            cue=self._switches.cue,
            instruction=self._switches.instruction,
        )
        return Part(messages, tuple(name for name in self.names if name.startswith(side)))

    def _shown(self, case: Case) -> list[EventLine]:
        return case.lines(case.visible[-_EVENTS_SHOWN:], LENGTHS[self._deps.style])

    def _noted(self) -> str:
        return "; ".join(dict.fromkeys(cue.text for cue in self._cues[-_EVENTS_SHOWN:]))

    def schema(self, *, seed: int, best: Draft | None) -> dict[str, Any]:
        """Return the schema of the spans in use."""
        if self._deps.style == "free" or not self._themes or not self._item_phrases:
            return object_schema({name: _span(name) for name in self.names})
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
        spans = {
            "user_cue": {"type": "string", "enum": phrases},
            "user_instruction": _pattern(sentence_pattern(phrases, language, "plan", seed=seed)),
            "user_profile": _pattern(f"^{profile}$"),
            "item_cue": {"type": "string", "enum": item},
            "item_instruction": _pattern(sentence_pattern(item, language, "plan", seed=seed)),
            "item_profile": _pattern(sentence_pattern(item, language, "suits", seed=seed)),
        }
        return object_schema({name: spans[name] for name in self.names})

    def fill(self, draft: Draft, answer: Mapping[str, Any]) -> Draft:
        """Add the spans in use; each sentence of the profiles becomes a claim.

        Raises:
            ValueError: A span is missing or empty.
        """
        spans = PairDraft.model_validate(answer)
        tidy = {name: " ".join(getattr(spans, name).split()) for name in self.names}
        if empty := [name for name, text in tidy.items() if not text]:
            raise ValueError(f"the pair draft leaves {empty} empty")
        tidy = dict.fromkeys(PairDraft.model_fields, "") | tidy
        user = PairSide(
            cue=tidy["user_cue"], instruction=tidy["user_instruction"], profile=tidy["user_profile"]
        )
        item = PairSide(
            cue=tidy["item_cue"], instruction=tidy["item_instruction"], profile=tidy["item_profile"]
        )
        theme = self._themes[0].name if self._themes else ""
        return draft.model_copy(
            update={
                "facets": tuple(
                    Facet(name=user.cue or theme, text=sentence, polarity=self._polarity(sentence))
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
            (sum(phrase in lowered for phrase in theme.phrases), theme.polarity) for theme in self._felt
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


def _spans_wanted(switches: PairingSettings) -> tuple[str, ...]:
    """Return the spans that a draft must have, in the order of writing.

    Examples:
        >>> _spans_wanted(PairingSettings(cue=False, instruction=False))
        ('user_profile', 'item_profile')
    """
    off = {"cue": not switches.cue, "instruction": not switches.instruction, "profile": False}
    return tuple(name for name in PairDraft.model_fields if not off[name.partition("_")[2]])


def _sayable(case: Case, phrases: Sequence[str]) -> list[str]:
    """Leave out phrases that a draft must not spell, and words of reviews that are mere praise.

    Where nothing else is left they stay: an item with no word but its title still has a profile.
    """
    exam = case.exam
    said = [
        phrase
        for phrase in phrases
        if not is_praise(phrase) and not leak_penalty(phrase, exam.targets, exam.known, verdicts=True)
    ]
    return said or list(phrases)


def _distinct(case: Case, themes: Sequence[Theme]) -> list[Theme]:
    """Let each theme say what none before it can say already; one that has nothing left is dropped."""
    kept: list[Theme] = []
    said: set[str] = set()
    for theme in themes:
        phrases = [phrase for phrase in _sayable(case, theme.phrases) if not said & set(phrase.split())]
        if phrases:
            kept.append(replace(theme, phrases=tuple(phrases)))
            said |= _words(phrases)
    return kept


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
    """Rank the item's labels, its users' words and the cues about it; where they are few, words of its title too."""
    item = next(iter(item_case.items.values()))
    mentions = [(item_phrases(item, item_case.language), 1.0), ([cue.facet for cue in cues], 1.0)]
    ranked = [phrase for phrase, _ in rank_phrases(mentions, deps.lexicon, limit=_ITEM_PHRASES)]
    for phrase in text_phrases(item.title, item_case.language, most_words=2):
        if len(ranked) < _FEW and not set(phrase.split()) & _words(ranked):
            ranked.append(phrase)
    ranked = _without_title(ranked, set(text_phrases(item.title, item_case.language, most_words=1)))
    said = [phrase for event in reversed(item_case.visible) for phrase in item_case.phrases(event)]
    return ranked or [*item_phrases(item, item_case.language), *said][:1]


def _without_title(phrases: Sequence[str], title: set[str]) -> list[str]:
    """Drop the last words of a title if a sentence of these phrases could spell all of it.

    Examples:
        >>> _without_title(["gift", "maple", "leaf"], {"maple", "leaf"}), _without_title(["maple"], {"maple", "leaf"})
        (['gift', 'maple'], ['maple'])
    """
    kept = list(phrases)
    while len(kept) > 1 and title and title <= _words(kept):
        kept.remove(next(phrase for phrase in reversed(kept) if title & set(phrase.split())))
    return kept


def _words(phrases: Sequence[str]) -> set[str]:
    return {word for phrase in phrases for word in phrase.split()}


def _pattern(pattern: str) -> dict[str, str]:
    return {"type": "string", "pattern": pattern}


def _span(name: str) -> dict[str, Any]:
    longest = 500 if name.endswith("profile") else 200
    return {"type": "string", "minLength": 8, "maxLength": longest}
