"""Checkpoints in PostgreSQL whose errors are those of the store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import Error

from ...errors import StoreError

if TYPE_CHECKING:
    from langgraph.checkpoint.serde.base import SerializerProtocol
    from psycopg import AsyncCursor
    from psycopg.rows import DictRow
    from psycopg_pool import AsyncConnectionPool


class TypedPostgresSaver(AsyncPostgresSaver):
    """LangGraph's saver on PostgreSQL.

    Args:
        pool: Connections; open.
        serde: Turns a checkpoint into bytes.
        place: The database as it may be shown.
    """

    def __init__(self, pool: "AsyncConnectionPool[Any]", *, serde: "SerializerProtocol", place: str) -> None:
        super().__init__(pool, serde=serde)
        self._place = place

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> "AsyncIterator[AsyncCursor[DictRow]]":
        try:
            async with super()._cursor(pipeline=pipeline) as cursor:
                yield cursor
        except Error as error:
            raise StoreError(self._place, " ".join(str(error).split())) from error
