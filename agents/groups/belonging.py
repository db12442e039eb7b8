"""Where one user belongs, and what the group adds."""

from datetime import datetime

from ...communities import Community, Group
from ...errors import EmptyHistoryError, NoGroupsError, NoTextError, UnknownUserError
from ...tools.embedder import FloatArray
from ...tools.grouping.grouping import assign
from ...tools.store import Store
from ..lexicon import item_phrases
from ..state import Deps
from .group_store import Known, belongings_of, known_from
from .group_words import news_for
from .past_choices import (
    ItemSide,
    PastChoices,
    basis_of,
    read_choices,
    read_items,
    user_vectors,
    with_portrait,
)

_CHANGED = "no refresh with the present encoder, space and `drafting.recent` has found groups"


async def known_groups(deps: Deps, *, as_of: datetime) -> Known:
    """Return the groups of the newest refresh at or before `as_of`.

    Raises:
        NoGroupsError: There is none, or it was made with another encoder, space or setting.
    """
    found = await deps.store.grouping(as_of=as_of)
    if found is None:
        raise NoGroupsError(as_of.isoformat())
    if found.facts.basis != basis_of(deps, portraits=found.facts.portraits):
        raise NoGroupsError(as_of.isoformat(), _CHANGED)
    return known_from(found)


async def communities(store: Store, *, as_of: datetime) -> list[Community]:
    """Return the groups of the newest refresh at or before `as_of`, largest first.

    Raises:
        NoGroupsError: There is none.
    """
    found = await store.grouping(as_of=as_of)
    if found is None:
        raise NoGroupsError(as_of.isoformat())
    return sorted((group.community for group in found.groups), key=lambda each: (-each.size, each.group_id))


async def group_of(deps: Deps, user_id: str, *, as_of: datetime) -> Group:
    """Take a user in by what happened before `as_of`, and tell what the group adds; no model call.

    Raises:
        UnknownUserError: The user was never recorded.
        EmptyHistoryError: Nothing was recorded before `as_of`.
        NoTextError: None of the user's items is in the catalogue.
        NoGroupsError: See `known_groups`.
    """
    if not await deps.store.has_user(user_id):
        raise UnknownUserError(user_id)
    past = await read_choices(deps.store, as_of=as_of, user_ids=[user_id])
    if not past.user_ids:
        raise EmptyHistoryError(user_id, as_of.isoformat())
    known = await known_groups(deps, as_of=as_of)
    side = await read_items(deps, past.item_ids, as_of=as_of)
    portraits = known.grouping.facts.portraits
    vector = await individual_vectors(deps, past, side, as_of=as_of, portraits=portraits)
    places = belongings_of(
        assign(known.groups, vector), [group.community.group_id for group in known.grouping.groups]
    )[0]
    if not places:
        raise NoTextError(f"user_id={user_id!r}")
    by_id = {group.community.group_id: group.community for group in known.grouping.groups}
    chosen = by_id[places[0].group_id]
    had = set(await deps.store.had_items(user_id, as_of=as_of))
    own = [phrase for item in side.items if item for phrase in item_phrases(item)]
    return Group(
        user_id=user_id,
        group_id=chosen.group_id,
        name=chosen.name,
        size=chosen.size,
        weight=places[0].weight,
        shared=chosen.interests,
        news=news_for(chosen.interests, own),
        items=tuple(item for item in chosen.items if item.item_id not in had),
        also=tuple(places[1:]),
        as_of=as_of,
        found_at=chosen.as_of,
        notes=() if chosen.interests else ("Too few members share anything that could be told.",),
    )


async def individual_vectors(
    deps: Deps, past: PastChoices, side: ItemSide, *, as_of: datetime, portraits: bool
) -> FloatArray:
    """Return the vectors by which users are taken into groups, shape `(U, D)`.

    Args:
        deps: What may be touched.
        past: What the users had.
        side: Their items.
        as_of: Portraits of a later moment are not read.
        portraits: Whether portraits speak too; a user who has none yet is taken in by history alone.
    """
    vectors = user_vectors(deps, past, side)
    if not portraits:
        return vectors
    for row, user_id in enumerate(past.user_ids):
        profile = await deps.store.profile(user_id, as_of=as_of)
        if profile:
            vectors[row] = await with_portrait(deps, vectors[row], profile)
    return vectors
