"""What was made of one user, as rows, and how it is removed.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, and_, delete, func, or_, select

from ..jobs import DRAW
from . import sql_memories
from .sql_forget_texts import Texts
from .sql_tables import (
    completions,
    cued_events,
    cues,
    group_members,
    group_users,
    groups,
    jobs,
    memories,
    memory_vectors,
    micros,
    pairs,
    profiles,
    rollouts,
    users,
    vector_owners,
    version_marks,
)
from .sql_upserts import chunks

_BEHIND = "\U0010ffff"
"""Sorts behind every text that goes on."""


class Gone(NamedTuple):
    """An interaction that is being removed."""

    event_id: str
    user_id: str
    item_id: str | None
    at: int
    text: str | None

    @property
    def place(self) -> tuple[int, str]:
        """What histories are ordered by."""
        return self.at, self.event_id


class UserTraces:
    """Removes what was made of users.

    Args:
        connection: Where.
        tenant: Whose users.
        removed: Counts what goes, by table.
        texts: Takes in the texts that go.
    """

    def __init__(self, connection: Connection, tenant: str, removed: Counter[str], texts: Texts) -> None:
        self._db, self._tenant, self._removed, self._texts = connection, tenant, removed, texts

    def forget_whole(self, user_id: str) -> None:
        """Remove everything that is held about a user, except interactions."""
        self._leave_groups(user_id)
        for table in (cues, cued_events):
            self._delete(table, subject_is(table, f"user:{user_id}"))
        for table in (users, profiles, pairs, rollouts, group_users, group_members, version_marks):
            self._delete(table, table.c.user_id == user_id)
        self._forget_caches(user_id)
        self._forget_memories(user_id)
        self._forget_jobs(user_id)

    def forget_part(self, user_id: str, gone: Sequence[Gone]) -> None:
        """Remove what was made of some of a user's interactions, which are gone already."""
        first = min(event.at for event in gone)
        forget_cues(self._db, self._tenant, f"user:{user_id}", gone, self._removed, self._texts, read=True)
        self._forget_profiles(user_id, first)
        for table, key in ((pairs, pairs.c.item_id), (rollouts, rollouts.c.rollout_id)):
            rows = self._db.execute(select(key, table.c.data).where(*self._mine(table, user_id))).all()
            late = [row[0] for row in rows if moment_of(row.data) > first]
            self._delete(table, table.c.user_id == user_id, key, late)
        self._leave_groups(user_id)
        for table in (group_users, group_members):
            self._delete(table, table.c.user_id == user_id)
        self._forget_caches(user_id)
        self._forget_jobs(user_id, but=DRAW)  # the next portrait is still wanted

    def _forget_profiles(self, user_id: str, first: int) -> None:
        """Remove the versions that know the moment, and remember the highest number there was."""
        mine = self._mine(profiles, user_id)
        highest = self._db.execute(select(func.max(profiles.c.version)).where(*mine)).scalar_one_or_none()
        where = (profiles.c.user_id == user_id, profiles.c.as_of > first)
        if not self._delete(profiles, and_(*where)):
            return
        marked = self._mine(version_marks, user_id)
        old = self._db.execute(select(version_marks.c.version).where(*marked)).scalar_one_or_none()
        self._db.execute(delete(version_marks).where(*marked))
        row = {"tenant": self._tenant, "user_id": user_id, "version": max(highest or 0, old or 0)}
        self._db.execute(version_marks.insert(), row)

    def _forget_caches(self, user_id: str) -> None:
        forget_completions(self._db, self._tenant, f"user:{user_id}", self._removed)
        self._texts.keys |= owned_keys(self._db, self._tenant, f"user:{user_id}")

    def _forget_memories(self, user_id: str) -> None:
        """Remove what assistants put away about a user, with its vectors."""
        for spots in chunks(sql_memories.spots_about(self._db, self._tenant, user_id)):
            self._delete(memory_vectors, sql_memories.among(memory_vectors, spots))
            self._delete(memories, sql_memories.among(memories, spots))

    def _forget_jobs(self, user_id: str, *, but: str | None = None) -> None:
        """Remove background jobs that name a user, but those of one kind."""
        rows = self._db.execute(select(jobs.c.job_id, jobs.c.data).where(jobs.c.tenant == self._tenant))
        told = [(row.job_id, json.loads(row.data)) for row in rows]
        others = [entry for entry in told if but is None or entry[1].get("kind") != but]
        naming = [job_id for job_id, data in others if says(data, user_id)]
        self._delete(jobs, jobs.c.job_id.in_(naming))

    def _leave_groups(self, user_id: str) -> None:
        """Take a user's own words out of what groups tell, unless somebody else has them too.

        All else that groups hold is counts and means over at least `groups.minimum` members.
        """
        mine = self._mine(group_users, user_id)
        held = self._db.execute(select(group_users.c.themes).where(*mine)).scalar_one_or_none()
        own = set[str](json.loads(held)) if held else set[str]()
        if not own:
            return
        others = (group_users.c.tenant == self._tenant, group_users.c.user_id != user_id)
        for (themes,) in self._db.execute(select(group_users.c.themes).where(*others)):
            own.difference_update(json.loads(themes))
        if own:
            self._untell(own)

    def _untell(self, phrases: Collection[str]) -> None:
        rows = self._db.execute(select(groups).where(groups.c.tenant == self._tenant)).all()
        for row in rows:
            told = json.loads(row.data)
            kept = [interest for interest in told["interests"] if interest["phrase"] not in phrases]
            if len(kept) == len(told["interests"]):
                continue
            name = ", ".join(interest["phrase"] for interest in kept[:2]) or "mixed interests"
            data = json.dumps({**told, "interests": kept, "name": name}, ensure_ascii=False)
            where = (
                groups.c.tenant == self._tenant,
                groups.c.version == row.version,
                groups.c.group_id == row.group_id,
            )
            self._db.execute(groups.update().where(*where).values(data=data))
            self._removed["group interests"] += len(told["interests"]) - len(kept)

    def _mine(self, table: Table, user_id: str) -> tuple[Any, Any]:
        return table.c.tenant == self._tenant, table.c.user_id == user_id

    def _delete(
        self, table: Table, condition: Any, key: Any = None, values: Sequence[str] | None = None
    ) -> int:
        """Remove rows, keeping what texts they held in mind."""
        gone = 0
        for part in chunks(values) if values is not None else [None]:
            where = [table.c.tenant == self._tenant, condition, *([] if part is None else [key.in_(part)])]
            gone += remove(self._db, table, where, self._texts)
        self._removed[table.name] += gone
        return gone


def forget_cues(
    connection: Connection,
    tenant: str,
    subject: str,
    gone: Sequence[Gone],
    removed: Counter[str],
    texts: Texts,
    *,
    read: bool,
) -> None:
    """Remove the cues that rest on interactions, and have what else they rested on read again.

    Args:
        connection: Where.
        tenant: Whose.
        subject: `user:ID` or `item:ID`.
        gone: The interactions.
        removed: Counts what goes.
        texts: Takes in the texts that go.
        read: Whether also those go whose writer may have read one of the interactions without citing it.
    """
    ids = {event.event_id for event in gone}
    first = min(event.place for event in gone)
    query = select(cues.c.subject, cues.c.cue_id, cues.c.data)
    rows = connection.execute(query.where(cues.c.tenant == tenant, subject_is(cues, subject))).all()
    again: dict[str, set[str]] = {}
    for row in rows:
        cue = json.loads(row.data)
        reach = cue.get("read_to")
        seen = read and reach is not None and (_micros(reach[0]), str(reach[1])) >= first
        if not (seen or ids.intersection(cue["evidence"])):
            continue
        again.setdefault(row.subject, set()).update(cue["evidence"])
        where = [cues.c.tenant == tenant, cues.c.subject == row.subject, cues.c.cue_id == row.cue_id]
        removed["cues"] += remove(connection, cues, where, texts)
    marks = (cued_events.c.tenant == tenant, subject_is(cued_events, subject))
    connection.execute(delete(cued_events).where(*marks, cued_events.c.event_id.in_(sorted(ids))))
    for shelf, events in again.items():
        where = [cued_events.c.tenant == tenant, cued_events.c.subject == shelf]
        for part in chunks(sorted(events)):
            connection.execute(delete(cued_events).where(*where, cued_events.c.event_id.in_(part)))


def forget_completions(connection: Connection, tenant: str, subject: str, removed: Counter[str]) -> None:
    """Remove a subject's cached answers.

    An answer that two users share stays for the other; one that also belongs to an item was about both and goes.
    """
    mine = (completions.c.tenant == tenant, completions.c.subject == subject)
    asked = list(connection.execute(select(completions.c.key).where(*mine)).scalars())
    shared = completions.c.subject.like("item:%" if subject.startswith("user:") else "%")
    for part in chunks(asked):
        where = (completions.c.tenant == tenant, completions.c.key.in_(part))
        either = or_(completions.c.subject == subject, shared)
        removed["completions"] += connection.execute(delete(completions).where(*where, either)).rowcount


def owned_keys(connection: Connection, tenant: str, subject: str) -> set[str]:
    """Return the keys of the vectors that were made on a subject's behalf."""
    where = (vector_owners.c.tenant == tenant, vector_owners.c.subject == subject)
    return set(connection.execute(select(vector_owners.c.key).where(*where)).scalars())


def subject_is(table: Table, subject: str) -> Any:
    """Return a condition: a row is a subject's, whoever wrote it.

    A user whose id goes on with ` by ` is caught too, at worst; cues are written again.
    """
    by = f"{subject} by "
    return or_(table.c.subject == subject, and_(table.c.subject >= by, table.c.subject < f"{by}{_BEHIND}"))


def remove(connection: Connection, table: Table, where: Sequence[Any], texts: Texts) -> int:
    """Remove rows, keeping what texts they held in mind; return how many."""
    if "data" in table.c:
        for data in connection.execute(select(table.c.data).where(*where)).scalars():
            texts.add_all(json.loads(data))
    return connection.execute(delete(table).where(*where)).rowcount


def says(document: object, word: str) -> bool:
    """Whether a JSON document holds a text, as a value or as a name."""
    if isinstance(document, dict):
        return any(says(part, word) for entry in document.items() for part in entry)  # pyright: ignore[reportUnknownVariableType]  # JSON
    if isinstance(document, list):
        return any(says(part, word) for part in document)  # pyright: ignore[reportUnknownVariableType]  # JSON
    return document == word


def moment_of(data: str) -> int:
    """Return until when whoever wrote a record knew, in microseconds."""
    return _micros(json.loads(data)["as_of"])


def _micros(text: str) -> int:
    return micros(datetime.fromisoformat(text))
