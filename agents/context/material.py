"""What a context is made of: a portrait, the newest interactions, their items, and observations, as stored."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from ...models import Cue, Profile
from ...records import Interaction, Item
from ...tools.privacy.screen import Screen
from ...tools.store import Store
from ..spoken_language import spoken_language
from ..standing import Weighed, weigh

SEARCHED = 400
"""Interactions, and observations, that are looked at; older ones are left alone."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the store holds about one user."""

    profile: Profile | None
    """The newest portrait; absent if none was drawn."""

    events: tuple[Interaction, ...]
    """The newest interactions, oldest first."""

    items: Mapping[str, Item]
    """Their items, by id."""

    cues: Weighed
    """Observations, oldest first."""

    language: str
    """ISO 639-1 code of the user's language."""

    @cached_property
    def taken_back(self) -> frozenset[str]:
        """Interactions of which nothing holds that was noted of them, by event id."""
        holding = {event_id for cue in self.cues.standing for event_id in cue.evidence}
        outdone = {event_id for cue in self.cues.outweighed for event_id in cue.evidence}
        return frozenset(outdone - holding)

    @cached_property
    def _by_id(self) -> Mapping[str, Interaction]:
        return {event.event_id: event for event in self.events}

    def evidence_of(self, cue: Cue) -> list[Interaction]:
        """Return what an observation rests on, of the interactions here."""
        return [self._by_id[event_id] for event_id in cue.evidence if event_id in self._by_id]

    @property
    def known(self) -> bool:
        """Whether there is anything at all."""
        return bool(self.profile or self.events or self.cues.standing)


async def read_material(
    store: Store, user_id: str, shelves: Sequence[str], *, as_of: datetime, present: bool
) -> Material:
    """Read what is needed to tell about a user.

    Args:
        store: Where.
        user_id: Whom.
        shelves: Where the user's observations are kept.
        as_of: Nothing at or after this moment is used.
        present: Whether `as_of` is the present, so that no observation can have seen too much.
    """
    profile, events, found = await asyncio.gather(
        store.profile(user_id, as_of=None if present else as_of),
        store.history(user_id, as_of=as_of, last=SEARCHED),
        asyncio.gather(*(store.cues(shelf) for shelf in shelves)),
    )
    language = profile.language if profile else spoken_language(events, None)
    items = await store.items(list(dict.fromkeys(event.item_id for event in events if event.item_id)))
    by_id = {event.event_id: event for event in events}
    cues = list({cue.cue_id: cue for shelf in found for cue in shelf}.values())
    if not present:
        cues = [cue for cue in cues if _known_by(cue, by_id, as_of)]
    return Material(
        profile=profile,
        events=tuple(events),
        items=items,
        cues=weigh(cues[-SEARCHED:], by_id, language),
        language=language,
    )


def told_of(material: Material, screen: Screen) -> Material:
    """Return the material without interactions whose item alone would tell what may not be told of a person."""

    def may_be_told(event: Interaction) -> bool:
        item = material.items.get(event.item_id or "")
        return item is None or screen.allows(item.title)

    events = tuple(event for event in material.events if may_be_told(event))
    return material if len(events) == len(material.events) else replace(material, events=events)


def _known_by(cue: Cue, events: Mapping[str, Interaction], as_of: datetime) -> bool:
    """Whether an observation rests on the past of a moment alone."""
    return events.keys() >= set(cue.evidence) and (cue.read_to is None or cue.read_to[0] < as_of)
