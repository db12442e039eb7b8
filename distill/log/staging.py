"""A log put in order of users on disk, so that one user's drafts are in memory at a time."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

from ...models import Rollout
from ...tools.sql.sql_tables import micros, moment_at
from .filters import Filters, Reason, fault

_LEAST_SPAN = timedelta(days=1)
"""Moments nearer to each other than that have about the same past, so none of them is the future of another."""

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE drafts (
    seq INTEGER PRIMARY KEY, rollout_id TEXT UNIQUE, user_id TEXT, as_of INTEGER, critic TEXT, consent INTEGER,
    fault TEXT, data TEXT
);
CREATE INDEX drafts_of_users ON drafts (user_id, seq);
CREATE TABLE barred (user_id TEXT PRIMARY KEY, reason TEXT);
CREATE VIEW usable AS SELECT * FROM drafts WHERE fault IS NULL AND user_id NOT IN (SELECT user_id FROM barred);
"""


class UserDrafts(NamedTuple):
    """What the log holds of one user."""

    user_id: str
    drafts: list[Rollout]
    """Those that can teach, in the order of writing."""

    faults: dict[Reason, int]
    """How many cannot, by reason."""


class Staging:
    """A log in order of users, in a temporary file.

    Args:
        path: File to create; it holds what the log holds, so its owner deletes it.
        filters: Rollouts they refuse are counted, not kept.
    """

    def __init__(self, path: Path, filters: Filters) -> None:
        self._filters = filters
        self._digest = hashlib.sha256()
        self._database = sqlite3.connect(path)
        self._database.executescript(_TABLES)
        self.rollouts = 0
        """How many were read."""

        self.repeated = 0
        """How many of them had a `rollout_id` that was already there."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self._database.close()

    @property
    def digest(self) -> str:
        """Return the sha256 of the rollouts that were read, in order; equal for a store and its export."""
        return self._digest.hexdigest()

    def add(self, batch: Sequence[Rollout]) -> None:
        """Take the next part of the log."""
        rows: list[tuple[object, ...]] = []
        for rollout in batch:
            data = rollout.model_dump_json()
            self._digest.update(data.encode() + b"\n")
            reason = fault(rollout, self._filters)
            key = (rollout.rollout_id, rollout.user_id, micros(rollout.as_of), rollout.critic_version)
            rows.append((*key, rollout.consent, reason, None if reason else data))
        done = self._database.executemany(
            "INSERT OR IGNORE INTO drafts (rollout_id, user_id, as_of, critic, consent, fault, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        self.rollouts += len(rows)
        self.repeated += len(rows) - max(done.rowcount, 0)

    def users(self) -> Iterator[str]:
        """Yield every user of the log, in order."""
        last = ""  # an identifier is never empty
        query = "SELECT MIN(user_id) FROM drafts WHERE user_id > ?"
        while (last := self._database.execute(query, (last,)).fetchone()[0]) is not None:
            yield last

    def refused(self, user_id: str, *, silence: bool) -> bool:
        """Whether a user ever said no; with `silence`, also whether a draft says nothing."""
        query = "SELECT MIN(COALESCE(consent, ?)) FROM drafts WHERE user_id = ?"
        return not self._database.execute(query, (0 if silence else 1, user_id)).fetchone()[0]

    def bar(self, user_id: str, reason: Reason) -> None:
        """Leave a user out of everything that follows."""
        self._database.execute("INSERT INTO barred VALUES (?, ?)", (user_id, reason))

    def critics(self) -> dict[str, int]:
        """Return how many usable drafts each critic graded, by its version."""
        return dict(
            self._database.execute("SELECT critic, COUNT(*) FROM usable GROUP BY critic ORDER BY critic")
        )

    def boundary(self, before: float) -> datetime | None:
        """Return the moment before which about this share of usable drafts lies.

        Drafts of one moment stay together, so it is the moment that comes nearest. `None` if time cannot tell the
        drafts apart: all are of less than a day, or no moment has half of the share before it.
        """
        query = "SELECT COUNT(*), MIN(as_of), MAX(as_of) FROM usable"
        count, first, last = self._database.execute(query).fetchone()
        if not count or moment_at(last) - moment_at(first) < _LEAST_SPAN:
            return None
        query = "SELECT as_of, COUNT(*) FROM usable GROUP BY as_of ORDER BY as_of"
        best, nearest, earlier = None, 0.0, 0
        with closing(self._database.execute(query)) as moments:
            for as_of, drafts in moments:
                share = earlier / count
                if earlier and abs(share - before) < abs(nearest - before):
                    best, nearest = as_of, share
                earlier += drafts
        return moment_at(best) if best is not None and nearest >= before / 2 else None

    def read(self) -> Iterator[UserDrafts]:
        """Yield one user after another, in order."""
        for user_id in self.users():
            yield self._read(user_id)

    def _read(self, user_id: str) -> UserDrafts:
        key = (user_id,)
        reason = self._database.execute("SELECT reason FROM barred WHERE user_id = ?", key).fetchone()
        if reason:
            count = self._database.execute("SELECT COUNT(*) FROM drafts WHERE user_id = ?", key).fetchone()[0]
            return UserDrafts(user_id, [], {reason[0]: count})
        counted = "SELECT fault, COUNT(*) FROM drafts WHERE user_id = ? AND fault IS NOT NULL GROUP BY fault"
        stored = "SELECT data FROM drafts WHERE user_id = ? AND fault IS NULL ORDER BY seq"
        with closing(self._database.execute(stored, key)) as rows:
            drafts = [Rollout.model_validate_json(data) for (data,) in rows]
        return UserDrafts(user_id, drafts, dict(self._database.execute(counted, key)))
