"""What turns of a chat say about who said them, noted by a model where one is there, and by patterns elsewhere.

A large model reads whole turns and notes what it finds. A small one only chooses the theme of sentences whose side the
user's own words give away; in a language without such patterns it chooses the side as well.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...models import Cue
from ...records import Interaction, Polarity, Usage
from ...tools.budget import Budget
from ...tools.chat import ChatModel
from ...tools.prompt import load_prompt
from ..calling import Answer, ask_as, make_request, usage_of
from ..case import one_line
from ..cue_drafts import CueList, cue_about
from ..json_schema import object_schema
from ..lexicon import text_phrases
from ..stance_tables import side_words, tables
from ..stances import Stance, content_words, stances_of
from ..state import Style
from .gate import telling

PROMPT = load_prompt("hear_turns")

_SHOWN = 600
_THEMES = 8
_AT_ONCE = 8
_TOKENS_PER_NOTE = 60
_NOTE_CHARACTERS = 160
_NO_SIDE = "neither"


@dataclass(frozen=True, kw_only=True)
class Listening:
    """What reading turns may touch, and how."""

    chat: ChatModel | None
    budget: Budget
    style: Style
    subject: str
    """Whose turns: `user:ID`."""

    language: str
    """ISO 639-1 code of the user's language."""

    seed: int = 0


class Noted(NamedTuple):
    """What reading turns gave."""

    cues: list[Cue]
    read: list[str]
    """Event ids of the turns that need not be read again."""

    usage: Usage
    failed: list[str]
    """Codes of the errors for which a model did not read a turn."""

    notes: list[str]


class _Passage(NamedTuple):
    """What a model is asked about: a turn, or one sentence of it."""

    ref: str
    line: str
    event: Interaction
    themes: tuple[str, ...] = ()
    """Themes to choose from; empty for any."""

    side: Polarity | None = None
    """The side it takes; absent if the model is to say."""


async def note_turns(listening: Listening, turns: Sequence[Interaction]) -> Noted:
    """Note what turns tell; those that cannot tell anything cost no call.

    Turns that a model failed to read are not among `read`, so that they are read another time.
    """
    passages = _passages(listening, turns)
    batches = [passages[start : start + _AT_ONCE] for start in range(0, len(passages), _AT_ONCE)]
    answers = await asyncio.gather(*(_ask(listening, batch) for batch in batches))
    cues: list[Cue] = []
    failed: set[str] = set()
    for batch, answer in zip(batches, answers, strict=True):
        if answer.value is None:
            failed |= {passage.event.event_id for passage in batch}
        else:
            last = max((passage.event.at, passage.event.event_id) for passage in batch)
            noted = _read(listening, batch, answer.value)
            cues += [cue.model_copy(update={"read_to": last}) for cue in noted]
    read = [turn for turn in turns if turn.event_id not in failed]
    for turn in read:
        noted_here = [cue for cue in cues if turn.event_id in cue.evidence]
        cues += _spoken_beside(listening, turn, noted_here)
    notes = sorted({answer.note for answer in answers if answer.note})
    unique = {cue.cue_id: cue for cue in reversed(cues)}
    codes = sorted({answer.code for answer in answers if answer.code})
    return Noted(
        [*reversed(unique.values())], [turn.event_id for turn in read], usage_of(answers), codes, notes
    )


def spoken_cues(listening: Listening, turn: Interaction) -> list[Cue]:
    """Note the stances of a turn, wishes about treatment among them, quoted; no model."""
    return [_quoted(listening, stance) for stance in stances_of(turn, listening.language)]


def _spoken_beside(listening: Listening, turn: Interaction, noted: Sequence[Cue]) -> list[Cue]:
    """Note what a model did not: everything of a turn it said nothing of, and limits and wishes it passed over."""
    if not noted:
        return spoken_cues(listening, turn)
    language = listening.language
    told = [content_words(f"{cue.facet} {cue.text}", language) for cue in noted]
    missed = [
        stance
        for stance in stances_of(turn, language)
        if stance.urgency != "none"
        and not any(content_words(stance.quote, language) & words for words in told)
    ]
    return [_quoted(listening, stance) for stance in missed]


def _quoted(listening: Listening, stance: Stance) -> Cue:
    evidence = (stance.event.event_id,)
    return cue_about(listening.subject, stance.theme, stance.polarity, evidence, text=stance.quote)


def _passages(listening: Listening, turns: Sequence[Interaction]) -> list[_Passage]:
    if listening.chat is None or listening.style == "plain":
        return []
    free = listening.style == "free"
    make = _whole_turn if free else _sentences
    found = [passage for turn in turns for passage in make(listening, turn)]
    return [passage._replace(ref=f"t{number}") for number, passage in enumerate(found, start=1)]


def _whole_turn(listening: Listening, turn: Interaction) -> list[_Passage]:
    if not telling(turn.text or "", listening.language):
        return []
    line = one_line(turn.text or "")[:_SHOWN].replace('"', "'")
    return [_Passage("", line, turn)]


def _sentences(listening: Listening, turn: Interaction) -> list[_Passage]:
    """Return what a small model can add to: sentences with a side and several themes, or of an unknown language."""
    language = listening.language
    sided: list[tuple[str, Polarity | None]]
    if language in tables():
        sided = [
            (stance.quote, stance.polarity)
            for stance in stances_of(turn, language)
            if stance.urgency != "wish"
        ]
    else:
        sided = [(sentence, None) for sentence in telling(turn.text or "", language)]
    passages: list[_Passage] = []
    for sentence, side in sided:
        themes = _themes(sentence, language)
        if len(themes) > 1 or (themes and side is None):
            passages.append(_Passage("", one_line(sentence)[:_SHOWN].replace('"', "'"), turn, themes, side))
    return passages


def _themes(sentence: str, language: str) -> tuple[str, ...]:
    """Return what a sentence may be about: phrases without the words that take its side."""
    sides = side_words(language)
    phrases = text_phrases(sentence, language, most_words=2)
    return tuple(phrase for phrase in phrases if not sides & set(phrase.split()))[:_THEMES]


async def _ask(listening: Listening, batch: Sequence[_Passage]) -> Answer[CueList]:
    request = make_request(
        PROMPT,
        PROMPT.render(turns=batch, language=listening.language),
        schema=_schema(batch, listening.style),
        max_tokens=_TOKENS_PER_NOTE * (len(batch) + 1),
        seed=listening.seed,
        temperature=0.0,
        top_p=1.0,
    )
    return await ask_as(listening, request, CueList)


def _schema(batch: Sequence[_Passage], style: Style) -> dict[str, Any]:
    if style != "free":
        notes: dict[str, Any] = {"anyOf": [_choice(passage) for passage in batch]}
        return _listed(notes, fewest=1, most=len(batch))
    note: dict[str, Any] = {
        "ref": {"type": "string", "enum": [passage.ref for passage in batch]},
        "theme": {"type": "string", "minLength": 3, "maxLength": 40},
        "polarity": {"type": "string", "enum": ["like", "dislike"]},
        "note": {"type": "string", "minLength": 3, "maxLength": _NOTE_CHARACTERS},
    }
    return _listed(object_schema(note), fewest=0, most=len(batch))


def _choice(passage: _Passage) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "ref": {"type": "string", "const": passage.ref},
        "theme": {"type": "string", "enum": list(passage.themes)},
    }
    if passage.side is None:
        properties["note"] = {"type": "string", "enum": ["like", "dislike", _NO_SIDE]}
    return object_schema(properties)


def _listed(items: Mapping[str, Any], *, fewest: int, most: int) -> dict[str, Any]:
    return object_schema(
        {"cues": {"type": "array", "items": dict(items), "minItems": fewest, "maxItems": most}}
    )


def _read(listening: Listening, batch: Sequence[_Passage], answer: CueList) -> list[Cue]:
    """Turn a model's notes into cues; a side that the user's own words give away stays."""
    by_ref = {passage.ref: passage for passage in batch}
    cues: list[Cue] = []
    for draft in answer.cues:
        passage = by_ref.get(draft.ref)
        theme = " ".join(draft.theme.split()).casefold()
        if passage is None or not theme:
            continue
        chosen: Polarity | None = draft.polarity
        note = one_line(draft.note)
        if passage.themes:  # a small model: its note is no sentence but a side
            if theme not in passage.themes:
                continue
            chosen = {"like": "like", "dislike": "dislike"}.get(note)  # type: ignore[assignment]  # two of three literals
            note = passage.line
        side = passage.side or chosen
        if side:
            evidence = (passage.event.event_id,)
            cues.append(cue_about(listening.subject, theme, side, evidence, text=note or theme))
    return cues
