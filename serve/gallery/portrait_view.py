"""One portrait as it is shown: the text, each claim with its evidence in words, and how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import UnknownUserError
from ...face import Limner
from ...models import Profile
from ...records import Interaction, Item
from ..report_numbers import facts_of, show_money, show_number
from ..statements import Quote, Section, day_of, deed_of, recent_quote, sections_of
from .deeds import deeds_by_id, items_of, last_deeds

_LAST = 12
"""Interactions shown of a user without a portrait."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands above every page about a user."""

    user_id: str
    profile: Profile | None
    """The newest portrait; absent if none was drawn."""

    badge: str
    """Who wrote the portrait."""

    events: int
    """Interactions on record."""

    since: str
    """Day of the first; empty without any."""

    until: str
    """Day of the last; empty without any."""


@dataclass(frozen=True, kw_only=True)
class PortraitView:
    """A portrait with everything it rests on."""

    head: Head
    text: str
    """Empty if no portrait was drawn."""

    language: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    claims: Mapping[str, int]
    """Sentence to its place among the portrait's claims; other sentences cannot be corrected."""

    recent: tuple[Quote, ...]
    facts: tuple[tuple[str, str], ...]
    reward: str


async def head_of(limner: Limner, user_id: str) -> Head:
    """Return what stands above every page about a user.

    Raises:
        UnknownUserError: The user was never recorded, or is forgotten.
    """
    profile = await limner.stored_profile(user_id)
    reach = await limner.doors.recorded.reach(user_id, as_of=limner.now())
    if profile is None and reach is None and not await limner.doors.store.has_user(user_id):
        raise UnknownUserError(user_id)
    badges = {"model": "Written by a model", "extractive": "Extractive, no model"}
    return Head(
        user_id=user_id,
        profile=profile,
        badge=badges[profile.source] if profile else "No portrait yet",
        events=reach.events if reach else 0,
        since=day_of(reach.first) if reach else "",
        until=day_of(reach.last) if reach else "",
    )


async def portrait_view(limner: Limner, user_id: str) -> PortraitView:
    """Return the newest stored portrait with its evidence; nothing is drawn.

    Raises:
        UnknownUserError: The user was never recorded.
    """
    head = await head_of(limner, user_id)
    profile = head.profile
    if profile is None:
        return await _undrawn(limner, head)
    cited = {event_id for claim in profile.claims for event_id in claim.evidence}
    interactions = await deeds_by_id(limner, user_id, cited)
    items = await items_of(limner, list(interactions.values()))
    return PortraitView(
        head=head,
        text=profile.text,
        language=profile.language,
        notes=profile.notes,
        sections=sections_of(profile, interactions, items),
        claims={claim.text: place for place, claim in reversed(list(enumerate(profile.claims)))},
        recent=tuple(recent_quote(event) for event in profile.recent),
        facts=tuple(facts_of(profile)),
        reward=show_number(profile.reward),
    )


async def _undrawn(limner: Limner, head: Head) -> PortraitView:
    last = await last_deeds(limner, head.user_id, _LAST)
    items = await items_of(limner, last)
    return PortraitView(
        head=head,
        text="",
        language="",
        notes=(),
        sections=(),
        claims={},
        recent=tuple(_bare_quote(event, items) for event in last),
        facts=(),
        reward=show_number(None),
    )


def _bare_quote(event: Interaction, items: Mapping[str, Item]) -> Quote:
    item = items.get(event.item_id) if event.item_id else None
    return Quote(
        title=item.title if item and item.title else (event.text or "Item without a title")[:80],
        date=day_of(event.at),
        deed=deed_of(event.kind, event.rating),
        words="",
        event_id=event.event_id,
        item_id=event.item_id,
    )


async def portrait_cost(limner: Limner, user_id: str) -> str:
    """Say what drawing a portrait costs; nothing is sent."""
    estimate = await limner.estimate([user_id])
    if limner.doors.chat is None:
        return "No language model is set: the portrait is assembled from the user's own words, at no cost."
    least, most = estimate.calls
    calls = f"{least} to {most}" if most > least else f"{least}"
    tokens = estimate.prompt_tokens + estimate.completion_tokens
    money = "of unknown price" if estimate.cost is None else f"about {show_money(estimate.cost)}"
    money = "free of charge" if estimate.cost == 0 else money
    return f"Drawing asks {limner.settings.model} {calls} times: about {tokens:,} tokens, {money}."
