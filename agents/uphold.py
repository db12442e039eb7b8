"""A portrait says what must not be overlooked: its user's limits, and wishes about how to be treated."""

from collections.abc import Sequence
from typing import NamedTuple

from ..models import Claim, Facet
from .case import Case
from .stances import Stance, content_words, most_urgent, quote_of, still_held


class Upheld(NamedTuple):
    """The sentences of a portrait, with their evidence."""

    facets: tuple[Facet, ...]
    claims: tuple[Claim, ...]


def uphold(case: Case, facets: Sequence[Facet], claims: Sequence[Claim]) -> Upheld:
    """Put the limits and wishes that hold, and that no sentence tells, before all else, in the user's own words.

    Whatever wrote the portrait may pass over them, and the newest messages, which the critic held back from the drafts,
    count too.

    Args:
        case: The run's material.
        facets: The sentences.
        claims: The same with their evidence.
    """
    held = still_held((*case.visible, *case.held), case.language)
    missed = [stance for stance in most_urgent(held) if not _told(stance, claims, case.language)]
    quoted = [quote_of(stance, case.language) for stance in missed]
    return Upheld(
        (
            *(quoted_facet(stance, text) for stance, text in zip(missed, quoted, strict=True)),
            *facets,
        ),
        (
            *(
                Claim(text=text, evidence=(stance.event.event_id,), confidence=1.0)
                for stance, text in zip(missed, quoted, strict=True)
            ),
            *claims,
        ),
    )


def quoted_facet(stance: Stance, text: str) -> Facet:
    """Return a stance as a sentence of a portrait; a wish about treatment is neither a like nor a dislike."""
    polarity = "neutral" if stance.urgency == "wish" else stance.polarity
    return Facet(name=stance.theme, text=text, polarity=polarity)


def _told(stance: Stance, claims: Sequence[Claim], language: str) -> bool:
    """Whether a sentence quotes a stance, or rests on its message and speaks of the same."""
    words = content_words(stance.quote, language)
    return any(
        stance.quote in claim.text
        or (stance.event.event_id in claim.evidence and words & content_words(claim.text, language))
        for claim in claims
    )
