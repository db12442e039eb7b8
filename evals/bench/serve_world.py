"""Invented users for the benchmark `serve`: portraits, cues with vectors and events, as many as wanted.

They are put into the store by its own functions, a thousand users at a time; what is there already is passed over, so
that a store which was built once, or half, serves later runs.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
from sqlalchemy import Connection

from ...models import Claim, Cue, Facet, Profile, RecentEvent
from ...records import Interaction
from ...tools.embedder import Embedder, FloatArray
from ...tools.sql.sql_portraits import add_cues, publish
from ...tools.sql.sql_store import SqlStore
from .serve_words import phrases, user_id_of
from .world import ITEMS, WORDS, invent_items

TENANT = "bench"
BATCH = 1000
_WRITERS = 8
"""Transactions at once; only a server has room for more than one."""

_NOISE = 0.5
_FACETS = 4
_RECENT = 10
_PHRASE_WORDS = 4
_REVIEWED = 3
"""Every third event is a review, the others are purchases without words."""
_START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class World:
    """How many are invented."""

    users: int
    cues: int
    """Cues of all users together."""

    events: int
    """Events of each user."""

    seed: int

    def cues_of(self, number: int) -> int:
        """Return the cues of a user; all together are `cues`."""
        return self.cues * (number + 1) // self.users - self.cues * number // self.users


class Inventor:
    """Invents users; the same ones whenever it is asked.

    Args:
        world: How many.
        vectors: Those of `phrases`, shape `(PHRASES, D)`.
    """

    def __init__(self, world: World, vectors: FloatArray) -> None:
        self._world, self._vectors = world, vectors
        self._phrases = phrases(world.seed)
        self._place_of = {phrase: place for place, phrase in enumerate(self._phrases)}
        self._titles = [item.title for item in invent_items(world.seed)]

    def events(self, number: int) -> list[Interaction]:
        """Return what a user did: one item a day, bought, or reviewed in words of their own."""
        user_id, draw = user_id_of(number), random.Random(f"{self._world.seed} {number}")
        start = _START + timedelta(minutes=number % 10_000)
        return [
            Interaction.model_construct(
                event_id=f"{user_id}-{day}",
                user_id=user_id,
                item_id=f"i{item:03}",
                kind="purchase" if day % _REVIEWED else "review",
                at=start + timedelta(days=day),
                rating=draw.choice((2.0, 3.0, 4.0, 5.0)),
                text=None if day % _REVIEWED else f"{draw.choice(self._phrases)} {number} {day}",
            )
            for day, item in enumerate(draw.choices(range(ITEMS), k=self._world.events))
        ]

    def cues(self, number: int, events: Sequence[Interaction]) -> list[Cue]:
        """Return what was noted about a user."""
        draw = random.Random(f"{self._world.seed} cues {number}")
        texts = [
            f"{draw.choice(self._phrases)} since {draw.choice(WORDS)} {number}"
            for _ in range(self._world.cues_of(number))
        ]
        return [
            Cue.model_construct(
                cue_id=f"c{place}",
                text=text,
                polarity="dislike" if text.startswith("Avoids") else "like",
                facet=text.split()[-4],
                evidence=(draw.choice(events).event_id,),
                weight=1.0,
                read_to=None,
            )
            for place, text in enumerate(texts)
        ]

    def vectors(self, number: int, texts: Sequence[str]) -> dict[str, bytes]:
        """Return vectors of what was said and noted, each near that of the phrase it begins with, by key of the cache."""
        rng = np.random.default_rng([self._world.seed, number])
        width = self._vectors.shape[1]
        noise = rng.standard_normal((len(texts), width), dtype=np.float32)
        near = self._vectors[[self._place_of[" ".join(text.split()[:_PHRASE_WORDS])] for text in texts]]
        vectors = near + noise * np.float32(_NOISE / np.sqrt(width))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return {
            hashlib.sha256(text.encode()).hexdigest(): vector.astype("<f4").tobytes()
            for text, vector in zip(texts, vectors, strict=True)
        }

    def profile(self, number: int, events: Sequence[Interaction], cues: Sequence[Cue]) -> Profile:
        """Return a user's portrait of four sentences, each a claim with evidence."""
        newest = events[-1].at + timedelta(days=1)
        sentences = [
            f"{cue.text.rpartition(' since ')[0]}, as told {len(cues)} times." for cue in cues[:_FACETS]
        ]
        claims = tuple(
            Claim(text=sentence, evidence=cue.evidence, confidence=0.6)
            for sentence, cue in zip(sentences, cues, strict=False)
        )
        likes = tuple(sentence for sentence in sentences if not sentence.startswith("Avoids"))
        dislikes = tuple(sentence for sentence in sentences if sentence.startswith("Avoids"))
        return Profile(
            user_id=user_id_of(number),
            version=1,
            as_of=newest,
            text=" ".join(sentences),
            likes=likes,
            dislikes=dislikes,
            facets=tuple(
                Facet(name=cue.facet, text=text) for text, cue in zip(sentences, cues, strict=False)
            ),
            claims=claims,
            recent=tuple(self._recent(event) for event in reversed(events[-_RECENT:])),
            language="en",
            source="extractive",
            notes=("invented for a benchmark",),
            critic_version="none",
            fingerprint=f"{self._world.seed} {self._world.cues} {number}",
            created_at=newest,
        )

    def _recent(self, event: Interaction) -> RecentEvent:
        title = self._titles[int(str(event.item_id)[1:])]
        return RecentEvent(
            event_id=event.event_id,
            item_id=event.item_id,
            title=title,
            kind=event.kind,
            at=event.at,
            rating=event.rating,
        )


Shelf = Callable[[str], str]
"""Names where the store keeps a user's cues."""


async def fill(
    store: SqlStore, embedder: Embedder, world: World, shelf: Shelf, progress: Callable[[int], None]
) -> int:
    """Put invented users into a store, as far as they are not there; return how many were missing.

    Args:
        store: Where to; its tenant must be for benchmarks alone.
        embedder: Encodes the phrases; vectors of what was said and noted are cached under its name.
        world: How many.
        shelf: Where cues are kept.
        progress: Called with the number of users that are there.
    """
    await store.put_items(invent_items(world.seed))
    inventor = Inventor(world, await embedder.embed(phrases(world.seed)))
    missing = 0
    for first in range(0, world.users, BATCH):
        numbers = range(first, min(first + BATCH, world.users))
        if await store.profile(user_id_of(numbers[-1])) is None:  # portraits come last
            await _fill_batch(store, embedder.name, inventor, numbers, shelf)
            missing += len(numbers)
        progress(numbers[-1] + 1)
    return missing


async def _fill_batch(
    store: SqlStore, encoder: str, inventor: Inventor, numbers: range, shelf: Shelf
) -> None:
    events = {number: inventor.events(number) for number in numbers}
    noted = {number: inventor.cues(number, events[number]) for number in numbers}
    vectors: dict[str, bytes] = {}
    for number in numbers:
        said = [event.text for event in events[number] if event.text]
        vectors |= inventor.vectors(number, [*said, *(cue.text for cue in noted[number])])
    await store.record([event for history in events.values() for event in history])
    await store.cache_vectors(encoder, vectors)

    def note(connection: Connection, part: Sequence[int]) -> None:
        for number in part:
            read = [event.event_id for event in events[number]]
            add_cues(connection, store.tenant, shelf(user_id_of(number)), noted[number], read)

    def draw(connection: Connection, part: Sequence[int]) -> None:
        for number in part:
            publish(connection, store.tenant, inventor.profile(number, events[number], noted[number]), ())

    # A transaction for each user would cost most of the time.
    parts = [numbers[start::_WRITERS] for start in range(_WRITERS)]
    await asyncio.gather(*(store.engine.write(partial(note, part=part)) for part in parts))
    await asyncio.gather(*(store.engine.write(partial(draw, part=part[:-1])) for part in parts))
    # The last portraits say that the batch is whole.
    await store.engine.write(partial(draw, part=[part[-1] for part in parts if part]))
