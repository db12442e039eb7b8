"""Checkpoints of interrupted runs, which hold histories, cues and drafts.

A run says in its checkpoints' metadata whose it is. Losing one means doing its work again, so more go than must.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...receipts import Scope

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

TENANT, USER, ITEM = "limner_tenant", "limner_user", "limner_item"
"""Names in a checkpoint's metadata."""


def checkpoint_metadata(tenant: str, user_id: str, item_id: str | None) -> dict[str, Any]:
    """Return what a run's checkpoints say about whose they are."""
    return {TENANT: tenant, USER: user_id, **({ITEM: item_id} if item_id else {})}


async def forget_checkpoints(
    saver: "BaseCheckpointSaver[Any]", tenant: str, scope: Scope, *, dry_run: bool = False
) -> int:
    """Remove the checkpoints of runs that may know what is forgotten; return how many runs there were."""
    threads: set[str] = set()
    async for found in saver.alist(None):
        values: Mapping[str, Any] = found.checkpoint.get("channel_values") or {}
        if _knows(found.metadata or {}, values, tenant, scope):
            threads.add(str(found.config["configurable"]["thread_id"]))
    if not dry_run:
        for thread in sorted(threads):
            await saver.adelete_thread(thread)
    return len(threads)


async def users_of_checkpoints(saver: "BaseCheckpointSaver[Any]", tenant: str) -> set[str]:
    """Return the users whose runs were interrupted."""
    whose = [dict[str, Any](found.metadata) async for found in saver.alist(None, filter={TENANT: tenant})]
    return {str(metadata[USER]) for metadata in whose if USER in metadata}


def _knows(metadata: Mapping[str, Any], values: Mapping[str, Any], tenant: str, scope: Scope) -> bool:
    """Whether a run may know it: it is the user's own, or a pair, which shows what others wrote."""
    if metadata.get(TENANT, tenant) != tenant:
        return False
    user_id = metadata.get(USER, values.get("user_id"))
    item_id = metadata.get(ITEM, values.get("item_id"))
    unknown = user_id is None
    return unknown or scope.user_id in (None, user_id) or item_id is not None
