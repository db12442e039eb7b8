"""Describe items by cards: those that have no card yet go to the model in batches, one completion each.

A plain pipeline, not a graph: nothing loops and no step chooses the next one. What a checkpoint would keep, the store
keeps already: a finished card is durable and found again by its content, so a killed run repeats one call at most.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ...cards import CardOutcome, ItemCard
from ...errors import LimnerError, UnknownItemError
from ...records import Item, Usage
from ...tools.near_duplicates import Alike
from ..state import Deps
from ..vectors import item_vectors
from .card_material import CardMaterial, read_material
from .write_cards import write_cards

_CHUNK = 64
"""Items looked up together."""

_REMEMBERED = 1024
"""Cards just written that are kept in memory for near-duplicates that follow."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Items of one language to be described together."""

    materials: tuple[CardMaterial, ...]
    """What each card will rest on."""


Job = Batch | list[CardOutcome]
"""Something to write, or what needs no writing."""


class _Found(NamedTuple):
    """Items of a chunk with what their cards rest on."""

    material: dict[str, CardMaterial]
    """By item id; near-duplicates have one."""

    failed: list[CardOutcome]


class _Known(NamedTuple):
    """Cards that the store holds."""

    cards: dict[str, ItemCard]
    """By fingerprint, as each was written; near-duplicates share it."""

    since: dict[tuple[str, str], datetime]
    """By fingerprint and item id, the earliest moment that the store knows it is right for."""

    def lacks(self, card: ItemCard) -> bool:
        """Whether the store does not know that this card is right for its moment."""
        since = self.since.get((card.fingerprint, card.item_id))
        return since is None or card.as_of < since


class Describing:
    """One run over items: tells what must be written, and writes it. For one event loop.

    Args:
        deps: What a run may touch; the budget is the run's own.
        as_of: Exclusive bound of the reviews.
        dry: Only tell what must be written; nothing is stored.
    """

    def __init__(self, deps: Deps, as_of: datetime, *, dry: bool = False) -> None:
        self._deps, self._as_of, self._dry = deps, as_of, dry
        cards = deps.settings.cards
        self._alike = Alike(
            store=deps.store, catalogue=deps.catalogue, cosine=cards.alike, words=cards.title_words
        )
        self._wanted: dict[str, list[str]] = {}
        """Fingerprint of what is being written, to the items that wait for it."""
        self._written: OrderedDict[str, ItemCard] = OrderedDict()
        self._waiting: dict[str, list[CardMaterial]] = {}

    async def jobs(self, item_ids: Iterable[str] | AsyncIterable[str]) -> AsyncGenerator[Job]:
        """Yield batches to write and outcomes of items that need none, reading the ids a chunk at a time."""
        async for chunk in _chunks(item_ids):
            found = await self._look_up(chunk)
            ready = found.failed
            known = await self._known(found)
            for item_id in chunk:
                if (material := found.material.get(item_id)) is None:
                    continue
                card = known.cards.get(material.fingerprint) or self._written.get(material.fingerprint)
                if card:
                    ready.append(CardOutcome(item_id=item_id, card=self._of(card, item_id)))
                elif (others := self._wanted.get(material.fingerprint)) is not None:
                    others.append(item_id)
                elif batch := self._queue(material, item_id):
                    yield batch
            await self._keep(
                [outcome.card for outcome in ready if outcome.card and known.lacks(outcome.card)]
            )
            yield ready
        for left in self._waiting.values():
            if left:
                yield Batch(materials=tuple(left))
        self._waiting.clear()

    @property
    def waiting(self) -> int:
        """How many items wait for a card that is to be written."""
        return sum(map(len, self._wanted.values()))

    async def work(self, job: Job) -> list[CardOutcome]:
        """Do a job; every item that waits for it has an outcome."""
        if not isinstance(job, Batch):
            return job
        try:
            self._deps.budget.check()
            cards = await write_cards(self._deps, job.materials, as_of=self._as_of)
            await self._deps.store.put_cards(cards)
        except LimnerError as error:
            waited = [self._wanted.pop(material.fingerprint) for material in job.materials]
            return [CardOutcome(item_id=item_id, error=error) for ids in waited for item_id in ids]
        outcomes: list[CardOutcome] = []
        for material, card in zip(job.materials, cards, strict=True):
            self._remember(material.fingerprint, card)
            outcomes += [
                CardOutcome(item_id=item_id, card=self._of(card, item_id), fresh=item_id == card.item_id)
                for item_id in self._wanted.pop(material.fingerprint)
            ]
        await self._keep([outcome.card for outcome in outcomes if outcome.card and not outcome.fresh])
        return outcomes

    async def _look_up(self, item_ids: Sequence[str]) -> _Found:
        """Read items, their representatives and what those cards rest on."""
        deps = self._deps
        items = await deps.store.items(item_ids)
        failed = [
            CardOutcome(item_id=item_id, error=UnknownItemError(item_id))
            for item_id in item_ids
            if item_id not in items
        ]
        if not items:
            return _Found({}, failed)
        await item_vectors(deps.catalogue, list(items.values()))
        speakers = {item_id: item_id for item_id in items}
        if deps.settings.cards.share:
            speakers = await self._alike.representatives(list(items.values()))
        chosen = await deps.store.items(sorted(set(speakers.values())))
        materials = await self._materials(list(chosen.values()))
        material: dict[str, CardMaterial] = {}
        for item_id, speaker in speakers.items():
            found = materials[speaker]
            if isinstance(found, LimnerError):
                failed.append(CardOutcome(item_id=item_id, error=found))
            else:
                material[item_id] = found
        return _Found(material, failed)

    async def _materials(self, items: Sequence[Item]) -> dict[str, CardMaterial | LimnerError]:
        deps = self._deps
        scale = await deps.store.rating_scale(as_of=self._as_of)
        vectors = await item_vectors(deps.catalogue, items)
        found: dict[str, CardMaterial | LimnerError] = {}
        for item, vector in zip(items, vectors, strict=True):
            try:
                found[item.item_id] = await read_material(deps, item, vector, as_of=self._as_of, scale=scale)
            except LimnerError as error:
                found[item.item_id] = error
        return found

    async def _known(self, found: _Found) -> _Known:
        """Return the cards that are there already."""
        fingerprints = sorted({material.fingerprint for material in found.material.values()})
        cards = await self._deps.store.cards(fingerprints)
        return _Known(
            {card.fingerprint: card for card in cards if card.shared_with is None},
            {(card.fingerprint, card.item_id): card.as_of for card in cards},
        )

    def _queue(self, material: CardMaterial, item_id: str) -> Batch | None:
        """Let an item wait for a full batch of its language; returns the batch that it fills."""
        self._wanted[material.fingerprint] = [item_id]
        waiting = self._waiting.setdefault(material.case.language, [])
        waiting.append(material)
        if len(waiting) < batch_size(self._deps):
            return None
        del self._waiting[material.case.language]
        return Batch(materials=tuple(waiting))

    def _of(self, card: ItemCard, item_id: str) -> ItemCard:
        """Return a card as that of an item, known at this run's moment."""
        known = card.model_copy(update={"as_of": min(card.as_of, self._as_of)})
        if item_id == card.item_id:
            return known
        return known.model_copy(update={"item_id": item_id, "shared_with": card.item_id, "usage": Usage()})

    async def _keep(self, cards: Sequence[ItemCard]) -> None:
        if cards and not self._dry:
            await self._deps.store.put_cards(cards)

    def _remember(self, fingerprint: str, card: ItemCard) -> None:
        self._written[fingerprint] = card
        while len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)


def batch_size(deps: Deps) -> int:
    """Return how many items go into one job: one of the three-call form, and many where no model is asked."""
    if deps.chat is None:
        return _CHUNK
    return deps.settings.cards.per_call if deps.settings.cards.form == "batched" else 1


async def _chunks(item_ids: Iterable[str] | AsyncIterable[str]) -> AsyncIterator[list[str]]:
    chunk: list[str] = []
    async for item_id in _each(item_ids):
        chunk.append(item_id)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _each(item_ids: Iterable[str] | AsyncIterable[str]) -> AsyncIterator[str]:
    if isinstance(item_ids, AsyncIterable):
        async for item_id in item_ids:
            yield item_id
    else:
        for item_id in item_ids:
            yield item_id
