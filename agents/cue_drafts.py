"""Cues: the schema a model fills, how its answer is read, and the same without a model."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from ..models import Cue
from ..records import Interaction, Polarity, content_hash
from .case import Case
from .hearsay import repeats
from .json_schema import object_schema
from .lexicon import Lexicon, rank_phrases
from .stances import stances_of
from .state import Style

_THEME_CHARACTERS = 40
_NOTE_CHARACTERS = 120
_PHRASES_OFFERED = 8
_PHRASES_KEPT = 2


class CueDraft(BaseModel):
    """One note as a model writes it."""

    ref: str
    """Entry it rests on."""

    theme: str
    """One to three words."""

    polarity: Literal["like", "dislike"] | None = None
    """For or against the theme; left out where the user's rating says it."""

    note: str = ""
    """The observation; empty where only themes are asked for."""


class CueList(BaseModel):
    """A model's notes on a few entries."""

    cues: list[CueDraft]
    """At most one for each entry."""


def offered_phrases(case: Case, event: Interaction, lexicon: Lexicon) -> list[str]:
    """Return the phrases of one interaction that a cue may name, rarest first."""
    if event.event_id not in case.offers:
        ranked = rank_phrases([(case.phrases(event), 1.0)], lexicon, limit=_PHRASES_OFFERED)
        case.offers[event.event_id] = [phrase for phrase, _ in ranked]
    return case.offers[event.event_id]


def cue_schema(case: Case, events: Sequence[Interaction], lexicon: Lexicon, style: Style) -> dict[str, Any]:
    """Return the JSON Schema of an answer that can only cite these entries.

    In the lexicon style each entry also offers only its own phrases, so every cue is grounded.
    """
    refs = case.refs()
    if style == "free":
        note: dict[str, Any] = {
            "ref": {"type": "string", "enum": [refs[event.event_id] for event in events]},
            "theme": {"type": "string", "minLength": 3, "maxLength": _THEME_CHARACTERS},
            "polarity": {"type": "string", "enum": ["like", "dislike"]},
            "note": {"type": "string", "minLength": 3, "maxLength": _NOTE_CHARACTERS},
        }
        return _list_of(object_schema(note), len(events))
    branches = [
        _branch(case, event, refs[event.event_id], phrases)
        for event in events
        if (phrases := offered_phrases(case, event, lexicon))
    ]
    return _list_of({"anyOf": branches}, len(branches)) if branches else {}


def read_cues(case: Case, events: Sequence[Interaction], answer: CueList) -> list[Cue]:
    """Turn a model's notes into cues; a rating overrules a polarity that contradicts it."""
    by_ref = {ref: event_id for event_id, ref in case.refs().items()}
    by_id = {event.event_id: event for event in events}
    read_to = max(place_of(event) for event in events)
    cues: dict[str, Cue] = {}
    for note in answer.cues:
        event = by_id.get(by_ref.get(note.ref, ""))
        theme = " ".join(note.theme.split()).casefold()
        if event is None or not theme or repeats(f"{theme} {note.note}", case.hearsay):
            continue
        rated: Polarity = case.polarity(event) if event.rating is not None else "neutral"
        polarity = (note.polarity or rated) if rated == "neutral" else rated
        cue = make_cue(case, theme, polarity, (event.event_id,), text=" ".join(note.note.split()) or theme)
        cues[cue.cue_id] = cue.model_copy(update={"read_to": read_to})
    return list(cues.values())


def place_of(event: Interaction) -> tuple[datetime, str]:
    """Return what histories are ordered by."""
    return event.at, event.event_id


def extractive_cues(case: Case, events: Sequence[Interaction], lexicon: Lexicon) -> list[Cue]:
    """Note the stances of each message, and the rarest phrases of every other interaction; no model.

    Phrases are merged over interactions that share one.
    """
    evidence: dict[tuple[str, Polarity], list[str]] = {}
    stances: dict[str, Cue] = {}
    for event in events:
        taken = stances_of(event, case.language)
        for stance in taken:
            cue = make_cue(case, stance.theme, stance.polarity, (event.event_id,), text=stance.quote)
            stances.setdefault(cue.cue_id, cue)
        if taken:
            continue
        for phrase in offered_phrases(case, event, lexicon)[:_PHRASES_KEPT]:
            evidence.setdefault((phrase, case.polarity(event)), []).append(event.event_id)
    themes = [
        make_cue(case, theme, polarity, tuple(event_ids), text=theme)
        for (theme, polarity), event_ids in evidence.items()
    ]
    return [*themes, *stances.values()]


def make_cue(case: Case, theme: str, polarity: Polarity, evidence: tuple[str, ...], *, text: str) -> Cue:
    """Build a cue about the subject of a case; see `cue_about`."""
    return cue_about(case.subject, theme, polarity, evidence, text=text)


def cue_about(subject: str, theme: str, polarity: Polarity, evidence: tuple[str, ...], *, text: str) -> Cue:
    """Build a cue whose id depends on subject and observation only."""
    return Cue(
        cue_id=content_hash(subject, theme, polarity, evidence),
        text=text,
        polarity=polarity,
        facet=theme,
        evidence=evidence,
        weight=float(len(evidence)),
    )


def _branch(case: Case, event: Interaction, ref: str, phrases: list[str]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "ref": {"type": "string", "const": ref},
        "theme": {"type": "string", "enum": phrases},
    }
    if event.rating is None:
        properties["polarity"] = {"type": "string", "enum": ["like", "dislike"]}
    return object_schema(properties)


def _list_of(items: Mapping[str, Any], most: int) -> dict[str, Any]:
    return object_schema({"cues": {"type": "array", "items": dict(items), "minItems": 1, "maxItems": most}})
