"""The form of a profile draft: the prompt, the schema of the answer, and how it is read."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from ..models import Claim, Cue, Facet
from ..records import Interaction, Polarity
from ..tools.prompt import load_prompt
from ..tools.schemas import is_array
from .case import Case
from .form import DraftRequest
from .json_schema import object_schema
from .phrasing import compose, sentence_pattern
from .stances import quote_of, standing_stances
from .state import LENGTHS, Deps, Draft
from .themes import Theme, find_themes
from .uphold import quoted_facet
from .urgency import quoted_urgency

DRAFT = load_prompt("draft_profile")
REVISE = load_prompt("revise_profile")

_TOKENS_PER_SENTENCE = {"free": 90, "lexicon": 70, "plain": 40}
_EVENTS_SHOWN = {"free": 20, "lexicon": 4}
_CUES_SHOWN = {"free": 16, "lexicon": 8}
_MOST_EVIDENCE = 4
_SENTENCE_CHARACTERS = 160


class FacetDraft(BaseModel):
    """One sentence as a model writes it."""

    evidence: list[str]
    """Entries it rests on."""

    theme: str
    """The interest in one to three words."""

    sentence: str
    """One sentence about the interest."""


class ProfileDraft(BaseModel):
    """A model's draft in the free style."""

    likes: list[FacetDraft] = []
    """Sentences about what draws the person."""

    dislikes: list[FacetDraft] = []
    """Sentences about what puts the person off."""


class Sentences(NamedTuple):
    """A draft after reading."""

    facets: tuple[Facet, ...]
    claims: tuple[Claim, ...]


class CueLine(NamedTuple):
    """One cue as a prompt shows it."""

    text: str
    refs: str


def prompt_inputs(case: Case, cues: Sequence[Cue], deps: Deps) -> dict[str, Any]:
    """Return what the drafting prompts show of the visible history."""
    events = case.visible[-_EVENTS_SHOWN[deps.style] :]
    return {
        "events": case.lines(events, LENGTHS[deps.style]),
        "likes": _cue_lines(case, [cue for cue in cues if cue.polarity == "like"], deps),
        "dislikes": _cue_lines(case, [cue for cue in cues if cue.polarity == "dislike"], deps),
        "facets": deps.settings.drafting.facets,
        "language": case.language,
    }


def _cue_lines(case: Case, cues: Sequence[Cue], deps: Deps) -> list[CueLine]:
    """Merge cues that say the same and show the heaviest, of equal ones the newest."""
    refs = case.refs()
    merged: dict[str, list[str]] = {}
    for cue in reversed(cues):
        merged.setdefault(cue.text, []).extend(refs[event_id] for event_id in cue.evidence)
    heaviest = sorted(merged.items(), key=lambda entry: -len(entry[1]))[: _CUES_SHOWN[deps.style]]
    return [CueLine(text, ", ".join(dict.fromkeys(found))) for text, found in heaviest]


def themes_of(case: Case, cues: Sequence[Cue], deps: Deps) -> tuple[Theme, ...]:
    """Return the interests that sentences are written about."""
    return find_themes(case, cues, deps.lexicon, most=deps.settings.drafting.facets)


class ProfileForm:
    """One user's portrait in a few sentences, one interest each."""

    def __init__(self, case: Case, cues: Sequence[Cue], deps: Deps) -> None:
        self._case, self._cues, self._deps = case, cues, deps
        self.max_tokens = _TOKENS_PER_SENTENCE[deps.style] * deps.settings.drafting.facets

    @cached_property
    def _themes(self) -> tuple[Theme, ...]:
        return themes_of(self._case, self._cues, self._deps)

    def floor(self, now: datetime) -> Draft:
        """Quote what the user said, then write each theme's best phrases in a fixed sentence, without a model."""
        said = self._quoted()
        ordinary = [
            facet for facet in said.facets if quoted_urgency(facet.text, self._case.language) == "none"
        ]
        left = self._deps.settings.drafting.facets - len(ordinary)
        themes = () if said.facets and only_spoken(self._case) else self._themes[:left]
        written = [
            (
                theme,
                Facet(
                    name=theme.name, text=_compose(theme, self._case.language, place), polarity=theme.polarity
                ),
            )
            for place, theme in enumerate(themes)
        ]
        read = _cite(self._case, written)
        return Draft(
            round=-1,
            draft_ix=0,
            facets=(*said.facets, *read.facets),
            claims=(*said.claims, *read.claims),
            at=now,
        )

    def _quoted(self) -> Sentences:
        """Quote the stances of messages; where there are items too, in half of the sentences, and what is urgent."""
        most = self._deps.settings.drafting.facets
        most = most if only_spoken(self._case) else max(1, most // 2)
        stances = standing_stances(self._case, most=most)
        texts = [quote_of(stance, self._case.language) for stance in stances]
        return Sentences(
            tuple(quoted_facet(stance, text) for stance, text in zip(stances, texts, strict=True)),
            tuple(
                Claim(text=text, evidence=(stance.event.event_id,), confidence=0.0)
                for stance, text in zip(stances, texts, strict=True)
            ),
        )

    def request(self, *, advice: str, best: Draft | None) -> DraftRequest:
        """Render the first prompt, or the revision prompt around the best draft so far."""
        inputs = prompt_inputs(self._case, self._cues, self._deps)
        if best is None:
            return DraftRequest(prompt=DRAFT, messages=DRAFT.render(**inputs), best=None)
        sentences = [facet.text for facet in best.facets]
        messages = REVISE.render(**inputs, advice=advice, draft=sentences)
        return DraftRequest(prompt=REVISE, messages=messages, best=best)

    def schema(self, *, seed: int, best: Draft | None) -> dict[str, Any]:
        """Return the answer's schema; in the lexicon style it offers what the critique missed first."""
        if self._deps.style == "free":
            return _free_schema(self._case, self._deps)
        missed = best.critique.missed if best and best.critique else ()
        return object_schema(
            {
                name: {
                    "type": "string",
                    "pattern": sentence_pattern(
                        prefer(theme, missed),
                        self._case.language,
                        theme.opening,
                        seed=seed + number,
                        examples=theme.examples,
                    ),
                }
                for number, (name, theme) in enumerate(_named(self._themes))
            }
        )

    def fill(self, draft: Draft, answer: Mapping[str, Any]) -> Draft:
        """Add the sentences of a parsed completion.

        Raises:
            ValueError: It holds no usable sentence.
        """
        free = self._deps.style == "free"
        read = _read_free(self._case, answer) if free else _read_lexicon(self._themes, self._case, answer)
        if not read.facets:
            raise ValueError("the draft has no usable sentence")
        return draft.model_copy(update={"facets": read.facets, "claims": read.claims})


def _free_schema(case: Case, deps: Deps) -> dict[str, Any]:
    """Offer liked entries as evidence of likes, disliked ones of dislikes, and the rest for both."""
    shown = case.visible[-_EVENTS_SHOWN["free"] :]
    refs = case.refs()
    liked = [refs[event.event_id] for event in shown if case.polarity(event) != "dislike"]
    disliked = [refs[event.event_id] for event in shown if case.polarity(event) == "dislike"]
    most = deps.settings.drafting.facets
    lists: dict[str, Any] = {}
    if liked:
        lists["likes"] = _sentences(liked, fewest=min(2, most), most=max(1, most - bool(disliked)))
    if disliked:
        lists["dislikes"] = _sentences(disliked, fewest=1, most=1)
    return object_schema(lists)


def _sentences(refs: Sequence[str], *, fewest: int, most: int) -> dict[str, Any]:
    sentence = object_schema(
        {
            "evidence": {
                "type": "array",
                "items": {"type": "string", "enum": list(refs)},
                "minItems": 1,
                "maxItems": _MOST_EVIDENCE,
            },
            "theme": {"type": "string", "minLength": 3, "maxLength": 40},
            "sentence": {"type": "string", "minLength": 15, "maxLength": _SENTENCE_CHARACTERS},
        }
    )
    return {"type": "array", "items": sentence, "minItems": min(fewest, most), "maxItems": most}


def _read_free(case: Case, answer: Mapping[str, Any]) -> Sentences:
    by_ref = {ref: event_id for event_id, ref in case.refs().items()}
    draft = ProfileDraft(likes=_whole(answer.get("likes")), dislikes=_whole(answer.get("dislikes")))
    likes: list[tuple[FacetDraft, Polarity]] = [(facet, "like") for facet in draft.likes]
    dislikes: list[tuple[FacetDraft, Polarity]] = [(facet, "dislike") for facet in draft.dislikes]
    facets: list[Facet] = []
    claims: list[Claim] = []
    for facet, polarity in (*likes, *dislikes):
        text = " ".join(facet.sentence.split())
        if not text or any(text == known.text for known in facets):
            continue
        evidence = tuple(dict.fromkeys(by_ref[ref] for ref in facet.evidence if ref in by_ref))
        facets.append(Facet(name=facet.theme.strip().casefold(), text=text, polarity=polarity))
        claims.append(Claim(text=text, evidence=evidence, confidence=0.0))
    return Sentences(tuple(facets), tuple(claims))


def _whole(written: Any) -> list[FacetDraft]:
    """Keep the sentences that have all their parts; an answer that was cut off loses only its last."""
    kept: list[FacetDraft] = []
    for entry in written if is_array(written) else ():
        with suppress(ValidationError):
            kept.append(FacetDraft.model_validate(entry))
    return kept


def _read_lexicon(themes: Sequence[Theme], case: Case, answer: Mapping[str, Any]) -> Sentences:
    written = [
        (theme, Facet(name=theme.name, text=" ".join(str(answer[name]).split()), polarity=theme.polarity))
        for name, theme in _named(themes)
        if answer.get(name)
    ]
    return _cite(case, written)


def only_spoken(case: Case) -> bool:
    """Whether there is nothing but messages about no item."""
    return all(event.kind == "message" and event.item_id not in case.items for event in case.visible)


def _cite(case: Case, written: Sequence[tuple[Theme, Facet]]) -> Sentences:
    """Cite, for each sentence, the interactions of its theme whose phrases it uses."""
    claims = [
        Claim(text=facet.text, evidence=citing(case, theme.events, facet.text), confidence=0.0)
        for theme, facet in written
    ]
    return Sentences(tuple(facet for _, facet in written), tuple(claims))


def citing(case: Case, events: Sequence[Interaction], sentence: str) -> tuple[str, ...]:
    """Return the ids of the interactions whose phrases a sentence uses, best first; at least one if any."""
    lowered = sentence.casefold()
    used = {
        event.event_id: sum(phrase in lowered for phrase in case.phrases(event))
        + _names(case, event, sentence)
        for event in reversed(events)
    }
    best = sorted(used.items(), key=lambda entry: -entry[1])[:_MOST_EVIDENCE]
    cited = tuple(event_id for event_id, count in best if count)
    return cited or tuple(event_id for event_id, _ in best[:1])


def _compose(theme: Theme, language: str, place: int) -> str:
    place = 0 if theme.polarity == "dislike" else place
    return compose(theme.said, language, theme.opening, place=place, examples=theme.examples)


def _names(case: Case, event: Interaction, sentence: str) -> int:
    """Count a title in the sentence like the best of phrases."""
    item = case.items.get(event.item_id or "")
    return _MOST_EVIDENCE if item and item.title and item.title in sentence else 0


def _named(themes: Sequence[Theme]) -> list[tuple[str, Theme]]:
    """Name each theme's place in the answer: `like_1`, …, `dislike_1`."""
    counts: dict[str, int] = {"like": 0, "dislike": 0}
    named: list[tuple[str, Theme]] = []
    for theme in themes:
        kind = theme.opening
        counts[kind] += 1
        named.append((f"{kind}_{counts[kind]}", theme))
    return named


def prefer(theme: Theme, preferred: Sequence[str]) -> list[str]:
    """Put a theme's preferred phrases first and drop as many of its last ones."""
    wanted = [phrase for phrase in theme.phrases if phrase in preferred]
    others = [phrase for phrase in theme.phrases if phrase not in preferred]
    return (
        wanted + others[: max(1, len(others) - 2 * len(wanted))] if wanted and others else list(theme.phrases)
    )
