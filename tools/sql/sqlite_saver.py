"""Checkpoints in SQLite for many runs at once: writes share commits instead of queueing for one each."""

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, get_checkpoint_metadata
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from sqlalchemy import Connection

from .sql_local import LocalEngine

if TYPE_CHECKING:
    import aiosqlite
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.serde.base import SerializerProtocol

_PUT = (
    "INSERT OR REPLACE INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type,"
    " checkpoint, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_DELETE = ("DELETE FROM checkpoints WHERE thread_id = ?", "DELETE FROM writes WHERE thread_id = ?")


class GroupingSqliteSaver(AsyncSqliteSaver):
    """LangGraph's saver on SQLite, for graphs that run one task a step.

    The original crosses into its thread for every statement and commits every write by itself, one run after
    the other. Here a write crosses once, and those that wait share a commit. The results of a single task are
    not kept on their own: the checkpoint that follows at once holds them too, and a run killed in between
    repeats one task.

    Args:
        connection: Reads, and makes the tables.
        engine: Writes to the same file; open.
        serde: Turns a checkpoint into bytes.
    """

    def __init__(
        self, connection: "aiosqlite.Connection", engine: LocalEngine, *, serde: "SerializerProtocol"
    ) -> None:
        super().__init__(connection, serde=serde)
        self._engine = engine

    async def aput(
        self,
        config: "RunnableConfig",
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> "RunnableConfig":
        """Keep a checkpoint; it is in the file when this returns."""
        place: dict[str, Any] = config["configurable"]
        thread_id, namespace = str(place["thread_id"]), place["checkpoint_ns"]
        kept = json.dumps(get_checkpoint_metadata(config, metadata), ensure_ascii=False)
        row = (
            thread_id,
            namespace,
            checkpoint["id"],
            place.get("checkpoint_id"),
            *self.serde.dumps_typed(checkpoint),
            kept.encode("utf-8", "ignore"),
        )
        await self._engine.write(partial(_execute, statements=[(_PUT, row)]))
        return {
            "configurable": {
                "thread_id": thread_id,
                "checkpoint_ns": namespace,
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self,
        config: "RunnableConfig",
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep nothing: the next checkpoint has the results of a single task."""

    async def scrub(self) -> None:
        """Rewrite the file, so that it holds no byte of deleted threads."""
        await self._engine.scrub()

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove a thread's checkpoints."""
        statements = [(statement, (str(thread_id),)) for statement in _DELETE]
        await self._engine.write(partial(_execute, statements=statements))


def _execute(connection: Connection, *, statements: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
    for statement, parameters in statements:
        connection.exec_driver_sql(statement, parameters)
