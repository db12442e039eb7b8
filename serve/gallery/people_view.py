"""Find users: a page of those whose id starts with some words, each with the first words of the portrait."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from ...face import Limner
from ...models import Profile
from ..statements import day_of

PAGE = 24
"""Users on a page."""

_EXCERPT = 180


@dataclass(frozen=True, kw_only=True)
class Person:
    """One user in the list."""

    user_id: str
    excerpt: str
    """First words of the portrait; empty if there is none."""

    language: str
    source: Literal["model", "extractive", "none"]
    version: int
    """Of the newest portrait; 0 without one."""

    day: str
    """When that was drawn; empty without one."""


@dataclass(frozen=True, kw_only=True)
class People:
    """A page of users."""

    prefix: str
    after: str
    """The page starts behind this id; empty for the first page."""

    people: tuple[Person, ...]
    next_after: str | None
    """Where the next page starts; absent on the last one."""

    users: int
    portraits: int
    items: int


async def find_people(limner: Limner, *, prefix: str = "", after: str = "", page: int = PAGE) -> People:
    """Return a page of the users whose id starts with `prefix`, in id order, starting behind `after`."""
    found = await _matching(limner, prefix, after, page + 1)
    shown = found[:page]
    profiles = await asyncio.gather(*(limner.stored_profile(user_id) for user_id in shown))
    counts = await limner.counts()
    return People(
        prefix=prefix,
        after=after,
        people=tuple(_person(user_id, profile) for user_id, profile in zip(shown, profiles, strict=True)),
        next_after=shown[-1] if len(found) > page else None,
        users=counts.users,
        portraits=counts.profiles,
        items=counts.items,
    )


async def _matching(limner: Limner, prefix: str, after: str, most: int) -> list[str]:
    store = limner.doors.store
    # Ids with a prefix follow each other right behind the prefix itself.
    found = [prefix] if prefix and not after and await store.has_user(prefix) else []
    async for batch in store.users(after=max(after, prefix), batch=most):
        same = [user_id for user_id in batch if user_id.startswith(prefix)]
        found += same
        if len(found) >= most or len(same) < len(batch):
            break
    return found[:most]


def _person(user_id: str, profile: Profile | None) -> Person:
    if profile is None:
        return Person(user_id=user_id, excerpt="", language="", source="none", version=0, day="")
    return Person(
        user_id=user_id,
        excerpt=_shorten(profile.text),
        language=profile.language,
        source=profile.source,
        version=profile.version,
        day=day_of(profile.created_at),
    )


def _shorten(text: str) -> str:
    words = " ".join(text.split())
    if len(words) <= _EXCERPT:
        return words
    head = words[:_EXCERPT]
    return (head.rsplit(" ", 1)[0] if " " in head else head) + "…"
