"""Keep the recommender's index: read it where it still serves, else build it from the store."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...cards import ItemCard
from ...errors import InputError
from ...models import Profile
from ...records import Item, content_hash
from ...tools.card_scores import CardVectors
from ...tools.embedder import FloatArray
from ...tools.grouping.stored_groups import Choice
from ...tools.recommender.recommender_build import (
    Choices,
    Held,
    Material,
    fit_weights,
    hold_back,
    signals_from,
)
from ...tools.recommender.recommender_index import IndexFacts, RecommenderIndex, load_index, save_index
from ...tools.recommender.recommender_portraits import Cards, Portrayed, nobody
from ...tools.recommender.recommender_signals import Words
from ...tools.sql.sql_tables import micros, moment_at
from ..lexicon import Lexicon
from ..state import Deps
from ..vectors import item_vectors

_PAGE = 1000
_AT_ONCE = 16


class _Read(NamedTuple):
    """What the store says before a moment."""

    items: list[Item]
    user_ids: list[str]
    choices: Choices
    event_ids: list[str]
    """Of the choices."""


class IndexKeeper:
    """Hands out the index for a moment; safe to use from many tasks at once.

    Cards that were written since it was opened come in with the next index.

    Args:
        folder: Where files lie.
        tenant: Whose.
    """

    def __init__(self, folder: Path, tenant: str) -> None:
        # A tenant's name has no dot, so that no tenant's file is another one's.
        self._newest = folder / "recommender" / f"{tenant}.npz"
        self._earlier = folder / "recommender" / f"{tenant}.past.npz"
        self._turn = asyncio.Lock()
        self._open: dict[Path, RecommenderIndex] = {}
        self._checked: set[str] = set()
        """Names of indexes whose cards were compared with the store's."""
        self._learned_from: Lexicon | None = None
        self._catalogue = ""

    async def index(self, deps: Deps, as_of: datetime) -> RecommenderIndex:
        """Return an index that holds nothing at or after `as_of`, built anew if what it rests on changed.

        An index for an earlier moment than the newest one is kept beside that one and does not replace it.

        Raises:
            InputError: The catalogue is empty.
        """
        async with self._turn:
            if self._learned_from is not deps.lexicon:  # it is learned anew whenever items come in
                self._catalogue, self._learned_from = await _catalogue_hash(deps), deps.lexicon
            for path in (self._newest, self._earlier):
                found = await self._read(deps, path)
                if found is not None and await self._serves(deps, found, as_of):
                    return found
            newest = self._open.get(self._newest)
            later = newest is None or newest.facts.as_of <= micros(as_of)
            path = self._newest if later else self._earlier
            built = await build_index(deps, as_of, self._catalogue)
            while built.facts.forgets != await deps.store.forgets():  # it may hold what is gone by now
                built = await build_index(deps, as_of, self._catalogue)
            await asyncio.to_thread(save_index, built, path)
            self._checked.add(built.facts.name)
            self._open[path] = built
            return built

    async def _read(self, deps: Deps, path: Path) -> RecommenderIndex | None:
        if path not in self._open and (found := await asyncio.to_thread(load_index, path, deps.space)):
            self._open[path] = found
        return self._open.get(path)

    async def _serves(self, deps: Deps, index: RecommenderIndex, as_of: datetime) -> bool:
        """Whether nothing at or after a moment is in an index, and hardly anything before it is missing.

        The moment must not be earlier than the index's own: equal counts alone would not tell, since choices of the
        past may come in later.
        """
        facts = index.facts
        kept = (
            facts.forgets,
            facts.catalogue,
            facts.encoder,
            facts.space,
            facts.temperature,
            facts.fitting,
        )
        wanted = (
            await deps.store.forgets(),
            self._catalogue,
            deps.embedder.name,
            deps.space.name,
            deps.settings.critic.temperature,
            _fitting_of(deps),
        )
        if kept != wanted or facts.as_of > micros(as_of):
            return False
        fresh = await deps.store.count_choices(as_of=as_of) - facts.events
        if not 0 <= fresh <= deps.settings.recommend.stale * facts.events:
            return False
        if facts.name not in self._checked:
            if facts.cards != _cards_hash(await _cards(deps, index.item_ids, as_of)):
                return False
            self._checked.add(facts.name)
        return True


async def build_index(deps: Deps, as_of: datetime, catalogue: str) -> RecommenderIndex:
    """Build an index from what happened before `as_of`.

    Args:
        deps: Store, vectors and settings.
        as_of: Nothing at or after this moment is in it.
        catalogue: Hash of the items.

    Raises:
        InputError: The catalogue is empty.
    """
    forgets = await deps.store.forgets()
    events = await deps.store.count_choices(as_of=as_of)
    read = await _read(deps, as_of)
    if not read.items:
        raise InputError("the catalogue is empty; import its item file, or add items, first")
    ids = [item.item_id for item in read.items]
    words = Words.of(await _vectors(deps, read.items), deps.space)
    cards = await _cards(deps, ids, as_of)
    held = hold_back(read.choices, deps.settings.recommend.held_back, deps.settings.drafting.seed)
    secret = {read.event_ids[row] for row in held.rows.tolist()}
    material = Material(
        choices=read.choices,
        items=read.items,
        words=words,
        cards=await _card_vectors(deps, ids, [card for card in cards if secret.isdisjoint(card.read)]),
        portraits=await _portraits(deps, read, held),
        temperature=deps.settings.critic.temperature,
        seed=deps.settings.drafting.seed,
    )
    options, calibration = await asyncio.to_thread(fit_weights, material, held)
    signals = await asyncio.to_thread(signals_from, material, read.choices, options)
    facts = {
        "as_of": micros(as_of),
        "events": events,
        "held_back": len(held.rows) if calibration.measured else 0,
        "catalogue": catalogue,
        "cards": _cards_hash(cards),
        "encoder": deps.embedder.name,
        "space": deps.space.name,
        "temperature": deps.settings.critic.temperature,
        "fitting": _fitting_of(deps),
        "forgets": forgets,
    }
    named = content_hash(*facts.values(), calibration.weights.tobytes(), calibration.bias.tobytes())
    return RecommenderIndex(
        facts=IndexFacts.model_validate({**facts, "name": f"index-{named[:16]}"}),
        item_ids=ids,
        counts=np.bincount(read.choices.item, minlength=len(ids)).astype(np.float32),
        signals=signals,
        cards=await _card_vectors(deps, ids, cards),
        calibration=calibration,
    )


def _fitting_of(deps: Deps) -> str:
    """Return a hash of the settings that decide who holds a choice back."""
    return content_hash(deps.settings.recommend.held_back, deps.settings.drafting.seed)


async def _read(deps: Deps, as_of: datetime) -> _Read:
    """Read every choice of an item of the catalogue before a moment, by user, then time."""
    items = [item async for batch in deps.store.all_items(_PAGE) for item in batch]
    number = {item.item_id: place for place, item in enumerate(items)}
    user_ids, rows, event_ids = list[str](), list[tuple[int, int, int]](), list[str]()
    async for page in _choices(deps, as_of):
        for user_id, chosen in sorted(page.items()):
            mine = [choice for choice in chosen if choice.item_id in number]
            rows += [(len(user_ids), number[choice.item_id], choice.at) for choice in mine]
            event_ids += [choice.event_id for choice in mine]
            user_ids.append(user_id)
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return _Read(items, user_ids, Choices(table[:, 0], table[:, 1], table[:, 2]), event_ids)


async def _choices(deps: Deps, as_of: datetime) -> AsyncIterator[dict[str, list[Choice]]]:
    async for users in deps.store.users(batch=_PAGE):
        yield await deps.store.choices(users, as_of=as_of)


async def _catalogue_hash(deps: Deps) -> str:
    parts = [
        content_hash(item.item_id, item.describe(), item.brand, item.categories, item.tags)
        async for batch in deps.store.all_items(_PAGE)
        for item in batch
    ]
    return content_hash(*parts)


async def _vectors(deps: Deps, items: Sequence[Item]) -> FloatArray:
    """Return the catalogue's vectors, rounded as the index keeps them."""
    parts = [
        await item_vectors(deps.catalogue, items[first : first + _PAGE])
        for first in range(0, len(items), _PAGE)
    ]
    rounded: FloatArray = np.concatenate(parts).astype(np.float16).astype(np.float32)
    return rounded


async def _cards(deps: Deps, ids: Sequence[str], as_of: datetime) -> list[ItemCard]:
    found: list[ItemCard] = []
    for first in range(0, len(ids), _PAGE):
        cards = await deps.store.item_cards(ids[first : first + _PAGE], as_of=as_of)
        found += [cards[item_id] for item_id in sorted(cards)]
    return found


def _cards_hash(cards: Sequence[ItemCard]) -> str:
    return content_hash(*((card.item_id, card.fingerprint) for card in cards))


async def _card_vectors(deps: Deps, ids: Sequence[str], cards: Sequence[ItemCard]) -> Cards | None:
    if not cards:
        return None
    number = {item_id: place for place, item_id in enumerate(ids)}
    parts = [
        await deps.embedder.embed([getattr(card, name) for card in cards]) for name in CardVectors._fields
    ]
    return Cards(np.array([number[card.item_id] for card in cards], dtype=np.int64), CardVectors(*parts))


async def _portraits(deps: Deps, read: _Read, held: Held) -> list[Portrayed]:
    """Return each held-back user's portrait from before the held choice; nothing where there is none."""
    if not len(held.rows) or not (await deps.store.counts()).profiles:
        return []
    users = read.choices.user[held.rows].tolist()
    moments = read.choices.at[held.rows].tolist()
    found: list[Portrayed] = []
    for first in range(0, len(users), _AT_ONCE):
        some = zip(users[first : first + _AT_ONCE], moments[first : first + _AT_ONCE], strict=True)
        profiles = await asyncio.gather(
            *(deps.store.profile(read.user_ids[user], as_of=moment_at(at)) for user, at in some)
        )
        found += [await portrayed(deps, profile) for profile in profiles]
    return found


async def portrayed(deps: Deps, profile: Profile | None) -> Portrayed:
    """Return the vectors of what a portrait says; of nothing if there is none."""
    likes = [facet.text for facet in profile.facets if facet.polarity != "dislike"] if profile else []
    dislikes = [facet.text for facet in profile.facets if facet.polarity == "dislike"] if profile else []
    if not likes and not dislikes:
        return nobody(deps.embedder.dimension)
    vectors = await deps.embedder.embed([*likes, *dislikes])
    return Portrayed(vectors[: len(likes)], vectors[len(likes) :])
