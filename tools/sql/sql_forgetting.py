"""The part of the store that forgets: begun forgets, what they remove, and writes that come too late."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from ...receipts import Scope
from ..behalf import behalf
from ..store import Forget, Subject
from . import sql_export, sql_forget, sql_tombstones
from .sql_engine import Engine

T = TypeVar("T")


class SqlForgetting:
    """Methods of `Store` that have to do with forgetting."""

    tenant: str
    _engine: Engine

    async def forgets(self) -> int:
        """Return how many forgets the tenant has had."""
        return await self._engine.read(lambda db: sql_tombstones.count(db, self.tenant))

    async def begin_forget(self, scope: Scope) -> Forget:
        """Make a forget durable before anything is removed."""
        return await self._engine.write(lambda db: sql_tombstones.begin(db, self.tenant, scope))

    async def unfinished_forgets(self) -> list[Forget]:
        """Return the forgets that were begun and not finished, oldest first."""
        return await self._engine.read(lambda db: sql_tombstones.unfinished(db, self.tenant))

    async def put_forget(self, forget: Forget) -> None:
        """Write down how far a forget has come."""
        await self._engine.write(lambda db: sql_tombstones.put(db, self.tenant, forget))

    async def forget_rows(self, forget: Forget) -> Forget:
        """Remove all rows that a forget names and all that was made of them, some in each transaction."""
        while forget.state == "rows":
            forget = await self._engine.write(
                partial(sql_forget.forget_step, tenant=self.tenant, forget=forget)
            )
        return forget

    async def count_rows(self, scope: Scope) -> Counter[str]:
        """Return what `forget_rows` would remove, and remove nothing."""
        try:
            await self._engine.write(lambda db: sql_forget.rehearse(db, self.tenant, scope))
        except sql_forget.RehearsedError as done:
            return done.removed
        raise AssertionError("a rehearsal ends with its own error, which undoes it")

    async def forgotten_users(self, user_ids: Iterable[str]) -> dict[str, datetime]:
        """Return those who were forgotten whole, with the moment up to which nothing of them is taken."""
        wanted = list(user_ids)
        return await self._engine.read(lambda db: sql_tombstones.forgotten_users(db, self.tenant, wanted))

    async def cached_for(self) -> set[str]:
        """Return the users that cached answers and vectors belong to."""
        return await self._engine.read(lambda db: sql_forget.cached_for(db, self.tenant))

    async def drop_caches(self, subjects: Collection[Subject]) -> None:
        """Remove cached answers and vectors of users and items."""
        await self._engine.write(lambda db: sql_forget.drop_caches(db, self.tenant, subjects))

    async def scrub(self) -> None:
        """Rewrite the files of the database, so that they hold no byte of what was deleted."""
        await self._engine.scrub()

    async def rows_about(self, user_id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Stream everything that is held about a user, as table and row."""
        for query in sql_export.queries(self.tenant, user_id):
            after: tuple[Any, ...] | None = None
            while page := await self._engine.read(partial(sql_export.page, query=query, after=after)):
                for row in page.rows:
                    yield query.place, row
                after = page.last

    async def _write(self, change: Callable[[Connection], T]) -> T:
        """Write what work came to, unless somebody it is about was forgotten since it began."""
        work = behalf()

        def checked(connection: Connection) -> T:
            sql_tombstones.check(connection, self.tenant, work)
            return change(connection)

        return await self._engine.write(checked)
