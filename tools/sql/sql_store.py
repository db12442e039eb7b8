"""The store on SQL: SQLite in a folder by default, PostgreSQL by URL."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from ...cards import ItemCard
from ...communities import Belonging
from ...errors import StoreError
from ...models import Cue, Profile, Rollout
from ...pairings import Pair
from ...records import Interaction, Item
from ...sections import DatabaseSettings
from ..behalf import behalf
from ..grouping.stored_groups import Choice, Grouping, MarkedUser, Placed
from ..memories import Memories
from ..reach import Reach
from ..store import Counts, ItemStatistics, Published, RatingScale, Recorded, Subject
from . import sql_caches, sql_cards, sql_events, sql_groups, sql_history, sql_jobs, sql_portraits
from .sql_engine import Engine
from .sql_forgetting import SqlForgetting
from .sql_local import LocalEngine
from .sql_migrate import upgrade
from .sql_server import ServerEngine
from .sql_tables import micros

T = TypeVar("T")
FILE_NAME = "limner.db"
REMEMBERED = 16
"""Answers about all interactions that are kept in memory."""


async def open_store(
    *, folder: Path, database_url: str | None, tenant: str, kept: DatabaseSettings | None = None
) -> "SqlStore":
    """Open the store of one tenant and bring its tables up to date.

    Args:
        folder: Where `limner.db` lies; made if it is missing. Not used with `database_url`.
        database_url: `postgresql://…`; `None` for SQLite.
        tenant: Whose data is read and written.
        kept: How many connections to PostgreSQL are kept.

    Raises:
        StoreError: The database cannot be reached or was written by a newer version.
        MissingExtraError: PostgreSQL's driver is not installed.
    """
    engine: Engine = ServerEngine(database_url, kept) if database_url else _local(folder)
    await engine.open(partial(upgrade, url=engine.url))
    return SqlStore(engine, tenant)


def _local(folder: Path) -> LocalEngine:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(str(folder), f"{error.strerror}; choose another folder with `store`") from error
    return LocalEngine(folder / FILE_NAME)


class SqlStore(SqlForgetting):
    """A `Store` on SQL."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        self.tenant = tenant
        self.url = engine.url
        self._engine = engine
        self._answers: OrderedDict[tuple[object, ...], object] = OrderedDict()
        self._asking = asyncio.Lock()

    @property
    def engine(self) -> Engine:
        """The connections, for tables beside those of `Store`."""
        return self._engine

    def for_tenant(self, tenant: str) -> "SqlStore":
        """Return a tenant's store on the same connections; closing one of them closes all."""
        return SqlStore(self._engine, tenant)

    @property
    def memories(self) -> Memories:
        """What assistants put away."""
        return Memories(self._engine, self.tenant)

    async def record(
        self, interactions: Sequence[Interaction], *, draw_at: datetime | None = None
    ) -> Recorded:
        """Keep interactions; an event id that is already there is left as it is."""
        if not interactions:
            return Recorded(0, 0)

        def change(connection: Connection) -> Recorded:
            recorded = sql_events.record(connection, self.tenant, interactions)
            if draw_at is not None and recorded.added:
                user_ids = [event.user_id for event in interactions]
                sql_jobs.queue_draws(connection, self.tenant, user_ids, draw_at)
            return recorded

        return await self._engine.write(change)

    def shown(self, interactions: Sequence[Interaction]) -> list[Interaction]:
        """Return interactions as models may read them: here as they are."""
        return list(interactions)

    async def put_items(self, items: Sequence[Item]) -> int:
        """Insert or replace items; return how many were new or changed."""
        return await self._engine.write(lambda db: sql_caches.put_items(db, self.tenant, items))

    async def items(self, item_ids: Sequence[str]) -> dict[str, Item]:
        """Return the items that exist, by id."""
        return await self._engine.read(lambda db: sql_caches.items_of(db, self.tenant, item_ids))

    async def all_items(self, batch: int = 1000, *, after: str | None = None) -> AsyncIterator[list[Item]]:
        """Stream every item, in id order, starting behind `after`."""
        last = after or ""
        while page := await self._engine.read(
            partial(sql_caches.item_page, tenant=self.tenant, after=last, limit=batch)
        ):
            yield page
            last = page[-1].item_id

    async def users(self, *, after: str | None = None, batch: int = 1000) -> AsyncIterator[list[str]]:
        """Stream user ids that have interactions, in id order, starting behind `after`."""
        last = after or ""
        while page := await self._engine.read(
            partial(sql_events.user_page, tenant=self.tenant, after=last, limit=batch)
        ):
            yield page
            last = page[-1]

    async def has_user(self, user_id: str) -> bool:
        """Whether any interaction of the user was ever recorded."""
        return await self._engine.read(lambda db: sql_events.has_user(db, self.tenant, user_id))

    async def history(self, user_id: str, *, as_of: datetime, last: int | None = None) -> list[Interaction]:
        """Return a user's interactions before `as_of`, oldest first; only the `last` ones if given."""
        return await self._engine.read(lambda db: sql_events.history(db, self.tenant, user_id, as_of, last))

    async def history_page(
        self, user_id: str, *, before: tuple[datetime, str], limit: int
    ) -> list[Interaction]:
        """Return the `limit` interactions of a user before a moment and an event id, newest first."""
        return await self._engine.read(
            lambda db: sql_events.history_page(db, self.tenant, user_id, before, limit)
        )

    async def reach(self, user_id: str, *, as_of: datetime) -> Reach | None:
        """Return how far a user's interactions before `as_of` reach; `None` without any."""
        return await self._engine.read(lambda db: sql_history.reach(db, self.tenant, user_id, as_of))

    async def events(self, user_id: str, event_ids: Sequence[str]) -> dict[str, Interaction]:
        """Return those of a user's interactions that have these ids, by id."""
        return await self._engine.read(lambda db: sql_history.events(db, self.tenant, user_id, event_ids))

    async def had_items(self, user_id: str, *, as_of: datetime) -> list[str]:
        """Return the items that a user's interactions before `as_of` name, each once, by id."""
        return await self._engine.read(lambda db: sql_events.had_items(db, self.tenant, user_id, as_of))

    async def item_history(
        self, item_id: str, *, as_of: datetime, exclude_user: str | None = None, last: int = 50
    ) -> list[Interaction]:
        """Return the `last` interactions with an item before `as_of`, oldest first."""
        return await self._engine.read(
            lambda db: sql_events.item_history(db, self.tenant, item_id, as_of, exclude_user, last)
        )

    async def item_statistics(
        self, item_ids: Sequence[str], *, as_of: datetime, exclude_user: str | None = None
    ) -> dict[str, ItemStatistics]:
        """Return what others did with items before `as_of`, in numbers; items nobody used are left out."""
        return await self._engine.read(
            lambda db: sql_events.item_statistics(db, self.tenant, item_ids, as_of, exclude_user)
        )

    async def company(
        self, item_ids: Sequence[str], beside: Sequence[str], *, as_of: datetime, exclude_user: str
    ) -> dict[str, int]:
        """Return how many interactions with each item are by others who had one `beside` it before `as_of`."""
        return await self._engine.read(
            lambda db: sql_events.company(db, self.tenant, item_ids, beside, as_of, exclude_user)
        )

    async def popular(self, *, as_of: datetime, limit: int = 1000) -> list[tuple[str, int]]:
        """Return items by number of interactions before `as_of`, most first, ties by id."""

        def count(db: Connection, before: int) -> list[tuple[str, int]]:
            return sql_events.popular(db, self.tenant, before, limit)

        return list(await self._remembered(("popular", limit), as_of, count))

    async def other_users(self, user_id: str, *, as_of: datetime, limit: int, seed: int) -> list[str]:
        """Return a seeded sample of other users with interactions before `as_of`."""
        return await self._engine.read(
            lambda db: sql_events.other_users(db, self.tenant, user_id, as_of, limit, seed)
        )

    async def rating_scale(
        self, *, as_of: datetime, user_id: str | None = None, item_id: str | None = None
    ) -> RatingScale | None:
        """Return low, high, mean and count of ratings before `as_of`; `None` without any.

        For the whole tenant `low` and `high` pass over one rating in a hundred at either end.
        """
        if user_id is None and item_id is None:
            return await self._remembered(
                ("rating_scale",), as_of, lambda db, before: sql_events.tenant_scale(db, self.tenant, before)
            )
        return await self._engine.read(
            lambda db: sql_events.rating_scale(db, self.tenant, as_of, user_id, item_id)
        )

    async def add_cues(self, subject: Subject, cues: Sequence[Cue], events: Sequence[str]) -> None:
        """Keep cues and mark `events` as cued for `subject`, in one transaction. Equal cue ids replace."""
        await self._write(lambda db: sql_portraits.add_cues(db, self.tenant, subject, cues, events))

    async def cues(self, subject: Subject) -> list[Cue]:
        """Return a subject's cues, oldest first."""
        return await self._engine.read(lambda db: sql_portraits.cues_of(db, self.tenant, subject))

    async def cued_events(self, subject: Subject) -> frozenset[str]:
        """Return the event ids that cues were already extracted from."""
        return await self._engine.read(lambda db: sql_portraits.cued(db, self.tenant, subject))

    async def publish(self, published: Published) -> Profile:
        """Keep a profile and its rollouts in one transaction and return it with its version."""
        return await self._write(
            lambda db: sql_portraits.publish(db, self.tenant, published.profile, published.rollouts)
        )

    async def profile(
        self, user_id: str, *, version: int | None = None, as_of: datetime | None = None
    ) -> Profile | None:
        """Return one version, or the newest; with `as_of`, the newest at or before that moment."""
        return await self._engine.read(
            lambda db: sql_portraits.profile(db, self.tenant, user_id, version, as_of)
        )

    async def profile_versions(self, user_id: str) -> list[Profile]:
        """Return all versions in the order of their numbers, which is that of writing."""
        return await self._engine.read(lambda db: sql_portraits.profile_versions(db, self.tenant, user_id))

    async def profiles(self, batch: int = 200, *, after: str | None = None) -> AsyncIterator[list[Profile]]:
        """Stream the newest profile of every user, in user order, starting behind `after`."""
        last = after or ""
        while page := await self._engine.read(
            partial(sql_portraits.profile_page, tenant=self.tenant, after=last, limit=batch)
        ):
            yield page
            last = page[-1].user_id

    async def put_pair(self, pair: Pair, rollouts: Sequence[Rollout]) -> None:
        """Keep a pair and its rollouts in one transaction."""
        await self._write(lambda db: sql_portraits.put_pair(db, self.tenant, pair, rollouts))

    async def pair(self, user_id: str, item_id: str) -> Pair | None:
        """Return the newest pair."""
        return await self._engine.read(lambda db: sql_portraits.pair(db, self.tenant, user_id, item_id))

    async def put_cards(self, cards: Sequence[ItemCard]) -> None:
        """Keep cards in one transaction; one that is there keeps its words and the earlier `as_of`."""
        await self._write(lambda db: sql_cards.put_cards(db, self.tenant, cards))

    async def cards(self, fingerprints: Sequence[str]) -> list[ItemCard]:
        """Return every card with one of these fingerprints, by fingerprint and item id."""
        return await self._engine.read(lambda db: sql_cards.cards_of(db, self.tenant, fingerprints))

    async def item_cards(self, item_ids: Sequence[str], *, as_of: datetime) -> dict[str, ItemCard]:
        """Return, by item id, each item's newest card that uses nothing at or after `as_of`."""
        return await self._engine.read(
            lambda db: sql_cards.newest_cards(db, self.tenant, item_ids, micros(as_of))
        )

    async def log(self, rollouts: Sequence[Rollout]) -> None:
        """Append drafts to the log in one transaction; one that is already there stays."""
        await self._write(lambda db: sql_portraits.log(db, self.tenant, rollouts))

    async def rollouts(self, batch: int = 500) -> AsyncIterator[list[Rollout]]:
        """Stream the log in the order of writing."""
        after = 0
        while True:
            after, page = await self._engine.read(
                partial(sql_portraits.rollout_page, tenant=self.tenant, after=after, limit=batch)
            )
            if not page:
                return
            yield page

    async def user_rollouts(self, user_id: str, *, pairs: bool = True) -> list[Rollout]:
        """Return the drafts of one user's portraits, and of the pairs unless left out, in the order of writing."""
        return await self._engine.read(
            lambda db: sql_portraits.user_rollouts(db, self.tenant, user_id, pairs)
        )

    async def cached_completions(self, keys: Sequence[str]) -> dict[str, str]:
        """Return cached answers (JSON) by key."""
        return await self._engine.read(lambda db: sql_caches.cached_completions(db, self.tenant, keys))

    async def cache_completions(self, entries: Mapping[str, str], subject: Subject) -> None:
        """Keep answers; `subject` lets a forget find them."""
        await self._engine.write(lambda db: sql_caches.cache_completions(db, self.tenant, entries, subject))

    async def cached_vectors(self, encoder: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return cached vectors (little-endian float32) by key."""
        return await self._engine.read(lambda db: sql_caches.cached_vectors(db, self.tenant, encoder, keys))

    async def cache_vectors(self, encoder: str, entries: Mapping[str, bytes]) -> None:
        """Keep vectors; `tools.behalf` says whose texts they stand for."""
        work = behalf()
        await self._engine.write(lambda db: sql_caches.cache_vectors(db, self.tenant, encoder, entries, work))

    async def count_choices(self, *, as_of: datetime) -> int:
        """Return how many interactions before `as_of` name an item."""
        return await self._engine.read(lambda db: sql_groups.count_choices(db, self.tenant, micros(as_of)))

    async def choices(self, user_ids: Sequence[str], *, as_of: datetime) -> dict[str, list[Choice]]:
        """Return the items that users had before `as_of`, oldest first; users without any are left out."""
        return await self._engine.read(
            lambda db: sql_groups.choices(db, self.tenant, user_ids, micros(as_of))
        )

    async def put_groups(self, placed: Placed) -> None:
        """Keep what a refresh found, in one transaction; groups of the last eight refreshes stay."""
        await self._write(lambda db: sql_groups.put(db, self.tenant, placed))

    async def grouping(self, *, as_of: datetime) -> Grouping | None:
        """Return the groups of the newest refresh for a moment at or before `as_of`, by group id."""
        return await self._engine.read(lambda db: sql_groups.grouping(db, self.tenant, micros(as_of)))

    async def marked_users(self, user_ids: Sequence[str]) -> dict[str, MarkedUser]:
        """Return what the last refresh made of users, by id."""
        return await self._engine.read(lambda db: sql_groups.marked_users(db, self.tenant, user_ids))

    async def belongings(self, user_id: str) -> list[Belonging]:
        """Return where the refresh of the newest moment put a user, most first."""
        return await self._engine.read(lambda db: sql_groups.belongings(db, self.tenant, user_id))

    async def group_members(
        self, group_id: str, batch: int = 1000, *, after: str | None = None
    ) -> AsyncIterator[list[str]]:
        """Stream the users whom the refresh of the newest moment put into a group most, in id order."""
        last = after or ""
        while page := await self._engine.read(
            partial(sql_groups.members, tenant=self.tenant, group_id=group_id, after=last, limit=batch)
        ):
            yield page
            last = page[-1]

    async def counts(self) -> Counts:
        """Return how much the store holds."""
        return await self._engine.read(lambda db: sql_caches.counts(db, self.tenant))

    async def aclose(self) -> None:
        """Close connections."""
        await self._engine.aclose()

    async def _remembered(
        self, question: tuple[object, ...], as_of: datetime, ask: Callable[[Connection, int], T]
    ) -> T:
        """Answer a question about all interactions, asking the database once while they stay the same."""
        state = await self._engine.read(lambda db: sql_events.state(db, self.tenant))
        before = min(micros(as_of), state.newest + 1)  # all later moments have one answer
        key = (*question, before, state)
        async with self._asking:
            if key not in self._answers:
                self._answers[key] = await self._engine.read(lambda db: ask(db, before))
                if len(self._answers) > REMEMBERED:
                    self._answers.popitem(last=False)
            answer: T = self._answers[key]  # type: ignore[assignment]
            return answer
