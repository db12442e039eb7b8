"""Keep forgotten users out of what is learned from, also where a file is older than the forget."""

import importlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...tools.store import Store
from .splits import SPLITS

_TABLE = "prompt_only"
"""Holds every prompt of a split, hence every user."""

_ROWS = 5000


def known_by(store: Store, *, from_file: bool) -> Callable[[str], Awaitable[bool]]:
    """Return who may be learned from: users who are in the store, and of a file's those who never were forgotten.

    Somebody who came back is in the store again, with drafts of the time since; a file may hold the older ones.
    """

    async def knows(user_id: str) -> bool:
        if not await store.has_user(user_id):
            return False
        return not (from_file and await store.forgotten_users([user_id]))

    return knows


async def refuse_forgotten(folder: Path, store: Store) -> None:
    """Refuse a training set that holds somebody of before being forgotten.

    Raises:
        InputError: It does.
    """
    count = 0
    for split in SPLITS:
        path = folder / split / f"{_TABLE}.parquet"
        if path.is_file():
            for newest in _users(path):
                until = await store.forgotten_users(newest)
                count += sum(oldest <= until[user] for user, oldest in newest.items() if user in until)
    if count:
        raise InputError(
            f"{folder} holds drafts of {count} users who were forgotten since it was made; make it anew with "
            "`limner distill prepare`"
        )


def _users(path: Path) -> Iterator[dict[str, datetime]]:
    """Yield users with the earliest moment of their drafts."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=["user_id", "as_of"]):
            oldest: dict[str, datetime] = {}
            for row in batch.to_pylist():
                user, moment = row["user_id"], row["as_of"]
                oldest[user] = min(moment, oldest.get(user, moment))
            yield oldest
