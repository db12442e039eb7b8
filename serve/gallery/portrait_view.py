"""One portrait as it is shown: the text, each claim with its evidence in words, and how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import UnknownUserError
from ...face import Limner
from ...models import Profile
from ...records import Interaction, Item
from ..report_numbers import facts_of, show_money, show_number
from ..statements import Quote, Section, day_of, deed_of, recent_quote, sections_of

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


async def head_of(limner: Limner, user_id: str) -> tuple[Head, list[Interaction]]:
    """Return what stands above every page about a user, and the whole history, oldest first.

    Raises:
        UnknownUserError: The user was never recorded, or is forgotten.
    """
    profile, history = await limner.stored_profile(user_id), await limner.history(user_id)
    if profile is None and not history and not await limner.doors.store.has_user(user_id):
        raise UnknownUserError(user_id)
    badges = {"model": "Written by a model", "extractive": "Extractive, no model"}
    head = Head(
        user_id=user_id,
        profile=profile,
        badge=badges[profile.source] if profile else "No portrait yet",
        events=len(history),
        since=day_of(history[0].at) if history else "",
        until=day_of(history[-1].at) if history else "",
    )
    return head, history


async def portrait_view(limner: Limner, user_id: str) -> PortraitView:
    """Return the newest stored portrait with its evidence; nothing is drawn.

    Raises:
        UnknownUserError: The user was never recorded.
    """
    head, history = await head_of(limner, user_id)
    profile = head.profile
    if profile is None:
        return await _undrawn(limner, head, history)
    cited = {event_id for claim in profile.claims for event_id in claim.evidence}
    interactions = {event.event_id: event for event in history if event.event_id in cited}
    items = await _items_of(limner, list(interactions.values()))
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


async def _undrawn(limner: Limner, head: Head, history: list[Interaction]) -> PortraitView:
    last = history[: -_LAST - 1 : -1]
    items = await _items_of(limner, last)
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


async def _items_of(limner: Limner, events: list[Interaction]) -> dict[str, Item]:
    return await limner.items(sorted({event.item_id for event in events if event.item_id}))


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
