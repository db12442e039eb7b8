"""Everybody's history as arrays: what users had before a moment, and one vector for each of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...models import Profile
from ...records import Item, content_hash
from ...tools.card_scores import card_text
from ...tools.embedder import FloatArray
from ...tools.grouping.interest_graph import edge_matrix, unit
from ...tools.grouping.stored_groups import Choice
from ...tools.matrices import Matrix, voices
from ...tools.spans import IntArray, owners
from ...tools.store import RatingScale, Store
from ..case import DISLIKE_TO
from ..state import Deps
from ..vectors import item_vectors

DECAY = 0.8
"""Weight of an item relative to the next newer one, where no taught space says otherwise."""

_PAGE = 1000
_FORMULAS = 1
"""Counts up when users' vectors are computed differently."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PastChoices:
    """What users had and did not dislike, one history after the other, each oldest first."""

    user_ids: tuple[str, ...]
    """Users with an interaction with an item, in id order."""

    item_ids: tuple[str, ...]
    """Every item that one of them had."""

    items: IntArray
    """Numbers of items, shape `(E,)`."""

    starts: IntArray
    """Where each history begins, and their end, shape `(U + 1,)`."""

    rests_on: tuple[str, ...]
    """Hash of all events of each user, disliked ones included."""

    @property
    def edges(self) -> Matrix:
        """Who had what, shape `(U, I)`."""
        return edge_matrix(owners(self.starts), self.items, shape=(len(self.user_ids), len(self.item_ids)))

    def without_last(self, users: IntArray) -> "tuple[PastChoices, IntArray]":
        """Hold back the last item of some users.

        Returns:
            The rest, and the items that were held back, shape `(len(users),)`.
        """
        last = self.starts[users + 1] - 1
        kept = np.ones(len(self.items), dtype=np.bool_)
        kept[last] = False
        lengths = np.diff(self.starts)
        lengths[users] -= 1
        rest = PastChoices(
            user_ids=self.user_ids,
            item_ids=self.item_ids,
            items=self.items[kept],
            starts=np.concatenate([[0], np.cumsum(lengths)]),
            rests_on=self.rests_on,
        )
        return rest, self.items[last]


class ItemSide(NamedTuple):
    """The items of `PastChoices`."""

    items: list[Item | None]
    """`None` for what the catalogue does not hold."""

    vectors: FloatArray
    """Shape `(I, D)`; zeros for what has none."""

    keys: list[str]
    """Hash of what each vector was made of; vectors themselves may differ in their last bits from read to read."""


async def read_choices(
    store: Store, *, as_of: datetime, user_ids: Sequence[str] | None = None
) -> PastChoices:
    """Read what users had before `as_of`; everybody if `user_ids` is absent."""
    scale = await store.rating_scale(as_of=as_of)
    numbers: dict[str, int] = {}
    users: list[str] = []
    items: list[int] = []
    starts, hashes = [0], list[str]()
    async for page in _pages(store, user_ids):
        found = await store.choices(page, as_of=as_of)
        for user_id in (user for user in page if user in found):
            users.append(user_id)
            kept = [choice for choice in found[user_id] if not is_disliked(choice, scale)]
            items += [numbers.setdefault(choice.item_id, len(numbers)) for choice in kept]
            starts.append(len(items))
            hashes.append(content_hash(*((choice.event_id, choice.item_id) for choice in found[user_id])))
    return PastChoices(
        user_ids=tuple(users),
        item_ids=tuple(numbers),
        items=np.array(items, dtype=np.int64),
        starts=np.array(starts, dtype=np.int64),
        rests_on=tuple(hashes),
    )


async def read_items(deps: Deps, item_ids: Sequence[str], *, as_of: datetime) -> ItemSide:
    """Read catalogue entries and their vectors, enriched by cards that were right at `as_of`."""
    known = await deps.store.items(item_ids)
    vectors = np.zeros((len(item_ids), deps.embedder.dimension), dtype=np.float32)
    rows = [row for row, item_id in enumerate(item_ids) if item_id in known]
    cards = await deps.store.item_cards(item_ids, as_of=as_of)
    said = {item_id: card_text(card) for item_id, card in cards.items() if item_id in known}
    if rows:
        vectors[rows] = await item_vectors(deps.catalogue, [known[item_ids[row]] for row in rows])
    if enriched := [row for row in rows if item_ids[row] in said]:
        words = await deps.embedder.embed([said[item_ids[row]] for row in enriched])
        vectors[enriched] = unit(vectors[enriched] + words)
    items = [known.get(item_id) for item_id in item_ids]
    return ItemSide(
        items=items,
        vectors=vectors,
        keys=[
            content_hash(item.describe() if item else None, said.get(item_id))
            for item_id, item in zip(item_ids, items, strict=True)
        ],
    )


def user_vectors(deps: Deps, past: PastChoices, side: ItemSide) -> FloatArray:
    """Return one vector a user, of the newest items, newer ones weighing more; shape `(U, D)`.

    Unit norm and on the users' side of the space; zeros for users none of whose items has a vector.
    """
    mixed: FloatArray = (
        voices(
            past.items,
            past.starts,
            len(past.item_ids),
            last=deps.settings.drafting.recent,
            decay=deps.space.decay or DECAY,
        )
        @ side.vectors
    )
    told = np.any(mixed != 0, axis=1)
    found = np.zeros_like(deps.space.users(mixed))
    found[told] = deps.space.users(unit(mixed[told]))
    return found


async def with_portrait(deps: Deps, own: FloatArray, profile: Profile) -> FloatArray:
    """Move one user's vector, shape `(D,)`, halfway to what a portrait says the user likes."""
    liked = [facet.text for facet in profile.facets if facet.polarity != "dislike"]
    if not liked:
        return own
    said: FloatArray = deps.space.users(await deps.embedder.embed(liked))
    return unit(own + unit(said.mean(axis=0)))


def marks_of(deps: Deps, past: PastChoices, side: ItemSide) -> list[str]:
    """Return, for each user, a hash of everything that the vector and the portrait rest on."""
    portraits = deps.settings.groups.portraits
    basis = basis_of(deps, portraits=portraits)
    writer = (deps.chat.identity if deps.chat else None, deps.style) if portraits else None
    return [
        content_hash(basis, writer, rests_on, *(side.keys[item] for item in past.items[start:end].tolist()))
        for rests_on, (start, end) in zip(past.rests_on, pairwise(past.starts.tolist()), strict=True)
    ]


def basis_of(deps: Deps, *, portraits: bool) -> str:
    """Return a hash of all but the data that decides what a user's vector is, whoever writes the portraits."""
    recent = deps.settings.drafting.recent
    return content_hash(_FORMULAS, deps.embedder.name, deps.space.name, recent, DECAY, portraits)


async def _pages(store: Store, user_ids: Sequence[str] | None) -> AsyncIterator[Sequence[str]]:
    if user_ids is None:
        async for page in store.users(batch=_PAGE):
            yield page
        return
    ordered = sorted(set(user_ids))
    for start in range(0, len(ordered), _PAGE):
        yield ordered[start : start + _PAGE]


def is_disliked(choice: Choice, scale: RatingScale | None) -> bool:
    """Whether a choice's rating lies low on the scale; without a rating, a choice is none."""
    if choice.rating is None or scale is None or scale.high <= scale.low:
        return False
    return (choice.rating - scale.low) / (scale.high - scale.low) <= DISLIKE_TO
