"""What a portrait says, sentence by sentence, with the interactions that each sentence rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..models import Claim, Profile, RecentEvent
from ..records import Interaction, Item, Polarity


@dataclass(frozen=True, kw_only=True)
class Quote:
    """One interaction that supports a claim, as it is shown."""

    title: str
    date: str
    """Day, ISO 8601."""

    deed: str
    """What was done, with the rating if there is one."""

    words: str
    """The user's own words; empty if there are none."""

    event_id: str = ""

    item_id: str | None = None
    """Its item; absent for a message, or if the interaction is not at hand."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One sentence of a portrait with everything it rests on."""

    text: str
    theme: str
    """Its facet; empty if it has none."""

    support: str
    """Measured support; empty for a sentence that is not a claim."""

    quotes: tuple[Quote, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Statements that point the same way."""

    heading: str
    polarity: Polarity
    statements: tuple[Statement, ...]


HEADINGS: dict[Polarity, str] = {"like": "Drawn to", "dislike": "Put off by", "neutral": "Also"}


def sections_of(
    profile: Profile, interactions: Mapping[str, Interaction], items: Mapping[str, Item]
) -> tuple[Section, ...]:
    """Arrange every sentence once, under the way it points, with its theme and its evidence.

    Args:
        profile: The portrait.
        interactions: By event id; evidence that is missing here is named by its id.
        items: By item id.
    """
    claims: dict[str, list[Claim]] = {}
    for claim in profile.claims:
        claims.setdefault(claim.text, []).append(claim)
    themes = {facet.text: facet.name for facet in profile.facets}
    pointing: dict[str, Polarity] = {facet.text: facet.polarity for facet in profile.facets}
    pointing |= dict.fromkeys(profile.likes, "like")
    pointing |= dict.fromkeys(profile.dislikes, "dislike")
    order = dict.fromkeys((*profile.likes, *profile.dislikes, *themes, *claims))

    def show(text: str) -> Statement:
        return _statement(text, themes.get(text, ""), claims.get(text, ()), interactions, items)

    sections = [
        Section(
            heading=heading,
            polarity=polarity,
            statements=tuple(show(text) for text in order if pointing.get(text, "neutral") == polarity),
        )
        for polarity, heading in HEADINGS.items()
    ]
    return tuple(section for section in sections if section.statements)


def _statement(
    text: str,
    theme: str,
    claims: Sequence[Claim],
    interactions: Mapping[str, Interaction],
    items: Mapping[str, Item],
) -> Statement:
    evidence = dict.fromkeys(event_id for claim in claims for event_id in claim.evidence)
    support = max((claim.confidence for claim in claims), default=None)
    return Statement(
        text=text,
        theme=theme,
        support="" if support is None else f"{support:.2f}",
        quotes=tuple(quote_of(event_id, interactions, items) for event_id in evidence),
    )


def quote_of(event_id: str, interactions: Mapping[str, Interaction], items: Mapping[str, Item]) -> Quote:
    """Show an interaction; one that is not at hand is named by its id."""
    event = interactions.get(event_id)
    if event is None:
        return Quote(
            title=f"Event {event_id}", date="", deed="not part of this report", words="", event_id=event_id
        )
    item = items.get(event.item_id) if event.item_id else None
    title = (item.title or item.describe(80)) if item else ""
    return Quote(
        title=title or ("Message" if event.item_id is None else "Item without a title"),
        date=day_of(event.at),
        deed=deed_of(event.kind, event.rating),
        words=(event.text or "").strip(),
        event_id=event_id,
        item_id=event.item_id,
    )


def recent_quote(event: RecentEvent) -> Quote:
    """Show an entry of a portrait's raw tail."""
    return Quote(
        title=event.title or "Item without a title",
        date=day_of(event.at),
        deed=deed_of(event.kind, event.rating),
        words="",
        event_id=event.event_id,
        item_id=event.item_id,
    )


def deed_of(kind: str, rating: float | None) -> str:
    """Say what was done.

    Examples:
        >>> deed_of("purchase", 4.0), deed_of("review", 4.5), deed_of("click", None)
        ('purchase, rated 4', 'rated 4.5', 'clicked')
    """
    if rating is None:
        return {"view": "viewed", "click": "clicked", "purchase": "bought", "message": "said"}.get(kind, kind)
    return f"rated {rating:g}" if kind in ("rating", "review") else f"{kind}, rated {rating:g}"


def day_of(moment: datetime) -> str:
    """Write a day by ISO 8601."""
    return f"{moment:%Y-%m-%d}"
