"""A portrait gives way to what its user said later: the last step before publishing."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..models import Claim, Cue, Facet
from ..records import Interaction
from .case import Case
from .cue_drafts import cue_about
from .stances import quote_of, stances_of
from .standing import AGAINST, Statement, speaks_of, statements_of

VERSION = 2
"""Counts up when portraits give way differently, to what was said later or to what must not be overlooked."""


class Settled(NamedTuple):
    """A portrait's sentences after settling."""

    facets: tuple[Facet, ...]
    claims: tuple[Claim, ...]
    replaced: int
    """Sentences that gave way."""


class _Said(NamedTuple):
    """A statement and how a portrait quotes it."""

    statement: Statement
    sentence: str


def settle(case: Case, facets: Sequence[Facet], claims: Sequence[Claim], cues: Sequence[Cue]) -> Settled:
    """Put the user's own later word in the place of every sentence that it contradicts.

    A sentence is contradicted by a statement of the other polarity about the same thing that came after all that the
    sentence rests on. The newest interactions count here too, although the critic held them back from the drafts:
    nobody should be told the contrary of what he said last.

    Args:
        case: The run's material.
        facets: The sentences.
        claims: The same with their evidence.
        cues: Observations, some of which may rest on what the user said.
    """
    events = {event.event_id: event for event in (*case.visible, *case.held)}
    said = _said(case, events, cues)
    kept: dict[str, tuple[Facet, Claim]] = {}
    replaced = 0
    for facet, claim in zip(facets, claims, strict=True):
        against = next(
            (entry for entry in said if _contradicts(entry.statement, facet, claim, events, case)), None
        )
        if against is None:
            kept.setdefault(facet.text, (facet, claim))
            continue
        replaced += 1
        cue = against.statement.cue
        kept.setdefault(
            against.sentence,
            (
                Facet(name=cue.facet, text=against.sentence, polarity=cue.polarity),
                Claim(text=against.sentence, evidence=cue.evidence, confidence=1.0),
            ),
        )
    return Settled(
        tuple(facet for facet, _ in kept.values()), tuple(claim for _, claim in kept.values()), replaced
    )


def _said(case: Case, events: Mapping[str, Interaction], cues: Sequence[Cue]) -> list[_Said]:
    """Return what the user said, newest first; in his own words where a pattern finds them."""
    quoted: dict[str, str] = {}
    own: list[Cue] = []
    for event in events.values():
        for stance in stances_of(event, case.language):
            cue = cue_about(case.subject, stance.theme, stance.polarity, (event.event_id,), text=stance.quote)
            quoted[cue.text] = quote_of(stance, case.language)
            own.append(cue)
    noted = {cue.cue_id: cue for cue in (*cues, *own)}
    statements = statements_of(noted.values(), events, case.language)
    statements.sort(key=lambda statement: statement.at, reverse=True)
    return [_Said(statement, quoted.get(statement.cue.text, statement.cue.text)) for statement in statements]


def _contradicts(
    statement: Statement, facet: Facet, claim: Claim, events: Mapping[str, Interaction], case: Case
) -> bool:
    if facet.polarity != AGAINST.get(statement.cue.polarity):
        return False
    # A sentence may cite the very words that contradict it, since they hold the same phrases.
    rests_on = set(claim.evidence) & events.keys() - set(statement.cue.evidence)
    newest = max((events[event_id].at for event_id in rests_on), default=None)
    return (newest is None or newest < statement.at) and speaks_of(facet.text, statement, case.language)
